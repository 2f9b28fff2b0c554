import * as pulumi from "@pulumi/pulumi";
import { buildImages, keptImages } from "./components/builtImages";
import { ClusterNetwork } from "./components/clusterNetwork";
import { Edge } from "./components/edge";
import { EdgeFollowers } from "./components/edgeFollowers";
import { NetworkGuests } from "./components/networkGuests";
import { hostName } from "./components/run/spec";
import { stackVolumes } from "./components/stackVolumes";
import { WebService } from "./components/webService";
import { ConfigError, imageOf, problemsForUp, readConfig } from "./config";
import { type EdgeFiles, proveAhead } from "./edge/switch";
import { takeBuildLock } from "./engine/buildLock";
import { cliProcess, endWith } from "./engine/lifeline";
import { pluginOrigins } from "./engine/plugins";
import { registryOf } from "./engine/registry";
import { makeWorkPrivate, sshFolder } from "./engine/workFolder";
import { certify, type Versions, warningsOf } from "./freshness/chain";
import { overlaps } from "./freshness/container/database";
import { writeReport } from "./proof/certificate";
import { type Deployment, withoutValues } from "./proof/deployment";
import { ailingOf } from "./proof/runtime";
import { readVersions } from "./proof/versions";
import { buildBasis } from "./release/buildBasis";
import { guardData, guardImage, warnOfOverlaps } from "./release/dataGuard";
import { connectEngine } from "./release/engineAccess";
import { tellBuildLog } from "./release/failedBuild";
import { guardStart } from "./release/guard";
import { lastDeploy } from "./release/lastDeploy";
import { sweep } from "./release/orphans";
import { announce, healed, intent, type Plan, planDeploy } from "./release/plan";
import { preflight } from "./release/preflight";
import type { ReleaseRecord } from "./release/record";
import { SwarmPauses } from "./release/recreate";
import {
  keepReleases,
  lacksAssets,
  release,
  releaseId,
  restoreEdge,
  stopRefused,
  store,
} from "./release/release";
import { readHostDomains } from "./release/releaseNames";
import { assertKept, buildOf, deployer, nextRecord, slowStep, timed } from "./release/releases";
import { settleVolumes } from "./release/settleVolumes";
import { hasStrays, keepNames, settleStanding } from "./release/standing";
import { StepClock } from "./release/stepClock";
import { shortIdentity } from "./source/checkout";

// The SDK takes a stack trace for each property of each resource, a second of them in a deploy: one frame says where, and no
// source map is read and searched for it.
Error.stackTraceLimit = 1;
Object.assign(Error, { prepareStackTrace: undefined });

