import { Command } from "commander";
import { checkSource } from "../source/prepare";
import { operate } from "./operate";
import { ensureStack, readStackConfig, run } from "./project";

const command = new Command("preview")
  .description("Shows what a deploy would change. Asks neither the server nor an engine, and builds nothing.")
  .option("--stack <name>", "the stack", "dev")
  .option("--diff", "show the changes in full")
  .option("--json", "print JSON alone on stdout")
  .exitOverride((error) => process.exit(error.exitCode === 0 ? 0 : 2));

run(async () => {
  const { stack, diff, json } = command.parse().opts<{ stack: string; diff?: boolean; json?: boolean }>();
  await checkSource(readStackConfig(stack));
  await ensureStack(stack);
  const flags = [...(diff ? ["--diff"] : []), ...(json ? ["--json"] : [])];
  const { status, errors } = await operate(stack, ["preview", ...flags]);
  process.stderr.write(errors.map((error) => `error: ${error}\n`).join(""));
  return status;
});
