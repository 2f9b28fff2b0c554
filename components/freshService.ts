import { join } from "node:path";
import * as docker from "@pulumi/docker";
import * as pulumi from "@pulumi/pulumi";
import { siteOf } from "../edge/site";
import { newEdgeMemoryMb } from "../edge/size";
import { DockerEngine } from "../engine/docker";
import { makeWorkPrivate, workFolder } from "../engine/workFolder";
import { type Certificate, certify, warningsOf } from "../freshness/chain";
import { hasVersion } from "../freshness/served/upstream";
import type { Deployment } from "../proof/deployment";
import { keptStages } from "../proof/proveImage";
import { readVersions } from "../proof/versions";
import { localProvider } from "../release/engineAccess";
import { spoken } from "../release/failure";
import { attempt } from "../release/lastDeploy";
import { lockBuilds } from "../release/lockBuilds";
import { configOf, type Kept, readKept, type Served, servedBy } from "../release/oneService";
import { provenImage } from "../release/provenImage";
import { release, releaseId } from "../release/release";
import { readHostDomains } from "../release/releaseNames";
import { deployedService } from "../release/releaseServices";
import { shortIdentity } from "../source/checkout";
import { prepareSource } from "../source/prepare";
import { BuildCachePrune } from "./buildCachePrune";
import { Edge } from "./edge";
import { FreshImage } from "./freshImage";
import { WebService } from "./webService";

export interface FreshServiceArgs {
  /** The build context: a folder in `source`. */
  readonly context: string;
  /** The port on which the container answers HTTP. */
  readonly port: number;
  /** The folder of the git checkout, relative to the project. Default: the project's folder. */
  readonly source?: string;
  /** Commit, tag or branch to deploy. Default: HEAD. */
  readonly commit?: string;
  /** `include` builds uncommitted changes too. Default: `refuse`, which fails the deploy if there are any. */
  readonly uncommitted?: "refuse" | "include";
  /** Address and port on which the service is served. Default: `127.0.0.1:8080`. */
  readonly listen?: string;
  /** Path of the Dockerfile in the context. Default: `Dockerfile`. */
  readonly dockerfile?: string;
  /** The stage to build. Default: the last one. */
  readonly target?: string;
  /** Build args besides GIT_COMMIT_HASH. Default: none. */
  readonly args?: Readonly<Record<string, string>>;
  /** Variables of the container. Default: none. */
  readonly env?: Readonly<Record<string, string>>;
  /** The path that answers with 2xx once the container is healthy. Default: `/`. */
  readonly health?: string;
  /** The path that answers with `{"commit": "<sha>"}`. Default: `/version`. */
  readonly version?: string;
  /** The file in the image that holds the commit. Default: `/app/COMMIT`. */
  readonly commitFile?: string;
  /** Memory limit of the container in MiB, swap included. Default: 1024. */
  readonly memoryMb?: number;
}

/**
 * One service on the local engine, deployed from a git commit and proven fresh: prunes the build cache, builds the
 * commit's files into an image, proves the image and its bytes, starts a new container beside the old one, routes an
 * edge to it, and proves what the address serves. The first broken link fails the deploy, and the old container keeps
 * serving.
 */
export class FreshService extends pulumi.ComponentResource<pulumi.Output<Served>> {
  /** Digest of the served image, `sha256:…`. */
  readonly digest: pulumi.Output<string>;
  /** ID of the serving container. */
  readonly containerId: pulumi.Output<string>;
  /** The served commit. */
  readonly commit: pulumi.Output<string>;
  /** Where the service is served. */
  readonly url: pulumi.Output<string>;
  /** The certificate: what each link of the freshness chain found. Undefined in a preview, which proves nothing. */
  readonly freshness: pulumi.Output<Certificate | undefined>;

  constructor(name: string, args: FreshServiceArgs, opts?: pulumi.ComponentResourceOptions) {
    super("watch-party:index:FreshService", name, args, opts);
    const served = pulumi.output(this.getData());
    this.digest = served.digest;
    this.containerId = served.containerId;
    this.commit = served.commit;
    this.url = served.url;
    this.freshness = served.apply(({ freshness }) => freshness as Certificate | undefined);
  }

