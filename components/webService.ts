import * as docker from "@pulumi/docker";
import * as pulumi from "@pulumi/pulumi";
import type { ServiceConfig } from "../config";
import type { DockerEngine } from "../engine/docker";
import { type OneOff, runOnce } from "../engine/oneOff";
import { CommandLog } from "./commandLog";
import { fail } from "./failure";
import { type Labels, labelList } from "./labels";
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
  /** Where it runs on a Swarm; absent: a container of the one engine. */
  readonly cluster?: ClusterPlace;
  /** Where the release's command is to be run before its container starts: the engine that runs it. */
  readonly releaseOn?: DockerEngine;
}

/**
 * One service of a release. A new container starts beside the old one, which goes only when all else has succeeded; it
 * has no fixed name, so that a failed create never blocks the next one.
 */
export class WebService extends pulumi.ComponentResource {
  readonly containerId: pulumi.Output<string>;

  constructor(name: string, args: WebServiceArgs, opts?: pulumi.ComponentResourceOptions) {
    super("watch-party:index:WebService", name, {}, opts);
    const { service, peers, network, release, labels } = args;
    const child = { parent: this };
    const volumes = Object.entries(service.volumes).map(([volume, containerPath]) => ({
      volumeName: new docker.Volume(`${name}-${volume}`, { labels: labelList(labels) }, child).name,
      containerPath,
    }));
    const envs = pulumi.output(release).apply((id) => environment(service, peers, id));
    const image =
      service.releaseCommand === undefined
        ? args.image
        : // Of what the command was given, nothing is in the image's name.
          pulumi.unsecret(
            pulumi.all([args.image, envs, network, volumes]).apply(async ([image, env, network, mounted]) => {
              await runReleaseCommand(args, { image, env, network, mounted });
              return image;
            }),
          );
    const healthcheck = pulumi
      .output(args.healthClient)
      .apply((client) =>
        client !== "none" && service.port !== undefined ? healthCheck(service, args.cluster) : undefined,
      );
    const run = args.cluster === undefined ? runContainer : runService;
    const host = pulumi.output(release).apply((id) => hostName(name, id));
    const spec = { service, image, envs, host, network, healthcheck, volumes, labels, cluster: args.cluster };
    this.containerId = run(name, spec, child);
    this.registerOutputs({ containerId: this.containerId });
  }
}

/** What a service of a release runs with, whatever runs it: a container of one engine, or the tasks of a Swarm. */
export interface RunSpec {
  readonly service: ServiceConfig;
  readonly image: pulumi.Input<string>;
  /** `NAME=value`, secret where one of them is. */
  readonly envs: pulumi.Output<string[]>;
  /** The release's host name of it, which leads to each of its containers. */
  readonly host: pulumi.Output<string>;
  readonly network: pulumi.Input<string>;
  readonly healthcheck: pulumi.Output<ReturnType<typeof healthCheck> | undefined>;
  readonly volumes: readonly { readonly volumeName: pulumi.Output<string>; readonly containerPath: string }[];
  readonly labels: Labels;
  readonly cluster?: ClusterPlace;
}

/** Runs it on the one engine. Its counterpart for a Swarm is `runService`. @returns the container's id */
function runContainer(name: string, spec: RunSpec, opts: pulumi.ResourceOptions): pulumi.Output<string> {
  const { service, image, envs, host, network, healthcheck, volumes, labels } = spec;
  return new docker.Container(
    name,
    {
      image,
      envs,
      networksAdvanced: [{ name: network, aliases: [host] }],
      healthcheck: healthcheck as pulumi.Output<docker.types.output.ContainerHealthcheck>,
      // The deploy itself waits until it answers: by the engine's own check that is known an interval later.
      wait: false,
      mustRun: true,
      // An engine that was killed starts `unless-stopped` containers no more: it takes them for stopped by hand (moby#41302).
      restart: "always",
      init: true,
      securityOpts: ["no-new-privileges:true"],
      capabilities: { drops: ["ALL"], adds: [...service.capabilities] },
      memory: service.memoryMb,
      // Without memorySwap the engine's own value is a difference at every `up`.
      memorySwap: service.memoryMb,
      logDriver: "json-file",
      logOpts: { "max-size": "10m", "max-file": "3" },
      readOnly: service.readOnly,
      ...(service.readOnly ? { tmpfs: { "/tmp": "" } } : {}),
      ...(volumes.length > 0 ? { volumes: [...volumes] } : {}),
      destroyGraceSeconds: 10,
      stopTimeout: 10,
      labels: labelList({ ...labels, service: name }),
    },
    // The plugin asks to delete the old container first; that would leave nothing to serve if the new one fails.
    { ...opts, deleteBeforeReplace: false },
  ).id;
}

/** Runs a service's release command, where it has one and this is a new release. */
async function runReleaseCommand(
  { service, labels, releaseOn }: Pick<WebServiceArgs, "service" | "labels" | "releaseOn">,
  of: Pick<OneOff, "image" | "env" | "network"> & {
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
 */
const ASK_HEALTH = `
url=http://127.0.0.1:$1$2
has() { command -v "$1" > /dev/null; }
if has wget; then exec wget -q -O /dev/null "$url"; fi
if has curl; then exec curl -fsS -m 3 -o /dev/null "$url"; fi
if has bash; then bash -c 'exec 3<> "/dev/tcp/127.0.0.1/$1" &&
  printf "GET %s HTTP/1.1\\r\\nHost: 127.0.0.1:%s\\r\\nConnection: close\\r\\n\\r\\n" "$2" "$1" >&3 &&
  read -r -t 3 _ status _ <&3 && [ "$status" = 200 ]' bash "$1" "$2" && exit; fi
if has python3; then exec python3 -c 'import sys, urllib.request as u; assert u.urlopen(sys.argv[1], timeout=3).status == 200' "$url"; fi
if has node; then exec node -e 'fetch(process.argv[1], { redirect: "manual" }).then((r) => process.exit(r.status === 200 ? 0 : 1), () => process.exit(1))' "$url"; fi
! has bash`;

/**
 * Docker's own health check, in an image that has a shell. On one engine it only tells those who look at it, and costs a
 * process each time; a Swarm goes by it, before it starts the next task and leads requests to this one.
 */
export function healthCheck(
  service: Pick<ServiceConfig, "port" | "health" | "startSeconds">,
  cluster?: ClusterPlace,
) {
  return {
    tests: ["CMD", "/bin/sh", "-c", ASK_HEALTH, "sh", String(service.port), service.health],
    interval: cluster === undefined ? "5s" : "2s",
    timeout: "4s",
    // Failures while the service starts do not count.
    startPeriod: seconds(service.startSeconds),
    retries: 3,
  };
}

/** A duration as the engine writes it back: another notation would be a difference at every `up`. */
export function seconds(total: number): string {
  const parts = [
    [Math.floor(total / 3600), "h"],
    [Math.floor(total / 60) % 60, "m"],
    [total % 60, "s"],
  ] as const;
  const first = parts.findIndex(([amount]) => amount > 0);
  return parts
    .slice(first)
    .map(([amount, unit]) => `${amount}${unit}`)
    .join("");
}
