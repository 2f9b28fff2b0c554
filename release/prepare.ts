import * as pulumi from "@pulumi/pulumi";
import { type DeployConfig, imageOf } from "../config/types";
import { changedEdgeKeys } from "../edge/site";
import { newEdgeMemoryMb } from "../edge/size";
import { type Ahead, proveAhead } from "../edge/switch";
import type { BuildLock } from "../engine/buildLock";
import type { DockerEngine } from "../engine/docker";
import { registryOf } from "../engine/registry";
import { heldText, readLock } from "../engine/stackLock";
import { startEarly } from "../engine/until";
import type { Deployment } from "../proof/deployment";
import { ailingOf } from "../proof/runtime";
import { shortIdentity } from "../source/checkout";
import { type PinnedAccessory, pinAccessories } from "./accessories";
import { type BuildBasis, buildBasis } from "./buildBasis";
import { guardData, warnOfOverlaps } from "./dataGuard";
import { begin, connectEngine, type Engines, logInPlugin } from "./engineAccess";
import { tellBuildLog } from "./failedBuild";
import { joinFront, placeBehind } from "./front";
import { hook } from "./hook";
import { readIntent } from "./intent";
import type { Labels } from "./labels";
import { type LastDeploy, lastDeploy } from "./lastDeploy";
import { lockBuilds } from "./lockBuilds";
import { announce, healed, type Plan, planDeploy } from "./plan";
import { preflight } from "./preflight";
import { assertKept } from "./releases";
import { settleVolumes } from "./settleVolumes";
import { keepNames, type Settled, settleStanding } from "./standing";
import { STEP_ENDED, StepClock } from "./stepClock";
import type { VolumePlan } from "./volumePlan";

/** Names of a stack's images. */
interface ImageNames {
  /** Service → the repository of its images. */
  readonly repository: (service: string) => string;
  /** The tag of this commit's images. */
  readonly tag: string;
}

/** What a deploy knows and has decided before it declares its first resource. */
export interface Prepared {
  readonly config: DeployConfig;
  readonly stack: string;
  readonly labels: Labels;
  /** A preview reads git and the state. It does not connect to an engine. */
  readonly preview: boolean;
  readonly clock: StepClock;
  readonly access: Engines;
  /** The engine that runs the stack; absent in a preview. */
  readonly engine: DockerEngine | undefined;
  readonly last: LastDeploy;
  readonly plan: Plan;
  readonly basis: BuildBasis;
  readonly names: ImageNames;
  readonly volumes: VolumePlan;
  /** The accessories, with the images that they run. */
  readonly accessories: readonly PinnedAccessory[];
  /** What runs of this stack but is not in its state; absent in a preview. */
  readonly standing?: Settled;
  /** The lock for pruning and building on the engine; absent if nothing is built. */
  readonly lock?: Promise<BuildLock>;
  /** Runs when a build fails, and logs the compiler's output. */
  readonly onFailure?: pulumi.ErrorHook;
  /** Whether new containers are created. */
  readonly changesRun: boolean;
  /** Whether the containers of the last deploy continue. */
  readonly isUnchanged: boolean;
  /** Proofs of the serving release, started early, for an `up` that changes nothing. */
  readonly ahead?: Ahead;
}

/**
 * Reads the state, git and the engine in parallel, and decides what this deploy does.
 * @throws ConfigError, RunError, EngineError or FreshnessError, before anything is changed
 */
