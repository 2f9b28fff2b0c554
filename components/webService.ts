import * as docker from "@pulumi/docker";
import * as pulumi from "@pulumi/pulumi";
import type { ServiceConfig } from "../config";
import type { DockerEngine } from "../engine/docker";
import { type OneOff, runOnce } from "../engine/oneOff";
import { publicHeaders } from "../freshness/served/asking";
import { fail } from "../release/failure";
import { DNS_OPTIONS, type NameSearch, releaseDomain, searchDomains } from "../release/releaseNames";
import { capabilityName } from "./capabilities";
import { CommandLog } from "./commandLog";
import { seconds, swarmSeconds } from "./durations";
import { type Labels, labelList } from "./labels";
import { secretResources } from "./resourceNames";
import { containerOptions, stopTimeouts } from "./runOptions";
import type { MountedVolume } from "./stackVolumes";
import { type ClusterPlace, runService } from "./swarmService";

export interface WebServiceArgs {
  readonly service: ServiceConfig;
  /** All services of the release: each container finds the others by `<SERVICE>_URL`. */
  readonly peers: readonly ServiceConfig[];
  /** The image's digest. */
  readonly image: pulumi.Input<string>;
  /** What Docker's own health check can use in the image; with `none` the deploy alone asks, from outside. */
  readonly healthClient: pulumi.Input<string>;
  /** The name of the network that the edge shares. */
  readonly network: pulumi.Input<string>;
  /** Names the release in host names: no alias is ever shared by two releases. */
  readonly release: pulumi.Input<string>;
  readonly labels: Labels;
  /** The public address: the health check asks as a user of it would. */
  readonly publicUrl: string;
  readonly names: NameSearch;
  /** Whether this very release runs already: what the program writes otherwise since changes none of its containers. */
  readonly runsAlready: boolean;
  readonly volumes: readonly MountedVolume[];
  /** Where it runs on a Swarm; absent: a container of the one engine. */
  readonly cluster?: ClusterPlace;
  /** On a Swarm: stops what runs of the service before its next one is made; absent where none is. */
  readonly pause?: (service: string) => Promise<void>;
  /** Where the release's command is to be run before its container starts: the engine that runs it. */
  readonly releaseOn?: DockerEngine;
}

/**
 * One service of a release. A new container starts beside the old one, which goes only when all else has succeeded; it
 * has no fixed name, so that a failed create never blocks the next one.
 */
export class WebService extends pulumi.ComponentResource {
  readonly containerId: pulumi.Output<string>;
  /** The release command that is still to run, where the old container has to stop before it. */
  readonly releaseCommand?: pulumi.Output<() => Promise<void>>;

  constructor(name: string, args: WebServiceArgs, opts?: pulumi.ComponentResourceOptions) {
    super("watch-party:index:WebService", name, {}, opts);
    const { service, peers, network, release, labels, volumes } = args;
    const child = { parent: this };
    const envs = pulumi.output(release).apply((id) => environment(service, peers, id));
    const waits = recreates(service, args.cluster);
    const commanding =
      service.releaseCommand === undefined
        ? undefined
        : // Of what the command was given, nothing is in the image's name.
          pulumi.unsecret(
            pulumi
              .all([args.image, envs, network, volumes, searchDomains(release, args.names)])
              .apply(([image, env, network, mounted, search]) => ({
                image,
                run: () => runReleaseCommand(args, { image, env, network, mounted, search }),
              })),
          );
    if (waits && !pulumi.runtime.isDryRun()) this.releaseCommand = commanding?.apply(({ run }) => run);
    const { pause } = args;
    const pauses = service.strategy === "recreate" && args.cluster !== undefined && pause !== undefined;
    const paused = async () => (pauses ? pause(name) : undefined);
    const image = waits
      ? args.image
      : commanding !== undefined
        ? commanding.apply(async ({ image, run }) => {
            await paused();
            await run();
            return image;
          })
        : pauses
          ? pulumi.output(args.image).apply(async (image) => {
              await paused();
              return image;
            })
          : args.image;
    const healthcheck = pulumi
      .output(args.healthClient)
      .apply((client) =>
        client !== "none" && service.port !== undefined
          ? healthCheck(service, args.publicUrl, args.cluster)
          : undefined,
      );
    const run = args.cluster === undefined ? runContainer : runService;
    const host = pulumi.output(release).apply((id) => hostName(name, id));
    const aliases = pulumi
      .output(release)
      .apply((id) => [hostName(name, id), `${name}.${releaseDomain(id)}`]);
    const search = searchDomains(release, args.names);
    const secrets = peers.map((peer) => [peer.name, Object.keys(peer.secretEnv)] as const);
    const secretNames = secretResources(Object.fromEntries(secrets))[name] ?? {};
    const spec: RunSpec = {
      service,
      image,
      envs,
      host,
      aliases,
      search,
      network,
      healthcheck,
      volumes,
      labels,
      secretNames,
      cluster: args.cluster,
    };
    const ignoreChanges = args.cluster === undefined ? WRITTEN_ANEW.container : WRITTEN_ANEW.service;
    this.containerId = run(name, spec, args.runsAlready ? { ...child, ignoreChanges } : child);
    this.registerOutputs({ containerId: this.containerId });
  }
}

