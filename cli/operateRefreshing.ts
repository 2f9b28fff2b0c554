import { hasCode } from "../engine/errorCodes";
import { type OperateOutput, type Outcome, operate } from "./operate";
import { openServer } from "./server";

/** As `operate`. Something of the stack that is gone from the engine is made again, by the same command with `--refresh`. */
export async function operateRefreshing(
  stack: string,
  args: readonly string[],
  output?: OperateOutput,
): Promise<Outcome> {
  const outcome = await operate(stack, args, output);
  const gone = outcome.errors.find((error) => hasCode(error, "gone from the engine"));
  if (gone === undefined || args.includes("--refresh")) return outcome;
  process.stderr.write(`${gone.split(";")[0]}; refreshing the state from the engine (--refresh)\n`);
  await openServer(stack);
  return operate(stack, [...args, "--refresh"], output);
}
