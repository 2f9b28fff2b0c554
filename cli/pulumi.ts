import execa from "execa";
import type { DockerEngine } from "../engine/docker";
import { keptText, stackVolumesOf } from "../engine/volumes";
import { assertStackWritten, PROJECT, pulumi, readStackConfig, run, stackName } from "./project";
import { openServer, reachEngine } from "./server";
import { readSecretConfig } from "./state";

/**
 * Passes all arguments to the pulumi CLI. Validates the configuration of a stack that is deployed or previewed, and
 * opens the SSH connection for operations that do not run the program.
 */
run(async () => {
  const args = process.argv.slice(2);
  const flag = args.findIndex((arg) => arg === "--stack" || arg === "-s");
  const stack =
    flag >= 0 ? args[flag + 1] : args.find((arg) => arg.startsWith("--stack="))?.slice("--stack=".length);
  // The stack may come before the command.
  const own = args.filter((_, at) => flag < 0 || (at !== flag && at !== flag + 1));
  const command = own.find((arg) => !arg.startsWith("-")) ?? "";
  if (stack && /^(up|update|preview|pre)$/.test(command)) readStackConfig(stack);
  if (writesStackFile(own.slice(own.indexOf(command)))) {
    const [, , named] = own.filter((arg) => !arg.startsWith("-"));
    assertStackWritten(stack ?? (command === "stack" && named ? named : await selected()));
  }
  if (/^(destroy|down|refresh|import)$/.test(command) || args.some((arg) => /^(--refresh|-r)$/.test(arg)))
    await openServer(stack ?? (await selected()));
  if (!/^(destroy|down)$/.test(command)) return pulumi(args);
  const name = stack ?? (await selected());
  const config = readStackConfig(name);
  // Read the key first: a stack that is removed with its resources has none.
  const engine = await reachEngine(config.server ? await readSecretConfig(name) : config);
  const status = await pulumi(args);
  if (status === 0) await tellKept(name, engine);
  return status;
});

/** Lists the volumes that stay when a stack is destroyed: data is deleted only by name. */
async function tellKept(stack: string, engine: DockerEngine): Promise<void> {
  try {
    const volumes = await stackVolumesOf(engine, stackName(stack));
    if (volumes.length > 0) process.stderr.write(keptText(stack, volumes));
  } catch (cause) {
    process.stderr.write(`could not list the kept volumes: ${(cause as Error).message}\n`);
  }
}

/** Whether the CLI writes the stack's file, with all values as it has parsed them. */
function writesStackFile([command = "", ...rest]: readonly string[]): boolean {
  const words = rest.filter((arg) => !arg.startsWith("-"));
  if (command === "config") return /^(set|set-all|rm|rm-all|cp|refresh)$/.test(words[0] ?? "");
  return command === "stack" && /^(init|change-secrets-provider)$/.test(words[0] ?? "");
}

/** The CLI's current stack. */
async function selected(): Promise<string> {
  const { stdout } = await execa("pulumi", ["stack", "--show-name"], { cwd: PROJECT, reject: false });
  return stdout.trim() || "dev";
}