/** What the program alone decides of a container, and a newer version of it may write otherwise. */
const WRITTEN_ANEW = {
  container: ["healthcheck", "capabilities", "networksAdvanced[0].aliases", "dnsSearches", "dnsOpts"],
  service: [
    "taskSpec.containerSpec.healthcheck",
    "taskSpec.containerSpec.capAdds",
    "taskSpec.containerSpec.dnsConfig",
    "taskSpec.networksAdvanceds[0].aliases",
  ],
};

/** What a service of a release runs with, whatever runs it: a container of one engine, or the tasks of a Swarm. */
export interface RunSpec {
  readonly service: ServiceConfig;
  readonly image: pulumi.Input<string>;
  /** `NAME=value`, secret where one of them is. */
  readonly envs: pulumi.Output<string[]>;
  /** The release's host name of it, which leads to each of its containers. */
  readonly host: pulumi.Output<string>;
  /** Its names in the network, the host name among them. */
  readonly aliases: pulumi.Output<string[]>;
  /** The domains in which a plain name is looked up. */
  readonly search: pulumi.Output<string[]>;
  readonly network: pulumi.Input<string>;
  readonly healthcheck: pulumi.Output<ReturnType<typeof healthCheck> | undefined>;
  readonly volumes: readonly MountedVolume[];
  readonly labels: Labels;
  /** Variable → the name of the resource of its secret on a Swarm. */
  readonly secretNames: Readonly<Record<string, string>>;
  readonly cluster?: ClusterPlace;
}

/** Whether the old container stops before the new one starts: the deploy itself does both, when all containers are made. */
function recreates({ strategy }: ServiceConfig, cluster: ClusterPlace | undefined): boolean {
  return strategy === "recreate" && cluster === undefined;
}

/** Runs it on the one engine. Its counterpart for a Swarm is `runService`. @returns the container's id */
function runContainer(name: string, spec: RunSpec, opts: pulumi.ResourceOptions): pulumi.Output<string> {
  const { service, image, envs, aliases, search, network, healthcheck, volumes, labels } = spec;
  const waits = recreates(service, spec.cluster);
  return new docker.Container(
    name,
    {
      image,
      envs,
      networksAdvanced: [{ name: network, aliases }],
      dnsSearches: search,
      dnsOpts: DNS_OPTIONS,
      healthcheck: healthcheck as pulumi.Output<docker.types.output.ContainerHealthcheck>,
      // The deploy itself waits until it answers: by the engine's own check that is known an interval later.
      wait: false,
      mustRun: !waits,
      ...(waits ? { start: false } : {}),
      // An engine that was killed starts `unless-stopped` containers no more: it takes them for stopped by hand (moby#41302).
      restart: "always",
      securityOpts: ["no-new-privileges:true"],
      capabilities: { drops: ["ALL"], adds: service.capabilities.map(capabilityName) },
      memory: service.memoryMb,
      // Without memorySwap the engine's own value is a difference at every `up`.
      memorySwap: service.memoryMb,
      logDriver: "json-file",
      logOpts: { "max-size": "10m", "max-file": "3" },
      readOnly: service.readOnly,
      ...(volumes.length > 0 ? { volumes: [...volumes] } : {}),
      labels: labelList({ ...labels, service: name }),
      ...containerOptions(service),
    },
    // The plugin asks to delete the old container first; that would leave nothing to serve if the new one fails.
    { ...opts, ...stopTimeouts(service), deleteBeforeReplace: false },
  ).id;
}

/** Runs a service's release command, where it has one and this is a new release. */
async function runReleaseCommand(
  { service, labels, releaseOn }: Pick<WebServiceArgs, "service" | "labels" | "releaseOn">,
  of: Pick<OneOff, "image" | "env" | "network"> & {
    search: readonly string[];
    mounted: readonly { volumeName: string; containerPath: string }[];
  },
): Promise<void> {
  const { name, releaseCommand: command, memoryMb, capabilities } = service;
  if (command === undefined || releaseOn === undefined) return;
  const { image, env, network, mounted } = of;
  const started = performance.now();
  const log = new CommandLog(name);
  try {
    const oneOff = {
      ...{ image, command, env, network, memoryMb, capabilities },
      options: service,
      dns: { search: of.search, options: DNS_OPTIONS },
      secrets: Object.values(service.secretEnv),
      volumes: Object.fromEntries(
        mounted.map(({ volumeName, containerPath }) => [volumeName, containerPath]),
      ),
      labels: Object.fromEntries(
        labelList({ ...labels, service: `${name}-release` }).map(({ label, value }) => [label, value]),
      ),
    };
    await runOnce(releaseOn, oneOff, log.say).finally(() => log.flush());
  } catch (cause) {
    return fail(new Error(`releaseCommand of ${name}: ${(cause as Error).message}`));
  }
  const seconds = ((performance.now() - started) / 1000).toFixed(1);
  await pulumi.log.info(`releaseCommand of ${name}: done in ${seconds} s`);
}

