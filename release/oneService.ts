import { join } from "node:path";
import * as pulumi from "@pulumi/pulumi";
import { parseConfig } from "../config";
import type { DeployConfig, ServiceConfig } from "../config/types";
import { siteOf } from "../edge/site";
import { newEdgeMemoryMb } from "../edge/size";
import { DockerEngine } from "../engine/docker";
import { makeWorkPrivate, workFolder } from "../engine/workFolder";
import { type Certificate, certify, warningsOf } from "../freshness/chain";
import { hasVersion } from "../freshness/served/upstream";
import type { Deployment } from "../proof/deployment";
import { keptStages } from "../proof/proveImage";
import { ailingOf } from "../proof/runtime";
import { readVersions } from "../proof/versions";
import { shortIdentity } from "../source/checkout";
import { prepareSource, type Source } from "../source/prepare";
import { attempt } from "./lastDeploy";
import { lockBuilds } from "./lockBuilds";
import { type ProvableImage, provenImage } from "./provenImage";
import type { Attempt, ImageRecord } from "./record";
import { release } from "./release";
import { readHostDomains, releaseId } from "./releaseNames";
import { deployedService } from "./releaseServices";
import { imageRepository } from "./resourceNames";
import { readStackState } from "./stackState";

/** Keys of a stack, and of its one service. */
interface ServiceKeys {
  readonly source?: string;
  readonly commit?: string;
  readonly uncommitted?: string;
  readonly listen?: string;
  readonly [key: string]: unknown;
}

/** What the state keeps of the last successful deploy of the service. */
interface Kept {
  readonly build: Attempt;
  /** The attempt that created the container. Absent if it is the build's. */
  readonly run?: Attempt;
  readonly image: ImageRecord;
  readonly deployment: Deployment;
}

/** A service that is served and proven. */
export interface Served {
  readonly digest: string;
  readonly containerId: string;
  readonly commit: string;
  readonly url: string;
  /** What each link of the freshness chain found; absent in a preview, which proves nothing. */
  readonly freshness?: Certificate;
}

/** The edge, once declared. */
interface DeclaredEdge {
  readonly containerId: pulumi.Output<string>;
  readonly network: pulumi.Output<string>;
}

/** A deploy of one service: the inputs of the components that it consists of, and the proofs of what they made. */
export class OneService {
  /** The build arg GIT_COMMIT_HASH. */
  private readonly commit: string;
  private readonly stack: string;
  private readonly labels: { readonly stack: string };
  private readonly tag: string;
  private domains?: pulumi.Output<readonly string[]>;
  private readonly built: ServiceConfig & { readonly dockerfile: string; readonly platform: string };

  private constructor(
    private readonly config: DeployConfig,
    private readonly service: ServiceConfig,
    private readonly source: Source,
    private readonly kept: Kept | undefined,
    private readonly build: Attempt,
    private readonly run: Attempt,
    private readonly engine: DockerEngine,
    /** Released once the image is proven; absent in a preview and if nothing is built. */
    private readonly lock: Awaited<ReturnType<typeof lockBuilds>> | undefined,
  ) {
    this.commit = source.checkout.identity;
    this.stack = stackOf(service.name);
    this.labels = { stack: this.stack };
    this.tag = shortIdentity(this.commit);
    this.built = {
      ...service,
      dockerfile: this.inputs.dockerfilePath,
      platform: config.platform,
      commitFile: hasVersion(service) ? service.commitFile : "",
    };
  }

  /**
   * Reads git and the state, and takes the lock for builds if something is built.
   * @throws ConfigError or FreshnessError, before anything is changed
   */
  static async prepare(name: string, args: object): Promise<OneService> {
    const { config, service } = configOf(name, { ...args });
    const stack = stackOf(name);
    const [kept] = await Promise.all([readKept(name), makeWorkPrivate(stack)]);
    const source = await prepareSource(config, join(workFolder(stack), "contexts"));
    const engine = new DockerEngine({}, (text) => text);
    const inputs = { service, commit: source.checkout.identity, platform: config.platform };
    const { build, run } = await planService(inputs, kept, pulumi.runtime.isDryRun() ? undefined : engine);
    const builds = build.id !== kept?.build.id;
    const lock = builds && !pulumi.runtime.isDryRun() ? await lockBuilds(engine, stack) : undefined;
    return new OneService(config, service, source, kept, build, run, engine, lock);
  }

