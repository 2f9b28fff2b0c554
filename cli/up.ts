import { existsSync, writeFileSync } from "node:fs";
import { resolve } from "node:path";
import { Command } from "commander";
import { stringify } from "yaml";
import { ConfigError, problemsForUp } from "../config";
import { pluginOrigins } from "../engine/plugins";
import { writeIntent } from "../release/intent";
import { canListen } from "../release/preflight";
import { resolveCheckout } from "../source/checkout";
import { checkSource } from "../source/prepare";
import { deploy } from "./deploy";
import {
  ensureStack,
  PROJECT,
  readStackConfig,
  run,
  stackFile,
  stackName,
  stackOf,
  UsageError,
} from "./project";
import { bringRelease } from "./promote";
import { openServer } from "./server";

interface Options {
  readonly stack?: string;
  readonly source?: string;
  readonly refresh?: boolean;
  readonly rebuild?: boolean;
  readonly resume?: boolean;
  readonly fromStack?: string;
  readonly allowOlder?: boolean;
  readonly adopt?: boolean;
  readonly onlyNewer?: boolean;
  readonly json?: boolean;
}

const command = new Command("up")
  .description("Deploys a stack and proves that what is served is the commit.")
  .option("--stack <name>", 'the stack (default: "dev", or the folder of --source)')
  .option("--source <path>", "deploy this app instead, in a stack of its own named after its folder")
  .option("--refresh", "ask the engine first what was removed or changed by hand")
  .option("--rebuild", "prune and build anew, whatever was built before")
  .option("--resume", "end a rollback: deploy the commit that it left")
  .option("--from-stack <name>", "deploy the images that run in another stack, proven again, without a build")
  .option("--allow-older", "deploy a commit that is older than the one that runs")
  .option("--only-newer", "exit 0 where something newer runs already")
  .option(
    "--adopt",
    "take over what runs under the stack's name on the engine without being in its state: networks and volumes are kept, containers replaced",
  )
  .option("--json", "print the certificate as JSON alone on stdout")
  .exitOverride((error) => process.exit(error.exitCode === 0 ? 0 : 2));

run(async () => {
  const started = performance.now();
  const options = command.parse().opts<Options>();
  const stack = options.stack ?? (options.source ? stackOf(options.source) : "dev");
  if (options.source) await configureSource(stack, resolve(process.env.INIT_CWD ?? ".", options.source));
  const config = readStackConfig(stack);
  const problems = problemsForUp(config, pluginOrigins());
  if (problems.length > 0) throw new ConfigError(problems);
  await checkSource(config);

  await ensureStack(stack);
  // A refresh comes before the program.
  if (options.refresh) await openServer(stack);
  const args = ["--yes", "--skip-preview", ...(options.refresh ? ["--refresh"] : [])];
  const { rebuild, resume, adopt, allowOlder } = options;
  writeIntent({ rebuild, resume, adopt, allowOlder });
  if (options.fromStack !== undefined) {
    await bringRelease(options.fromStack, stack);
    writeIntent({ fromStack: stackName(options.fromStack) });
  }
  return deploy(stack, args, { ...options, started });
});

/** Writes the new stack's file; one that exists has to deploy that same app. */
async function configureSource(stack: string, source: string): Promise<void> {
  const file = stackFile(stack);
  if (existsSync(file)) {
    const configured = resolve(PROJECT, readStackConfig(stack).source);
    if (configured === source) return;
    throw new UsageError(
      `stack ${stack} deploys ${configured}, not ${source}; choose another stack with --stack`,
    );
  }
  // "@" is HEAD whatever is uncommitted. A path that is no checkout leaves no file behind; what else is wrong is set right in it.
  await resolveCheckout({ source, commit: "@", uncommitted: "refuse" });
  const address = "127.0.0.1";
  let port = 8080;
  while (!(await canListen({ address, port }))) port += 1;
  const config = { "watch-party:source": source, "watch-party:listen": `${address}:${port}` };
  writeFileSync(file, stringify({ config }));
}
