import type { DeployConfig } from "../config/types";
import type { DockerEngine } from "../engine/docker";
import { startEarly } from "../engine/until";
import { basesOf, settleBases } from "./bases";
import { heldDependencies } from "./dependencies";
import type { LastDeploy } from "./lastDeploy";
import { type Plan, rebuilt } from "./plan";
import { assertDisk } from "./preflight";
import type { Bases, HeldDependencies } from "./record";

/** The inputs of a build besides the commit. */
export interface BuildBasis {
  /** The plan: unchanged, or changed to a rebuild because a base image has changed. */
  readonly plan: Plan;
  readonly bases: Bases;
  /** Service → the image that holds its dependencies. */
  readonly dependencies: Readonly<Record<string, HeldDependencies>>;
  /** How many services' images are built in parallel. */
  readonly parallel: number;
  /** Free bytes where the engine keeps its images. Absent if nothing is built or the engine cannot report it. */
  readonly free?: number;
  /** Resolves once base-image warnings are logged, so that a no-op need not wait for registries. */
  readonly said?: Promise<unknown>;
}

/** Memory that one build may use, in bytes. `next build` of a medium-sized app stays below it. */
const MEMORY_OF_A_BUILD = 2 * 1024 ** 3;

/**
 * Checks base images, dependencies, disk and memory on the engine that builds, before anything is changed.
 * @param engine absent in a preview, which assumes that nothing has changed
 * @param tag of the images to build
 * @throws EngineError if there is too little disk
 */
export async function buildBasis(
  engine: DockerEngine | undefined,
  wanted: Plan,
  {
    config,
    last: { record },
    repository,
    tag,
  }: {
    readonly config: DeployConfig;
    readonly last: LastDeploy;
    readonly repository: (service: string) => string;
    readonly tag: string;
  },
): Promise<BuildBasis> {
  const asked = await withImages(engine, wanted, config, (service) => `${repository(service)}:${tag}`);
  if (asked.kind === "reuse") return { plan: asked, bases: {}, dependencies: {}, parallel: 1 };
  const { source, reused } = asked;
  const { bases: lastBases = {}, dependencies: lastDependencies = {} } = reused ?? record?.current ?? {};
  const current = record?.current;
  const before = { bases: lastBases, dependencies: lastDependencies };

  const names = basesOf(config, source);
  const { baseImages: mode, services, platform, buildCache } = config;
  const settling =
    engine &&
    settleBases(engine, [...new Set(Object.values(names).flat())], {
      built: before.bases,
      builds: asked.builds,
      mode,
    });
  if (!asked.builds && mode === "report") {
    return { plan: asked, ...before, parallel: services.length, said: startEarly(settling) };
  }
  const found = await settling;
  const bases = found?.bases ?? before.bases;
  const plan = found?.outdated && !asked.builds ? rebuilt(asked, config) : asked;
  if (!plan.builds) return { plan, ...before, parallel: services.length };

  const lastImages = Object.values(current?.images ?? {}).map(({ digest }) => digest);
  const [free, info, sameTag = []] = await Promise.all(
    engine ? [assertDisk(engine, lastImages), engine.info(), engine.listTags([`*:${tag}`])] : [],
  );
  const dependencies = await heldDependencies(engine, {
    contexts: source.dependencies,
    platform,
    repository,
    known: current?.dependencies,
    bases: Object.fromEntries(
      Object.entries(names).map(([service, own]) => [
        service,
        Object.fromEntries(own.map((name) => [name, bases[name] ?? ""])),
      ]),
    ),
    // The same rule as the prune's: see pruneCommand.
    purges: buildCache === "purge" || sameTag.length > 0,
  });
  const parallel =
    config.parallelBuilds ?? Math.max(1, Math.floor((info?.MemTotal ?? Infinity) / MEMORY_OF_A_BUILD));
  return { plan, bases, dependencies, parallel, ...(free === undefined ? {} : { free }) };
}

/** Returns the plan, changed to a rebuild if an image to reuse no longer exists under its name. */
async function withImages(
  engine: DockerEngine | undefined,
  plan: Plan,
  config: DeployConfig,
  name: (service: string) => string,
): Promise<Plan> {
  if (!plan.reused || !engine) return plan;
  const wanted = Object.entries(plan.reused.images);
  const found = await Promise.all(wanted.map(([service]) => engine.inspectImage(name(service))));
  const areThere = wanted.every(([, { digest }], at) => found[at]?.Id === digest);
  return areThere ? plan : rebuilt(plan, config);
}
