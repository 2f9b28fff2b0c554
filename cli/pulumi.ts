import execa from "execa";
import { assertStackWritten, PROJECT, pulumi, readStackConfig, run } from "./project";
import { openServer } from "./server";

/**
 * Passes everything on to the pulumi CLI. A stack that is deployed or previewed by name has to be configured rightly; where
 * the CLI reaches a server without running the program, the way there is opened.
 */
run(async () => {
  const args = process.argv.slice(2);
  const flag = args.findIndex((arg) => arg === "--stack" || arg === "-s");
  const stack =
    flag >= 0 ? args[flag + 1] : args.find((arg) => arg.startsWith("--stack="))?.slice("--stack=".length);
  if (stack && /^(up|update|preview|pre)$/.test(args[0] ?? "")) readStackConfig(stack);
  if (writesStackFile(args)) {
    const [, , named] = args.filter((arg) => !arg.startsWith("-"));
    assertStackWritten(stack ?? (args[0] === "stack" && named ? named : await selected()));
  }
  if (
    /^(destroy|down|refresh|import)$/.test(args[0] ?? "") ||
    args.some((arg) => /^(--refresh|-r)$/.test(arg))
  )
    await openServer(stack ?? (await selected()));
  return pulumi(args);
});

/** Whether the CLI writes the stack's file: all of its values, as it has read them. */
function writesStackFile([command = "", ...rest]: readonly string[]): boolean {
  const words = rest.filter((arg) => !arg.startsWith("-"));
  if (command === "config") return /^(set|set-all|rm|rm-all|cp|refresh)$/.test(words[0] ?? "");
  return command === "stack" && /^(init|change-secrets-provider)$/.test(words[0] ?? "");
}

/** The stack that the CLI takes where none is named. */
async function selected(): Promise<string> {
  const { stdout } = await execa("pulumi", ["stack", "--show-name"], { cwd: PROJECT, reject: false });
  return stdout.trim() || "dev";
}