export async function prepareDeploy(config: DeployConfig): Promise<Prepared> {
  const preview = pulumi.runtime.isDryRun();
  const clock = new StepClock(preview ? undefined : showStep);
  const project = pulumi.getProject();
  const begun = await begin(config);
  const { stack, cli } = begun;

  // Read the state before the first resource: a file backend rewrites it for each resource, and a reader can read an
  // incomplete file.
  const reading = lastDeploy();
  const planning = startEarly(planDeploy(config, reading));
  const last = await reading;
  const { record } = last;
  const access = await connectEngine(config, begun);
  const engine = preview ? undefined : access.engine;
  const edge = record?.deployment?.edge;
  // Both engines are checked while git is read. An error in the source is reported first.
  const checks = startEarly(engine && preflight({ engine, config, stack }));
  // What changes something on the engine waits until it is known that no one has locked the stack.
  const unlocked = startEarly(assertUnlocked(engine, edge, stack));
  const pinning = startEarly(unlocked.then(() => pinAccessories(config.accessories, record, engine)));
  const settlingStanding = startEarly(
    unlocked.then(() => engine && settleStanding(engine, standingOf(config, stack, last, cli))),
  );
  const looking = startEarly(unlocked.then(() => engine && record && ailingOf(engine, record.deployment)));
  const joining = startEarly(
    unlocked.then(() => engine && joinFront(engine, config, stack, record?.deployment)),
  );
  const planned = await planning;
  const runs = (plan: Plan) => !preview && record !== undefined && plan.run.id === record.run.id;
  const aheadOf = () => (record ? proveAhead(access.engine, record.deployment) : undefined);
  // Most often nothing ails what runs: it is proven while that is found out.
  const proving = runs(planned) ? aheadOf() : undefined;
  // An engine that does not answer is explained by its checks.
  await unlocked.catch((cause: Error) => checks?.then(() => Promise.reject(cause)));
  // A service that does not run as deployed gets a new container.
  const looked = runs(planned) ? await looking : undefined;
  await joining;
  const asked = looked ? await healed(planned, config, looked.ailing) : planned;

  const builder = access.builder?.engine ?? access.engine;
  const takeLock = () => lockBuilds(builder, stack);
  const early = startEarly(asked.builds && !preview ? takeLock() : undefined);
  const isUnchanged = runs(asked);
  if (!preview && !isUnchanged) logInPlugin(config, begun);
  const ahead = isUnchanged ? (looked?.mended ? aheadOf() : proving) : undefined;
  const names = {
    repository: (service: string) => `${project}-${stack}-${service}`,
    tag: shortIdentity(asked.commit),
  };
  const settling = startEarly(
    buildBasis(preview ? undefined : builder, asked, {
      config,
      last,
      repository: names.repository,
      tag: names.tag,
    }),
  );
  const services = [...new Set(config.services.map(imageOf))];
  const imageName = (service: string) => `${names.repository(service)}:${names.tag}`;
  const keeping = startEarly(
    asked.kind === "reuse" && engine
      ? assertKept(engine, asked.release, services, imageName, registryOf(config))
      : undefined,
  );
  await warnOfOverlaps(config);
  const settlingVolumes = startEarly(settleVolumes(config, record, engine));
  const guard = async () =>
    guardData({ config, source: asked.source, record, volumes: await settlingVolumes, engine });
  const guarding = startEarly(asked.run.id === record?.run?.id ? undefined : guard());

  await checks;
  const volumes = await settlingVolumes;
  const standing = await settlingStanding;
  const accessories = await pinning;
  keepNames();
  const basis = await settling;
  const { plan } = basis;
  announce(plan);
  announceEdge(config, record?.deployment);
  for (const note of volumes.notes) void pulumi.log.info(note);
  const lock = plan.builds && !preview ? (early ?? takeLock()) : undefined;
  const changesRun = plan.run.id !== record?.run?.id;
  await Promise.all([keeping, guarding ?? (changesRun ? guard() : undefined)]);
  if (plan.builds && engine) await hook(config, "beforeBuild", { commit: plan.commit, last: record });
  const onFailure = plan.builds && engine ? await tellBuildLog(builder) : undefined;
  clock.end("prepare");
  return {
    config,
    stack,
    labels: { stack },
    preview,
    clock,
    access,
    engine,
    last,
    plan,
    basis,
    names,
    volumes,
    accessories,
    standing,
    lock,
    onFailure,
    changesRun,
    isUnchanged,
    ahead,
  };
}

/** Sends the end of a step to the CLI, as a status that its own display replaces with the next one. */
function showStep(step: string): void {
  void pulumi.log.info(`${STEP_ENDED}${step}`, undefined, undefined, true);
}

/** What the edge is made of: the addresses that it listens at, and the memory that it may use. */
export function edgeArgs({ config, engine, labels, standing }: Prepared) {
  const { listen, domain } = config;
  return {
    listen,
    domain,
    front: placeBehind(config),
    labels,
    memoryMb: newEdgeMemoryMb(config, engine),
    handOver: standing?.handOver,
  };
}

/** @throws RunError if somebody has locked the stack */
async function assertUnlocked(
  engine: DockerEngine | undefined,
  edge: string | undefined,
  stack: string,
): Promise<void> {
  const held = engine && edge !== undefined ? await readLock(engine, edge) : undefined;
  if (held) throw new pulumi.RunError(heldText(stack, held));
}

/** Says, in a preview too, that the edge loads another configuration. */
function announceEdge(config: DeployConfig, last: Deployment | undefined): void {
  const changed = changedEdgeKeys(config, last);
  if (changed.length > 0)
    void pulumi.log.info(
      `The edge reloads its configuration, its port stays open; changed: ${changed.join(", ")}`,
    );
}

/** What identifies running containers and volumes that are not in the state. */
function standingOf(config: DeployConfig, stack: string, { record, state }: LastDeploy, cli: number) {
  const deployment = record?.deployment;
  return {
    stack,
    state,
    isSwarm: config.cluster !== undefined || deployment?.cluster !== undefined,
    adopts: readIntent().adopt ?? false,
    isFirst: record === undefined,
    healed: [
      ...(deployment?.services ?? []).map(({ container }) => container),
      ...Object.values(record?.volumes ?? {}).map(({ name }) => name ?? ""),
    ],
    cli,
  };
}
