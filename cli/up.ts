import { existsSync, writeFileSync } from "node:fs";
import { resolve } from "node:path";
import { stringify } from "yaml";
import { problemsForUp } from "../config/problems";
import { ConfigError } from "../config/types";
import { pluginOrigins } from "../engine/plugins";
import { NAMESPACE } from "../freshness/project";
import { writeIntent } from "../release/intent";
import { canListen } from "../release/preflight";
import { resolveCheckout } from "../source/checkout";
import { checkSource } from "../source/prepare";
import { ProjectCommand } from "./command";
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
import { upFront } from "./upFront";

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
  readonly verbose?: boolean;
  readonly waitLock?: true | string;
}

const command = new ProjectCommand("up")
  .description("Deploys a stack and proves that what is served is the commit.")
  .option("--stack <name>", 'the stack (default: "dev", or the folder of --source)')
  .option("--source <path>", "deploy this app instead, in a stack of its own named after its folder")
  .option("--refresh", "ask the engine first which resources were removed or changed by hand")
  .option("--rebuild", "prune and build again, even if the commit was built before")
  .option("--resume", "end a rollback: deploy the commit that was rolled back")
  .option(
    "--from-stack <name>",
    "deploy the images of another stack without a build, after proving them again",
  )
  .option("--allow-older", "deploy an older commit than the running one")
  .option("--only-newer", "exit 0 if a newer commit is already deployed")
  .option(
    "--adopt",
    "take over the stack's resources on the engine that are not in its state: keep networks and volumes, replace containers",
  )
  .option(
    "--wait-lock [minutes]",
    "wait while another deploy is under way or `lock` has locked the stack (default: 30 minutes)",
  )
  .option("--verbose", "print the output of Pulumi and of BuildKit instead of one line a step")
  .json("certificate");

run(async () => {
  const started = performance.now();
  const options = command.parse().opts<Options>();
  const waitMinutes = minutesOf(options.waitLock);
  const stack = options.stack ?? (options.source ? stackOf(options.source) : "dev");
  if (options.source) await configureSource(stack, resolve(process.env.INIT_CWD ?? ".", options.source));
  const config = readStackConfig(stack);
  const problems = problemsForUp(config, pluginOrigins());
  if (problems.length > 0) throw new ConfigError(problems);
  await checkSource(config);

  await ensureStack(stack);
  // The CLI refreshes before it runs the program.
  if (options.refresh) await openServer(stack);
  const args = ["--yes", "--skip-preview", ...(options.refresh ? ["--refresh"] : [])];
  if (config.front !== undefined) return upFront(stack, args, config);
  const { rebuild, resume, adopt, allowOlder } = options;
  writeIntent({ rebuild, resume, adopt, allowOlder });
  if (options.fromStack !== undefined) {
    await bringRelease(options.fromStack, stack);
    writeIntent({ fromStack: stackName(options.fromStack) });
  }
  return deploy(stack, args, { ...options, started, waitMinutes });
});

/** How long a lock is waited for. */
function minutesOf(given: Options["waitLock"]): number {
  if (given === undefined) return 0;
  if (given === true) return 30;
  if (/^\d{1,4}$/.test(given)) return Number(given);
  throw new UsageError(`--wait-lock is "${given}"; allowed: a whole number of minutes`);
}

/** Writes the new stack's file; an existing one must deploy the same app. */
async function configureSource(stack: string, source: string): Promise<void> {
  const file = stackFile(stack);
  if (existsSync(file)) {
    const configured = resolve(PROJECT, readStackConfig(stack).source);
    if (configured === source) return;
    throw new UsageError(
      `stack ${stack} deploys ${configured}, not ${source}; choose another stack with --stack`,
    );
  }
  // "@" is HEAD, whatever is uncommitted. Writes no file for a path that is not a checkout; other problems can be fixed
  // in the file.
  await resolveCheckout({ source, commit: "@", uncommitted: "refuse" });
  const address = "127.0.0.1";
  let port = 8080;
  while (!(await canListen({ address, port }))) port += 1;
  const config = { [`${NAMESPACE}:source`]: source, [`${NAMESPACE}:listen`]: `${address}:${port}` };
  writeFileSync(file, stringify({ config }));
}