  /** Reads git and the state before the first resource of the component. */
  protected override async initialize(
    args: FreshServiceArgs,
    _opts: pulumi.ComponentResourceOptions,
    name: string,
  ): Promise<pulumi.Output<Served>> {
    try {
      return await this.declare(name, args);
    } catch (cause) {
      return spoken(cause as Error);
    }
  }

  private async declare(name: string, args: FreshServiceArgs): Promise<pulumi.Output<Served>> {
    const { config, service } = configOf(name, { ...args });
    const preview = pulumi.runtime.isDryRun();
    // Containers are found by their label: each service has its own.
    const stack = `${pulumi.getProject()}-${pulumi.getStack()}-${name}`;
    const [kept] = await Promise.all([readKept(name), makeWorkPrivate(stack)]);
    const source = await prepareSource(config, join(workFolder(stack), "contexts"));
    const { identity: commit } = source.checkout;
    const inputs = source.inputs[name];
    if (inputs === undefined) throw new Error(`service ${name} has no build context`);
    const build = attempt({ service, commit, platform: config.platform }, kept?.build);
    const builds = build.id !== kept?.build.id;
    const engine = new DockerEngine({}, (text) => text);
    const lock = builds && !preview ? await lockBuilds(engine, stack) : undefined;

    const child = { parent: this };
    const provider = new docker.Provider(`${name}-engine`, localProvider(), child);
    const own = { ...child, provider };
    const labels = { stack };
    const edge = new Edge(
      `${name}-edge`,
      { listen: config.listen, labels, memoryMb: newEdgeMemoryMb(config, preview ? undefined : engine) },
      own,
    );
    const tag = shortIdentity(commit);
    const prune = new BuildCachePrune(
      `${name}-prune`,
      { tag, triggers: [build.id] },
      { ...child, dependsOn: edge },
    );
    const built = {
      ...service,
      dockerfile: inputs.dockerfilePath,
      platform: config.platform,
      commitFile: hasVersion(service) ? service.commitFile : "",
    };
    const image = new FreshImage(
      `${name}-image`,
      {
        context: source.contexts[name] ?? "",
        commit,
        dockerfile: built.dockerfile,
        target: service.target,
        args: service.args,
        platform: config.platform,
        repository: stack,
        tag,
        stages: keptStages(built, inputs),
        replacementTrigger: build.id,
      },
      { ...own, dependsOn: prune },
    );
    const { prunedAt } = prune;
    const record = provenImage(image, {
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
    const id = record.apply(({ digest }) => releaseId(commit, build.id, [digest]));
    const last = kept?.deployment;
    const hostDomains = preview
      ? pulumi.output<readonly string[]>([])
      : edge.containerId.apply((container) => readHostDomains(engine, container));
    const web = new WebService(
      name,
      {
        service,
        peers: [service],
        image: record.digest,
        healthClient: record.healthClient,
        starts: record.apply(({ starts }) => starts),
        network: edge.network,
        release: id,
        labels,
        publicUrl: config.publicUrl,
        names: { hostDomains },
        runsAlready: !builds,
        volumes: [],
      },
      own,
    );
    const deployment = pulumi
      .all([id, edge.containerId, edge.network, web.containerId, record, hostDomains])
      .apply(
        ([id, edge, network, container, { digest: image }, domains]): Deployment => ({
          commit,
          url: config.publicUrl,
          edge,
          id,
          network,
          services: [deployedService(service, { container, image, id, tag: `${stack}:${tag}` })],
          domains,
        }),
      );
    if (preview) return pulumi.all([record, deployment]).apply(([image, of]) => servedBy(of, image));
    const released = release(engine, deployment, siteOf(config), {
      stack,
      last,
      commands: pulumi.output({}),
      settleSeconds: config.settleSeconds,
      drainSeconds: config.drainSeconds,
    });
    const done = pulumi.all([released, record, deployment]);
    this.registerOutputs({
      kept: pulumi.secret(
        done.apply(
          ([, image, of]): Kept => ({
            build,
            image,
            deployment: of,
          }),
        ),
      ),
    });
    return done.apply(async ([{ verdicts, draining }, image, of]) => {
      await draining?.over;
      const certificate = certify({
        stack: pulumi.getStack(),
        commit,
        url: of.url,
        versions: await readVersions(engine),
        links: [...source.verdicts, ...image.verdicts, ...verdicts],
      });
      for (const warning of warningsOf(certificate.links)) await pulumi.log.warn(warning, this);
      return servedBy(of, image, certificate);
    });
  }
}