/** The host name of a service of one release, within the network. */
export function hostName(service: string, release: string): string {
  return `${service}-${release}`;
}

/** The container's environment: its own, its secrets, and where the release's other services are. */
function environment(
  service: ServiceConfig,
  peers: readonly ServiceConfig[],
  release: string,
): pulumi.Output<string[]> {
  const urls = Object.fromEntries(
    peers
      .filter((peer) => peer.port !== undefined)
      .map((peer) => [
        `${peer.name.toUpperCase().replaceAll("-", "_")}_URL`,
        `http://${hostName(peer.name, release)}:${peer.port}`,
      ]),
  );
  const plain = lines({ ...urls, ...service.env });
  if (Object.keys(service.secretEnv).length === 0) return pulumi.output(plain);
  return pulumi.secret([...plain, ...lines(service.secretEnv)]);
}

function lines(variables: Readonly<Record<string, string>>): string[] {
  return Object.entries(variables).map(([name, value]) => `${name}=${value}`);
}

/**
 * Asks by the cheapest HTTP client there is, for as long as the container lives: bash is a twentieth of what node or python3
 * take to start. Some are built without its sockets, for which the next one is asked. Without any there is nothing to ask with,
 * and nothing is wrong.
 *
 * It asks at the container's own address in the network, where the edge asks too: a server may listen there alone. Any 2xx is
 * healthy; a redirect that wget follows does not count. Arguments: port, path, and a header each.
 */
const ASK_HEALTH = `
port=$1 path=$2; shift 2
read -r host < /etc/hostname
url=http://$host:$port$path
unset http_proxy HTTP_PROXY all_proxy ALL_PROXY
has() { command -v "$1" > /dev/null; }
good() { case "$1" in 2??) exit 0;; esac; exit 1; }
first() { while read -r proto status _; do case $proto in HTTP/*) echo "$status"; break;; esac; done; }
flags() { flag=$1; shift; for each; do set -- "$@" "$flag" "$each"; shift; done; ask "$@"; }
if has wget; then
  ask() { wget -q -S -O /dev/null "$@" "$url" 2>&1 | first; }
  good "$(flags --header "$@")"
fi
if has curl; then
  ask() { curl -s -m 3 -o /dev/null -w '%{http_code}' "$@" "$url"; }
  good "$(flags -H "$@")"
fi
if has bash; then bash -c 'host=$1 port=$2 path=$3; shift 3; exec 3<> "/dev/tcp/$host/$port" &&
  { printf "GET %s HTTP/1.1\r\n" "$path"; printf "%s\r\n" "$@"; printf "Connection: close\r\n\r\n"; } >&3 &&
  read -r -t 3 _ status _ <&3 && [[ $status = 2?? ]]' bash "$host" "$port" "$path" "$@" && exit; fi
if has python3; then exec python3 -c 'import sys, http.client as h; a = sys.argv
c = h.HTTPConnection(a[1], int(a[2]), timeout=3); c.request("GET", a[3], headers=dict(x.split(": ", 1) for x in a[4:]))
sys.exit(c.getresponse().status // 100 != 2)' "$host" "$port" "$path" "$@"; fi
if has node; then exec node -e 'const [host, port, path, ...more] = process.argv.slice(1);
const headers = Object.fromEntries(more.map((each) => [each.slice(0, each.indexOf(":")), each.slice(each.indexOf(":") + 2)]));
require("http").get({ host, port, path, headers, agent: false }, (r) => process.exit(r.statusCode >= 200 && r.statusCode < 300 ? 0 : 1)).on("error", () => process.exit(1))' "$host" "$port" "$path" "$@"; fi
! has bash`;

/**
 * Docker's own health check, in an image that has a shell. On one engine it only tells those who look at it, and costs a
 * process each time; a Swarm goes by it, before it starts the next task and leads requests to this one.
 */
export function healthCheck(
  service: Pick<ServiceConfig, "port" | "health" | "startSeconds" | "healthHeaders">,
  publicUrl: string,
  cluster?: ClusterPlace,
) {
  const headers = Object.entries(publicHeaders(publicUrl, service.healthHeaders));
  return {
    tests: [
      "CMD",
      "/bin/sh",
      "-c",
      ASK_HEALTH,
      "sh",
      String(service.port),
      service.health,
      ...headers.map(([name, value]) => `${name}: ${value}`),
    ],
    interval: cluster === undefined ? "5s" : "2s",
    timeout: "4s",
    // Failures while the service starts do not count.
    startPeriod: (cluster === undefined ? seconds : swarmSeconds)(service.startSeconds),
    retries: 3,
  };
}
