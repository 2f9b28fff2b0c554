import { setTimeout as sleep } from "node:timers/promises";
import { Command } from "commander";
import { exists } from "../engine/orphans";
import { run } from "./project";
import { stopFailed } from "./refusal";

const command = new Command("refused")
  .description("Stops what a failed deploy has started. The program runs it when the CLI ends the program.")
  .requiredOption("--stack <name>", "the stack")
  .requiredOption("--cli <pid>", "PID of the deploy to wait for")
  .exitOverride((error) => process.exit(error.exitCode === 0 ? 0 : 2));

const POLL_MS = 100;

run(async () => {
  const { stack, cli } = command.parse().opts<{ stack: string; cli: string }>();
  // Wait for the deploy's end: containers that are being started exist then.
  while (exists(Number(cli))) await sleep(POLL_MS);
  await stopFailed(stack);
  return 0;
});
