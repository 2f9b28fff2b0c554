import { takeBuildLock } from "../engine/buildLock";
import { type CacheFacts, diskUse, emptyVolume, measureCaches } from "../engine/caches";
import type { DockerEngine } from "../engine/docker";
import { EngineError } from "../engine/problems";
import { parseReclaimed, pruneCommand } from "../engine/prune";
import { NAMESPACE } from "../freshness/project";
import { zip } from "../freshness/sure";
import type { DeployedService } from "../proof/deployment";
import { runtimeOf } from "../proof/runtime";
import { writeIntent } from "../release/intent";
import { ProjectCommand } from "./command";
import { deploy } from "./deploy";
import { run, stackName, UsageError } from "./project";
import { reachEngine } from "./server";
import { readRecord, readSecretConfig } from "./state";

interface Options {
  readonly stack: string;
  readonly dryRun?: boolean;
  readonly purge?: boolean;
  readonly json?: boolean;
}

/** What was cleared of one target, for `--json`. */
interface Cleared {
  readonly target: string;
  readonly path: string;
  readonly bytes: number;
  readonly cleared: boolean;
}

const command = new ProjectCommand("clear-caches")
  .description(
    "Clears the caches of running services without a failed request, then proves the services again.",
  )
  .argument("[target]", "all, or a service; all clears the engine's build cache too", "all")
  .ofStack()
  .option("--dry-run", "list what would be cleared")
  .option("--purge", "the whole build cache (docker builder prune -af), not only the part that no image uses")
  .json();

run(async () => {
  const started = performance.now();
  const { stack, dryRun, purge, json } = command.parse().opts<Options>();
  const [target] = command.processedArgs as [string];
  const config = await readSecretConfig(stack);
  const names = config.services.map(({ name }) => name);
  if (target !== "all" && !names.includes(target))
    throw new UsageError(`there is no target "${target}"; allowed: ${["all", ...names].join(", ")}`);
  const { deployment, current } = await readRecord(stack);
  const engine = await reachEngine(config);
  await engine.assertReachable();

  const cached = deployment.services.filter(
    ({ service: { name, caches } }) => (target === "all" || name === target) && caches.length > 0,
  );
  const here = await runtimeOf(deployment).here(engine, cached);
  const paths = zip(cached, here).flatMap(([{ service }, containers]) =>
    containers.flatMap((container) =>
      service.caches.map((path) => ({ service: service.name, container, path })),
    ),
  );
  const caches = await measureCaches(engine, paths);
  const say = (text: string) => (json ? process.stderr : process.stdout).write(`${text}\n`);
  const isSwarm = deployment.cluster !== undefined;
  if (isSwarm)
    say(
      "a Swarm: caches are measured on the manager; those on other nodes go with their replicas, and the build cache is the manager's",
    );
  for (const { service, path, bytes, volume } of caches)
    say(`${service} ${path}: ${megabytes(bytes)}${volume ? `, in volume ${volume.name}` : ""}`);
  if (cached.length === 0)
    say(`no cache paths are configured for ${target} (${NAMESPACE}:services.SERVICE.caches)`);
  if (dryRun) {
    if (target === "all")
      say(`build cache: ${await buildCacheSize(engine)}; docker builder prune ${purge ? "-af" : "-f"}`);
    if (json) print(caches.map((cache) => ({ ...cleared(cache), cleared: false })));
    return 0;
  }

  const done: Cleared[] = [];
  if (target === "all") {
    const { text, bytes } = await clearBuildCache(engine, stack, purge ?? false);
    say(`build cache: ${text} reclaimed`);
    done.push({ target: "build cache", path: "", bytes: bytes ?? 0, cleared: true });
  }
  const restartAlways = isSwarm && cached.length > 0;
  const deploying = { stack, commit: current.commit, started, restartAlways };
  const { status, isCleared } = await clearServices(engine, caches, cached, deploying);
  for (const cache of caches) {
    done.push({ ...cleared(cache), cleared: isCleared(cache) });
    const outcome = isCleared(cache) ? `${megabytes(cache.bytes)} cleared` : "not cleared";
    say(`${cache.service} ${cache.path}: ${outcome}`);
  }
  if (json) print(done);
  return status === 0 && done.every(({ cleared }) => cleared) ? 0 : 1;
});

/**
 * Empties the caches in volumes, and replaces the containers: new ones of the same images start with empty caches.
 *
 * @returns the deploy's exit status, and which caches are empty now
 */
async function clearServices(
  engine: DockerEngine,
  caches: readonly CacheFacts[],
  cached: readonly DeployedService[],
  {
    stack,
    commit,
    started,
    restartAlways,
  }: { stack: string; commit: string; started: number; restartAlways: boolean },
) {
  const filled = caches.filter(({ bytes }) => bytes > 0);
  // A service may write while its volume is being emptied.
  const left = new Set<CacheFacts>();
  for (const cache of filled)
    if (cache.volume && (await emptyVolume(engine, cache.volume)) > 0) left.add(cache);
  const restarts = filled.length > 0 || restartAlways;
  const status = restarts ? await restart(stack, commit, started) : 0;
  const now = restarts && status === 0 ? (await readRecord(stack)).deployment.services : [];
  const stays = ({ service }: CacheFacts) =>
    cached.some(
      (old) => old.service.name === service && now.some((each) => each.container === old.container),
    );
  const isCleared = (cache: CacheFacts) =>
    cache.bytes === 0 || (status === 0 && !left.has(cache) && !stays(cache));
  return { status, isCleared };
}

/** Starts the same release in new containers, with the proofs of every deploy. */
function restart(stack: string, commit: string, started: number): Promise<number> {
  writeIntent({ restart: commit });
  return deploy(stack, ["--yes", "--skip-preview"], { started, quiet: true });
}

/** Prunes the build cache while no deploy builds. */
async function clearBuildCache(engine: DockerEngine, stack: string, purge: boolean) {
  const warn = (text: string) => process.stderr.write(`${text}\n`);
  const lock = await takeBuildLock(engine, { stack: stackName(stack), say: warn, warn });
  try {
    const { stdout } = await engine.script(pruneCommand(purge ? "purge" : "prune"));
    return parseReclaimed(stdout);
  } catch (cause) {
    throw new EngineError(`docker builder prune: ${(cause as Error).message}`);
  } finally {
    await lock.release();
  }
}

async function buildCacheSize(engine: DockerEngine): Promise<string> {
  const cache = (await diskUse(engine)).find(({ what }) => what === "Build Cache");
  return `${cache?.size ?? "unknown"}, ${cache?.reclaimable ?? "unknown"} of it used by no image`;
}

function cleared({ service, path, bytes }: CacheFacts): Omit<Cleared, "cleared"> {
  return { target: service, path, bytes };
}

function megabytes(bytes: number): string {
  return `${(bytes / 1_000_000).toFixed(2)} MB`;
}

function print(value: unknown): void {
  process.stdout.write(`${JSON.stringify(value, null, 2)}\n`);
}