/** Configuration → components → outputs. */
async function deploy() {
  const clock = new StepClock();
  const preview = pulumi.runtime.isDryRun();
  const config = readConfig();
  const { services, publicUrl: url, listen, domain, tls, cluster, trustedProxies } = config;
  const [project, stack] = [pulumi.getProject(), pulumi.getStack()];
  const labels = { stack };
  const problems = preview ? [] : problemsForUp(config, pluginOrigins());
  if (problems.length > 0) throw new ConfigError(problems);
  await makeWorkPrivate();
  // The state is read before there is a resource: a file backend writes it anew for each, not in one go.
  const reading = lastDeploy();
  const planning = planDeploy(config, reading);
  planning.catch(() => undefined);
  const last = await reading;
  const cli = await cliProcess();
  if (!preview) endWith(cli);
  const access = await connectEngine(config, sshFolder(stack), cli);
  const { engine, provider } = access;
  // The engine is asked while git is; what is wrong with the source is told first.
  const checks = preview ? undefined : preflight({ engine, config, stack });
  checks?.catch(() => undefined);
  const settlingStanding = preview
    ? undefined
    : settleStanding(engine, {
        stack,
        state: last.state,
        isSwarm: [cluster, last.record?.deployment.cluster].some((each) => each !== undefined),
        adopts: intent().adopt,
        isFirst: last.record === undefined,
        healed: [
          ...(last.record?.deployment.services ?? []).map(({ container }) => container),
          ...Object.values(last.record?.volumes ?? {}).map(({ name }) => name ?? ""),
        ],
        cli,
      });
  settlingStanding?.catch(() => undefined);
  const looking = preview || last.record === undefined ? undefined : ailingOf(engine, last.record.deployment);
  const planned = await planning;
  const runs = (plan: Plan) => !preview && last.record !== undefined && plan.run.id === last.record.run.id;
  // What serves and does not run as it was deployed is started in new containers.
  const asked = runs(planned) && looking ? await healed(planned, config, await looking) : planned;
  // Nobody prunes while another builds: whoever waits for the engine says so. A container starts meanwhile, so it is asked for early.
  const builder = access.builder?.engine ?? engine;
  const takeLock = async () => {
    await builder.assertReachable();
    return takeBuildLock(builder, { stack, say: pulumi.log.info, warn: pulumi.log.warn });
  };
  const early = asked.builds && !preview ? takeLock() : undefined;
  early?.catch(() => undefined);
  const isUnchanged = runs(asked);
  const ahead = isUnchanged && last.record ? proveAhead(engine, last.record.deployment) : undefined;
  const names = [...new Set(services.map(imageOf))];
  const repository = (service: string) => `${project}-${stack}-${service}`;
  const tag = (service: string) => `${repository(service)}:${shortIdentity(asked.commit)}`;
  const settling = buildBasis(preview ? undefined : builder, asked, {
    ...{ config, last, repository, tag: shortIdentity(asked.commit) },
  });
  settling.catch(() => undefined);
  const keeping =
    asked.given && !preview ? assertKept(engine, asked.given, names, tag, registryOf(config)) : undefined;
  keeping?.catch(() => undefined);
  await warnOfOverlaps(config);
  const settlingVolumes = settleVolumes(config, last.record, preview ? undefined : engine);
  settlingVolumes.catch(() => undefined);
  const ranBefore = last.record?.run?.id;
  const guard = async () => {
    const volumes = await settlingVolumes;
    const of = { config, source: asked.source, record: last.record, volumes };
    await guardData({ ...of, engine: preview ? undefined : engine });
  };
  const guarding = asked.run.id === ranBefore ? undefined : guard();
  guarding?.catch(() => undefined);
  await checks;
  const volumePlan = await settlingVolumes;
  const settled = await settlingStanding;
  keepNames();
  const basis = await settling;
  const { plan, free } = basis;
  announce(plan);
  for (const note of volumePlan.notes) void pulumi.log.info(note);

  const { commit, given, build, builds } = plan;
  const lock = builds && !preview ? (early ?? takeLock()) : undefined;
  const current = last.record?.current;
  const changesRun = plan.run.id !== ranBefore;
  await Promise.all([keeping, guarding ?? (changesRun ? guard() : undefined)]);
  const onFailure = builds && !preview && !given ? await tellBuildLog(builder) : undefined;
  const known = builds || plan.reused ? undefined : (given ?? current)?.versions;
  clock.end("prepare");

  // The edge comes first: an address that is taken stops the deploy before anything is pruned or built.
  const edge = new Edge("edge", { listen, domain, labels, handOver: settled?.handOver }, { provider });
  const { images, pruned, dependencies, clear } = given
    ? {
        ...{ images: keptImages(given, services), pruned: last.pruned, dependencies: given.dependencies },
        clear: undefined,
      }
    : buildImages({
        ...{ config, source: plan.source!, attempt: build, builds, repository, clock },
        ...{ access, after: edge, known: (plan.reused ?? current)?.images ?? {}, basis, lock, onFailure },
      });
  const built = clock.mark("imageProofs", pulumi.all(images));
  let versions: Promise<Versions> | undefined;
  // The first image is there: until then each process delays the builds.
  for (const image of preview ? [] : images)
    image.apply(() => {
      versions ??= known ? Promise.resolve(known) : readVersions(engine);
    });
  const id = built.apply((all) =>
    releaseId(
      commit,
      plan.run.id,
      all.map(({ digest }) => digest),
    ),
  );

  const volumes = stackVolumes(volumePlan, labels, { provider });
  const endGuard = preview || isUnchanged ? undefined : guardStart(cli);
  const overlay = cluster && new ClusterNetwork("cluster", { labels }, { provider });
  const runsAlready = !changesRun;
  // What runs keeps the names that it has.
  const hostDomains =
    runsAlready || preview
      ? pulumi.output(last.record?.deployment?.domains ?? [])
      : edge.containerId.apply((of) => readHostDomains(engine, of));
  const pauses = overlay && !preview ? new SwarmPauses(engine, stack, last.record?.deployment) : undefined;
  const commands: Record<string, pulumi.Output<() => Promise<void>>> = {};
  const deployed = services.map((service, index) => {
    const { digest: proven, healthClient } = images[index]!;
    const image =
      changesRun && !preview && overlaps(service)
        ? proven.apply(async (digest) => {
            await guardImage(engine, service, digest).catch((cause: Error) => {
              throw new pulumi.RunError(cause.message);
            });
            return digest;
          })
        : proven;
    const reference = images[index]!.apply(({ pushed, digest }) => pushed ?? digest);
    const args = {
      ...{ service, peers: services, image, healthClient, labels, release: id },
      publicUrl: url,
      names: { hostDomains },
      runsAlready,
      volumes: volumes.mounts(service),
      pause: pauses && ((name: string) => pauses.pause(name, changesRun)),
      network: overlay?.network ?? edge.network,
      releaseOn: plan.isNew && !preview ? engine : undefined,
      cluster: overlay && {
        ...{ networkId: overlay.networkId, reference, registry: registryOf(config) },
        ...{ commands: access.commands, server: access.server },
        engine: preview ? undefined : engine,
      },
    };
    const { containerId: container, releaseCommand } = new WebService(service.name, args, { provider });
    if (releaseCommand) commands[service.name] = releaseCommand;
    const host = id.apply((of) => hostName(service.name, of));
    const ran = { service: withoutValues(service), container, image, tag: tag(imageOf(service)), host };
    return overlay ? { ...ran, reference } : ran;
  });
  const followers =
    overlay && config.edges !== "manager"
      ? new EdgeFollowers(
          "edges",
          {
            ...{ edges: config.edges, port: listen.port, networkId: overlay.networkId, labels },
            ...{ edge: edge.containerId, repository: `${project}-${stack}`, last: last.record?.deployment },
            ...{ registry: registryOf(config)!, engine: preview ? undefined : engine },
          },
          { provider },
        ).followers
      : undefined;
  const guests = !runsAlready || last.record?.deployment?.guests === true;
  if (guests)
    new NetworkGuests(
      "guests",
      { networks: overlay ? [edge.network, overlay.network] : [edge.network], stack, server: access.server },
      { provider: access.commands },
    );
  const running = clock.mark("services", pulumi.all(deployed));
  const deployment = pulumi
    .all([id, edge.containerId, overlay?.network ?? edge.network, running, followers, hostDomains])
    .apply(([id, edge, network, services, followers, domains]): Deployment => {
      const runs = { ...(cluster === undefined ? {} : { cluster }), ...(tls === "internal" ? { tls } : {}) };
      return {
        commit,
        url,
        edge,
        id,
        network,
        services,
        ...runs,
        ...(followers ? { followers } : {}),
        ...(guests ? { guests } : {}),
        ...(domains.length > 0 ? { domains } : {}),
      };
    });

  const isNew = ({ id }: Deployment) => id !== last.record?.deployment.id;
  let clearing: Promise<void> | undefined;
  // The containers are there, and start: what is written to the disk now delays them no more.
  const stored = preview
    ? undefined
    : pulumi.all([deployment, dependencies]).apply(([of]) => {
        clearing = clear?.();
        // It is what is put away last that fails by it.
        clearing?.catch(() => undefined);
        return isNew(of) ? store(engine, of, build.id) : undefined;
      });

  // Until they answer it is the containers that take the time.
  let edgeFiles: EdgeFiles | undefined;
  const switching = {
    begun: ahead,
    ready: () => clock.end("services"),
    served: () => clock.end("proof"),
    found: (files: EdgeFiles) => {
      edgeFiles = files;
    },
    refused: endGuard,
    settleSeconds: config.settleSeconds,
    drainSeconds: config.drainSeconds,
    last: last.record?.deployment,
    commands: pulumi.all(commands),
    pauses,
  };
  // A preview has no release to prove: it shows what the last one was.
  const proven = preview
    ? undefined
    : pulumi
        .all([
          release(engine, deployment, { domain, tls, trustedProxies }, switching),
          built,
          deployment,
          dependencies,
          volumes.record,
          stored,
        ])
        .apply(async (all) => {
          const [{ verdicts: links, draining }, found, deployment, dependencies, volumes] = all;
          clock.end("settle");
          const source = given?.source ?? plan.source!.verdicts;
          const certificate = certify({
            ...{ stack, commit, url, versions: (await versions)! },
            links: [...source, ...found.flatMap((image) => image.verdicts), ...links],
          });
          for (const warning of warningsOf(certificate.links)) await pulumi.log.warn(warning);
          const { time } = certificate;
          const now: ReleaseRecord = {
            ...{ commit, build, versions: certificate.versions, source, made: buildOf(config, commit) },
            images: Object.fromEntries(
              names.map((name) => [name, found[services.findIndex((each) => each.name === name)]!]),
            ),
            ...{ time, by: deployer(), bases: basis.bases, dependencies },
            ...timed(clock.seconds()),
            ...(given?.from === undefined ? {} : { from: given.from }),
          };
          await basis.said;
          const slow = builds ? slowStep(now, last.record?.releases ?? []) : undefined;
          if (slow !== undefined) await pulumi.log.warn(slow);
          const record = nextRecord(last.record, { ...plan, deployment, volumes, now }, config.keepReleases);
          await writeReport(stack, { certificate, seconds: clock.seconds() });
          const { kept = [], state: ledBefore } = edgeFiles ?? {};
          if (isNew(deployment))
            await keepReleases(engine, {
              ...{ deployment, last: last.record?.deployment, record, kept, freeBefore: free },
              repositories: names.map(repository),
              ...(config.registry === undefined ? {} : { registry: config.registry.address }),
              drainSeconds: config.drainSeconds,
              draining,
              builder: access.builder?.engine,
              clearing,
              strays: settled?.strays,
              volumes: settled?.standing.volumes,
            });
          else if (ledBefore === undefined || lacksAssets(deployment, record, { kept }))
            await restoreEdge(engine, { deployment, record, kept });
          if (!isNew(deployment)) {
            await stopRefused(engine, { last: last.record?.deployment, edge: deployment.edge, deployment });
            if (settled && hasStrays(settled.standing))
              await sweep(engine, deployment, last.record?.deployment, settled.standing.volumes);
          }
          endGuard?.();
          return { certificate, record };
        });
  const record = proven?.record ?? last.record;
  return defined({
    url,
    commit,
    images: Object.fromEntries(services.map((service, index) => [service.name, images[index]!.digest])),
    freshness: proven?.certificate ?? last.freshness,
    pruned,
    seconds: proven?.apply(() => clock.seconds()) ?? last.seconds,
    record: record && pulumi.secret(record),
  });
}

/** An output that has no value yet, in the preview of a new stack, is none. */
function defined<T extends object>(outputs: T): Partial<T> {
  return Object.fromEntries(Object.entries(outputs).filter(([, value]) => value !== undefined)) as Partial<T>;
}

/** What is wrong with the configuration, the source or the engine is said in words, not with a stack trace. */
export = () =>
  deploy().catch((cause: Error) => {
    throw cause.constructor === Error || cause instanceof TypeError
      ? cause
      : new pulumi.RunError(cause.message);
  });
