import * as docker from "@pulumi/docker";
import * as pulumi from "@pulumi/pulumi";
import type { Certificate } from "../freshness/chain";
import { localProvider } from "../release/engineAccess";
import { spoken } from "../release/failure";
import { assertArguments, OneService, type Served } from "../release/oneService";
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

/** All arguments. Another key of a stack's services would have no effect. */
const ARGUMENTS = Object.keys({
  context: true,
  port: true,
  source: true,
  commit: true,
  uncommitted: true,
  listen: true,
  dockerfile: true,
  target: true,
  args: true,
  env: true,
  health: true,
  version: true,
  commitFile: true,
  memoryMb: true,
} satisfies Record<keyof FreshServiceArgs, true>);

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
    assertArguments(`FreshService ${name}`, args, ARGUMENTS);
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
    const one = await OneService.prepare(name, args);
    const child = { parent: this };
    const provider = new docker.Provider(`${name}-engine`, localProvider(), child);
    const own = { ...child, provider };

    const edge = new Edge(`${name}-edge`, one.edgeArgs(), own);
    const prune = new BuildCachePrune(`${name}-prune`, one.pruneArgs(), { ...child, dependsOn: edge });
    const image = new FreshImage(`${name}-image`, one.imageArgs(), { ...own, dependsOn: prune });
    const proven = one.prove(image, prune.prunedAt);
    const web = new WebService(name, one.serviceArgs(proven, edge), own);
    const warn = (text: string) => pulumi.log.warn(text, this);
    const { served, kept } = one.publish(proven, edge, web.containerId, warn);
    if (kept) this.registerOutputs({ kept });
    return served;
  }
}