  private get builds(): boolean {
    return this.build.id !== this.kept?.build.id;
  }

  /** Whether the container of the last deploy continues. */
  private get runsAlready(): boolean {
    return this.kept !== undefined && this.run.id === ranAs(this.kept).id;
  }

  private get repository(): string {
    return imageRepository(pulumi.getProject(), pulumi.getStack(), this.service.name);
  }

  private get inputs() {
    const inputs = this.source.inputs[this.service.name];
    if (inputs === undefined) throw new Error(`service ${this.service.name} has no build context`);
    return inputs;
  }

  edgeArgs() {
    const { config, engine, labels } = this;
    return {
      listen: config.listen,
      labels,
      memoryMb: newEdgeMemoryMb(config, pulumi.runtime.isDryRun() ? undefined : engine),
    };
  }

  pruneArgs() {
    return { tag: this.tag, triggers: [this.build.id] };
  }

  imageArgs() {
    const { service, source, commit, built, repository, tag, build, inputs } = this;
    return {
      context: source.contexts[service.name] ?? "",
      commit,
      dockerfile: built.dockerfile,
      target: service.target,
      args: service.args,
      platform: built.platform,
      repository,
      tag,
      stages: keptStages(built, inputs),
      replacementTrigger: build.id,
    };
  }

  /** Proves the image. What depends on the result waits for the proof. */
  prove(image: ProvableImage, prunedAt: pulumi.Output<string>): pulumi.Output<ImageRecord> {
    const { engine, built, commit, inputs, kept, builds, lock } = this;
    return provenImage(image, {
      engine,
      service: built,
      commit,
      inputs,
      prunedAt,
      known: kept?.image,
      builds,
    }).apply(async (proven) => {
      image.remember(undefined);
      await lock?.release();
      return proven;
    });
  }

  serviceArgs(image: pulumi.Output<ImageRecord>, edge: DeclaredEdge) {
    const { config, service, labels, runsAlready } = this;
    return {
      service,
      peers: [service],
      image: image.digest,
      healthClient: image.healthClient,
      starts: image.apply(({ starts }) => starts),
      network: edge.network,
      release: this.releaseOf(image),
      labels,
      publicUrl: config.publicUrl,
      names: { hostDomains: this.hostDomains(edge) },
      runsAlready,
      volumes: [],
    };
  }

  /** Leads the edge to the container, and proves what the address serves. A preview proves nothing. */
  publish(
    image: pulumi.Output<ImageRecord>,
    edge: DeclaredEdge,
    containerId: pulumi.Output<string>,
    warn: (text: string) => Promise<void>,
  ): { readonly served: pulumi.Output<Served>; readonly kept?: pulumi.Output<Kept> } {
    const { config, engine, stack, build, run, source } = this;
    const deployment = this.deploymentOf(image, edge, containerId);
    if (pulumi.runtime.isDryRun())
      return { served: pulumi.all([image, deployment]).apply(([image, of]) => servedBy(of, image)) };
    const released = release(engine, deployment, siteOf(config), {
      stack,
      last: this.kept?.deployment,
      commands: pulumi.output({}),
      settleSeconds: config.settleSeconds,
      drainSeconds: config.drainSeconds,
    });
    const done = pulumi.all([released, image, deployment]);
    const kept = done.apply(
      ([, image, of]): Kept => ({
        build,
        run,
        image,
        deployment: of,
      }),
    );
    const served = done.apply(async ([{ verdicts, draining }, image, of]) => {
      await draining?.over;
      const certificate = certify({
        stack: pulumi.getStack(),
        commit: of.commit,
        url: of.url,
        versions: await readVersions(engine),
        links: [...source.verdicts, ...image.verdicts, ...verdicts],
      });
      for (const warning of warningsOf(certificate.links)) await warn(warning);
      return servedBy(of, image, certificate);
    });
    return { served, kept: pulumi.secret(kept) };
  }

