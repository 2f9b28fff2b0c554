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
import { announce, healed, type Plan, planDeploy, type ReusePlan } from "./plan";
import { preflight } from "./preflight";
import { assertKept } from "./releases";
import { imageRepository } from "./resourceNames";
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
  const look = lookAtEngine({ config, stack, cli, engine, last });
  const { asked, ahead } = await decide(await planning, { config, record, access, preview, look });

  const builder = access.builder?.engine ?? access.engine;
  const takeLock = () => lockBuilds(builder, stack);
  const early = startEarly(asked.builds && !preview ? takeLock() : undefined);
  if (!preview && ahead === undefined) logInPlugin(config, begun);
  const project = pulumi.getProject();
  const names: ImageNames = {
    repository: (service) => imageRepository(project, stack, service),
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
  const keeping = startEarly(
    asked.kind === "reuse" && engine ? keep(engine, asked, config, names) : undefined,
  );
  await warnOfOverlaps(config);
  const settlingVolumes = startEarly(settleVolumes(config, record, engine));
  const guard = async () =>
    guardData({ config, source: asked.source, record, volumes: await settlingVolumes, engine });
  const guarding = startEarly(asked.run.id === record?.run?.id ? undefined : guard());

  await look.checks;
  const volumes = await settlingVolumes;
  const standing = await look.standing;
  const accessories = await look.accessories;
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
    isUnchanged: ahead !== undefined,
    ahead,
  };
}

interface EngineLook {
  readonly config: DeployConfig;
  readonly stack: string;
  /** The process of the CLI. */
  readonly cli: number;
  /** Absent in a preview. */
  readonly engine: DockerEngine | undefined;
  readonly last: LastDeploy;
}

/** Checks and reads the engine that runs the stack, while git is read: an error in the source is reported first. */
function lookAtEngine({ config, stack, cli, engine, last }: EngineLook) {
  const { record } = last;
  const deployment = record?.deployment;
  // What changes something on the engine waits until it is known that no one has locked the stack.
  const unlocked = startEarly(assertUnlocked(engine, deployment?.edge, stack));
  const then = <T>(work: () => T | Promise<T>) => startEarly(unlocked.then(work));
  return {
    unlocked,
    checks: startEarly(engine && preflight({ engine, config, stack })),
    accessories: then(() => pinAccessories(config.accessories, record, engine)),
    standing: then(() => engine && settleStanding(engine, standingOf(config, stack, last, cli))),
    ailing: then(() => engine && record && ailingOf(engine, record.deployment)),
    front: then(() => engine && joinFront(engine, config, stack, deployment)),
  };
}

interface Decision {
  readonly asked: Plan;
  /** Proofs of the serving release; absent if this deploy changes what runs. */
  readonly ahead?: Ahead;
}

/**
 * Decides whether the containers of the last deploy continue. A service that does not run as deployed gets a new one.
 * @throws RunError if the stack is locked; the error of the checks if the engine does not answer
 */
async function decide(
  planned: Plan,
  {
    config,
    record,
    access,
    preview,
    look,
  }: {
    readonly config: DeployConfig;
    readonly record: LastDeploy["record"];
    readonly access: Engines;
    readonly preview: boolean;
    readonly look: ReturnType<typeof lookAtEngine>;
  },
): Promise<Decision> {
  const running = preview ? undefined : record;
  const continues = (plan: Plan) => running !== undefined && plan.run.id === running.run.id;
  const prove = () => running && proveAhead(access.engine, running.deployment);
  // Most often nothing ails what runs: it is proven while that is found out.
  const proving = continues(planned) ? prove() : undefined;
  await look.unlocked.catch((cause: Error) => look.checks?.then(() => Promise.reject(cause)));
  const looked = continues(planned) ? await look.ailing : undefined;
  await look.front;
  const asked = looked ? await healed(planned, config, looked.ailing) : planned;
  if (!continues(asked)) return { asked };
  return { asked, ahead: looked?.mended ? prove() : proving };
}

/** Checks that the images of a release still exist under their names. */
function keep(engine: DockerEngine, { release }: ReusePlan, config: DeployConfig, names: ImageNames) {
  const services = [...new Set(config.services.map(imageOf))];
  const imageName = (service: string) => `${names.repository(service)}:${names.tag}`;
  return assertKept(engine, release, services, imageName, registryOf(config));
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
