import * as pulumi from "@pulumi/pulumi";
import { buildBasis } from "./components/buildBasis";
import { buildImages, keptImages } from "./components/builtImages";
import { Edge } from "./components/edge";
import { EdgeFollowers } from "./components/edgeFollowers";
import { connectEngine } from "./components/engineAccess";
import { guardStart } from "./components/guard";
import { lastDeploy } from "./components/lastDeploy";
import { announce, healed, type Plan, planDeploy } from "./components/plan";
import { keepReleases, release, releaseId, stopRefused, store } from "./components/release";
import {
  assertKept,
  buildOf,
  deployer,
  nextRecord,
  type ReleaseRecord,
  slowStep,
  timed,
} from "./components/releases";
import { StepClock } from "./components/stepClock";
import { ClusterNetwork } from "./components/swarmService";
import { hostName, WebService } from "./components/webService";
import { ConfigError, problemsForUp, readConfig } from "./config";
import { writeReport } from "./engine/certificate";
import { cliProcess, endWith } from "./engine/lifeline";
import { preflight } from "./engine/preflight";
import { type Deployment, withoutValues } from "./engine/prove";
import { registryOf } from "./engine/registry";
import { ailingOf } from "./engine/runtime";
import { proveAhead } from "./engine/switch";
import { readVersions } from "./engine/versions";
import { makeWorkPrivate, sshFolder } from "./engine/workFolder";
import { certify, type Versions } from "./freshness/chain";
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
  const { services, publicUrl: url, listen, domain, tls, cluster } = config;
  const [project, stack] = [pulumi.getProject(), pulumi.getStack()];
  const labels = { stack };
  const problems = preview ? [] : problemsForUp(config);
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
  const looking = preview || last.record === undefined ? undefined : ailingOf(engine, last.record.deployment);
  const planned = await planning;
  const runs = (plan: Plan) => !preview && last.record !== undefined && plan.run.id === last.record.run.id;
  // What serves and does not run as it was deployed is started in new containers.
  const asked = runs(planned) && looking ? await healed(planned, config, await looking) : planned;
  const isUnchanged = runs(asked);
  const ahead = isUnchanged && last.record ? proveAhead(engine, last.record.deployment) : undefined;
  const names = services.map(({ name }) => name);
  const repository = (service: string) => `${project}-${stack}-${service}`;
  const tag = (service: string) => `${repository(service)}:${shortIdentity(asked.commit)}`;
  const settling = buildBasis(preview ? undefined : (access.builder?.engine ?? engine), asked, {
    ...{ config, last, repository, tag: shortIdentity(asked.commit) },
  });
  settling.catch(() => undefined);
  const keeping =
    asked.given && !preview ? assertKept(engine, asked.given, names, tag, registryOf(config)) : undefined;
  keeping?.catch(() => undefined);
  await checks;
  const basis = await settling;
  const { plan, free } = basis;
  announce(plan);

  const { commit, given, build, builds } = plan;
  const current = last.record?.current;
  await keeping;
  const known = builds ? undefined : (given ?? current)?.versions;
  clock.end("prepare");

  // The edge comes first: an address that is taken stops the deploy before anything is pruned or built.
  const edge = new Edge("edge", { listen, domain, labels }, { provider });
  const { images, pruned, dependencies, clear } = given
    ? {
        ...{ images: keptImages(given, names), pruned: last.pruned, dependencies: given.dependencies },
        clear: undefined,
      }
    : buildImages({
        ...{ config, source: plan.source!, attempt: build.id, builds, repository, clock },
        ...{ access, after: edge, known: current?.images ?? {}, basis },
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

  const endGuard = preview || isUnchanged ? undefined : guardStart(cli);
  const overlay = cluster && new ClusterNetwork("cluster", { labels }, { provider });
  const deployed = services.map((service, index) => {
    const { digest: image, healthClient } = images[index]!;
    const reference = images[index]!.apply(({ pushed, digest }) => pushed ?? digest);
    const args = {
      ...{ service, peers: services, image, healthClient, labels, release: id },
      network: overlay?.network ?? edge.network,
      releaseOn: plan.isNew && !preview ? engine : undefined,
      cluster: overlay && {
        ...{ networkId: overlay.networkId, reference, registry: registryOf(config) },
        engine: preview ? undefined : engine,
      },
    };
    const { containerId: container } = new WebService(service.name, args, { provider });
    const host = id.apply((of) => hostName(service.name, of));
    const ran = { service: withoutValues(service), container, image, tag: tag(service.name), host };
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
  const running = clock.mark("services", pulumi.all(deployed));
  const deployment = pulumi
    .all([id, edge.containerId, overlay?.network ?? edge.network, running, followers])
    .apply(([id, edge, network, services, followers]): Deployment => {
      const runs = { ...(cluster === undefined ? {} : { cluster }), ...(tls === "internal" ? { tls } : {}) };
      return { commit, url, edge, id, network, services, ...runs, ...(followers ? { followers } : {}) };
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
  const switching = {
    begun: ahead,
    ready: () => clock.end("services"),
    served: () => clock.end("proof"),
    refused: endGuard,
    settleSeconds: config.settleSeconds,
    drainSeconds: config.drainSeconds,
    last: last.record?.deployment,
  };
  // A preview has no release to prove: it shows what the last one was.
  const proven = preview
    ? undefined
    : pulumi
        .all([
          release(engine, deployment, { domain, tls }, switching),
          built,
          deployment,
          dependencies,
          stored,
        ])
        .apply(async (all) => {
          const [{ verdicts: links, draining }, found, deployment, dependencies] = all;
          clock.end("settle");
          const source = given?.source ?? plan.source!.verdicts;
          const certificate = certify({
            ...{ stack, commit, url, versions: (await versions)! },
            links: [...source, ...found.flatMap((image) => image.verdicts), ...links],
          });
          const { time } = certificate;
          const now: ReleaseRecord = {
            ...{ commit, build, versions: certificate.versions, source, made: buildOf(config, commit) },
            images: Object.fromEntries(names.map((name, at) => [name, found[at]!])),
            ...{ time, by: deployer(), bases: basis.bases, dependencies },
            ...timed(clock.seconds()),
            ...(given?.from === undefined ? {} : { from: given.from }),
          };
          await basis.said;
          const slow = builds ? slowStep(now, last.record?.releases ?? []) : undefined;
          if (slow !== undefined) await pulumi.log.warn(slow);
          const record = nextRecord(last.record, { ...plan, deployment, now }, config.keepReleases);
          await writeReport(stack, { certificate, seconds: clock.seconds() });
          if (isNew(deployment))
            await keepReleases(engine, {
              ...{ deployment, last: last.record?.deployment, record, freeBefore: free },
              repositories: names.map(repository),
              ...(config.registry === undefined ? {} : { registry: config.registry.address }),
              drainSeconds: config.drainSeconds,
              draining,
              builder: access.builder?.engine,
              clearing,
            });
          else
            await stopRefused(engine, { last: last.record?.deployment, edge: deployment.edge, deployment });
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