  private deploymentOf(
    image: pulumi.Output<ImageRecord>,
    edge: DeclaredEdge,
    containerId: pulumi.Output<string>,
  ): pulumi.Output<Deployment> {
    const { commit, config, service, repository, tag } = this;
    const id = this.releaseOf(image);
    return pulumi
      .all([id, edge.containerId, edge.network, containerId, image.digest, this.hostDomains(edge)])
      .apply(
        ([id, edge, network, container, image, domains]): Deployment => ({
          commit,
          url: config.publicUrl,
          edge,
          id,
          network,
          services: [deployedService(service, { container, image, id, tag: `${repository}:${tag}` })],
          domains,
        }),
      );
  }

  private releaseOf(image: pulumi.Output<ImageRecord>): pulumi.Output<string> {
    return image.digest.apply((digest) => releaseId(this.commit, this.run.id, [digest]));
  }

  /** Read once, in the edge's container. A container that continues keeps its names. */
  private hostDomains(edge: DeclaredEdge): pulumi.Output<readonly string[]> {
    const { domains = [] } = this.kept?.deployment ?? {};
    this.domains ??=
      pulumi.runtime.isDryRun() || this.runsAlready
        ? pulumi.output(domains)
        : edge.containerId.apply((container) => readHostDomains(this.engine, container));
    return this.domains;
  }
}

/** Containers are found by their label: each service has its own. No name in it has a slash. */
function stackOf(name: string): string {
  return `${pulumi.getStack()}/${name}`;
}

/** The attempt that created the running container. */
function ranAs({ run, build }: Kept): Attempt {
  return run ?? build;
}

/**
 * A program in JavaScript has no compiler that refuses what the component does not have. Such a value is in no state.
 * @throws RunError that names the keys
 */
export function assertArguments(what: string, args: object, allowed: readonly string[]): void {
  const wrong = Object.keys(args).filter((key) => !allowed.includes(key));
  if (wrong.length > 0)
    throw new pulumi.RunError(
      `${what}: not an argument: ${wrong.join(", ")}; allowed: ${allowed.join(", ")}`,
    );
}

/**
 * Decides whether the service is built, and whether its container is a new one. Starts a stopped edge. A container that
 * does not run as it was deployed is replaced; if its image is gone too, the image is built again.
 * @param engine absent in a preview
 */
async function planService(
  inputs: unknown,
  kept: Kept | undefined,
  engine: DockerEngine | undefined,
): Promise<{ readonly build: Attempt; readonly run: Attempt }> {
  const { ailing } = kept && engine ? await ailingOf(engine, kept.deployment) : { ailing: [] };
  const build = attempt(inputs, kept?.build);
  if (kept === undefined || build.id !== kept.build.id) return { build, run: build };
  const [found] = ailing;
  if (found === undefined) return { build, run: ranAs(kept) };
  const does = found.needsBuild ? "built again" : "started in a new container";
  await pulumi.log.warn(`${found.service} does not run as it was deployed: ${found.wrong}; it is ${does}`);
  const again = attempt(inputs, undefined);
  return found.needsBuild ? { build: again, run: again } : { build, run: again };
}

/** The configuration of a stack with this service alone. */
function configOf(
  name: string,
  { source = ".", commit, uncommitted, listen, ...service }: ServiceKeys,
): { readonly config: DeployConfig; readonly service: ServiceConfig } {
  const keys = { source, commit, uncommitted, listen };
  const given = Object.fromEntries(Object.entries(keys).filter(([, value]) => value !== undefined));
  const config = parseConfig({ ...given, services: { [name]: { route: "/", ...service } } });
  const [only] = config.services;
  if (only === undefined) throw new Error(`service ${name} has no configuration`);
  return { config, service: only };
}

/** The last successful deploy of the service, from the stack's state. */
async function readKept(name: string): Promise<Kept | undefined> {
  const state = await readStackState();
  const own = state?.find((each) => each.type === "watch-party:index:FreshService" && each.name === name);
  return own?.outputs.kept as Kept | undefined;
}

/** The outputs of the component. */
function servedBy(
  { commit, url, services }: Deployment,
  { digest }: ImageRecord,
  freshness?: Certificate,
): Served {
  return {
    digest,
    containerId: services[0]?.container ?? "",
    commit,
    url,
    freshness,
  };
}
