import { setTimeout as sleep } from "node:timers/promises";
import { exists } from "../engine/orphans";
import { ProjectCommand } from "./command";
import { run } from "./project";
import { stopFailed } from "./refusal";

const command = new ProjectCommand("refused")
  .description("Stops what a failed deploy has started. The program runs it when the CLI ends the program.")
  .requiredOption("--stack <name>", "the stack")
  .requiredOption("--cli <pid>", "PID of the deploy to wait for");

const POLL_MS = 100;

run(async () => {
  const { stack, cli } = command.parse().opts<{ stack: string; cli: string }>();
  // Wait for the deploy's end: containers that are being started exist then.
  while (exists(Number(cli))) await sleep(POLL_MS);
  await stopFailed(stack);
  return 0;
});
