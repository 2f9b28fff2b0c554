import { join } from "node:path";
import * as pulumi from "@pulumi/pulumi";
import { buildImages, keptImages } from "./components/builtImages";
import { Edge } from "./components/edge";
import { connectEngine } from "./components/engineAccess";
import { attempt, lastDeploy } from "./components/lastDeploy";
import { cleanUp, release, releaseId } from "./components/release";
import {
  assertKept,
  deployer,
  heldRelease,
  leftBy,
  nextRecord,
  type ReleaseRecord,
  releaseNamed,
} from "./components/releases";
import { StepClock } from "./components/stepClock";
import { hostName, WebService } from "./components/webService";
import { ConfigError, problemsForUp, readConfig } from "./config";
import { writeReport } from "./engine/certificate";
import { assertDisk, preflight } from "./engine/preflight";
import { type Deployment, withoutValues } from "./engine/prove";
import { readVersions } from "./engine/versions";
import { sshFolder, workFolder } from "./engine/workFolder";
import { certify } from "./freshness/chain";
import { shortIdentity } from "./source/checkout";
import { assertForward } from "./source/forward";
import { prepareSource } from "./source/prepare";

// The SDK takes a stack trace for each property of each resource, a second of them in a deploy: one frame says where.
Error.stackTraceLimit = 1;

/** Configuration → components → outputs. */
async function deploy() {
  const clock = new StepClock();
  const preview = pulumi.runtime.isDryRun();
  const config = readConfig();
  const { services, platform, publicUrl: url } = config;
  const [project, stack] = [pulumi.getProject(), pulumi.getStack()];
  const labels = { stack };
  const problems = preview ? [] : problemsForUp(config);
  if (problems.length > 0) throw new ConfigError(problems);
  const asked = process.env.WATCH_PARTY_ROLLBACK || undefined;
  const preparing =
    asked === undefined ? prepareSource(config, join(workFolder(stack), "contexts")) : undefined;
  preparing?.catch(() => undefined);
  // The state is read before there is a resource: a file backend writes it anew for each, not in one go.
  const last = await lastDeploy();
  const access = await connectEngine(config, sshFolder(stack));
  const { engine, provider } = access;
  // The engine is asked while git is; what is wrong with the source is told first.
  const checks = preview ? undefined : preflight({ engine, config, stack });
  checks?.catch(() => undefined);
  const source = await preparing;
  await checks;
  // After a rollback, and until something newer is asked for, nothing is built.
  const resume = process.env.WATCH_PARTY_RESUME === "1";
  const kept = !source
    ? releaseNamed(last.record, asked!)
    : resume
      ? undefined
      : await heldRelease(last.record, source.checkout);
  const older = process.env.WATCH_PARTY_ALLOW_OLDER === "1";
  if (source && !kept && last.record && !older) await assertForward(source.checkout, last.record.current);
  const commit = kept?.commit ?? source!.checkout.identity;
  pulumi.log.info(`${kept ? "Going back to" : "Building from"} commit: ${shortIdentity(commit)}`);

  // A failed deploy leaves no record: its retry is a new attempt, which prunes and builds anew.
  const made = services.map(({ name, context, dockerfile, target, args }) => [
    ...[name, context, dockerfile],
    ...[target, args],
  ]);
  const current = last.record?.current;
  const rebuild = process.env.WATCH_PARTY_REBUILD === "1";
  const inputs = [commit, platform, config.rebuild, made];
  const build = kept?.build ?? attempt(inputs, rebuild ? undefined : current?.build);
  const run = attempt([build.id, services], last.record?.run);
  const builds = !kept && build !== current?.build;
  if (!preview && builds) {
    const lastImages = Object.values(current?.images ?? {}).map((image) => image.digest);
    await assertDisk(engine, lastImages);
  }
  const names = services.map(({ name }) => name);
  if (!preview && kept) await assertKept(engine, kept, names);
  const versions = preview
    ? undefined
    : ((builds ? undefined : (kept ?? current)?.versions) ?? readVersions(engine));
  clock.end("prepare");

  // The edge comes first: an address that is taken stops the deploy before anything is pruned or built.
  const edge = new Edge("edge", { listen: config.listen, domain: config.domain, labels }, { provider });
  const repository = (service: string) => `${project}-${stack}-${service}`;
  const { images, pruned } = kept
    ? { images: keptImages(kept, names), pruned: last.pruned }
    : buildImages({
        ...{ config, source: source!, attempt: build.id, repository, clock },
        ...{ access, after: edge, known: current?.images ?? {} },
      });
  const built = clock.mark("imageProofs", pulumi.all(images));
  const id = built.apply((all) =>
    releaseId(
      commit,
      run.id,
      all.map(({ digest }) => digest),
    ),
  );

  const deployed = services.map((service, index) => {
    const { digest: image, healthClient } = images[index]!;
    const args = {
      service,
      peers: services,
      image,
      healthClient,
      network: edge.network,
      release: id,
      labels,
    };
    const { containerId: container } = new WebService(service.name, args, { provider });
    return {
      service: withoutValues(service),
      container,
      image,
      tag: `${repository(service.name)}:${shortIdentity(commit)}`,
      host: id.apply((of) => hostName(service.name, of)),
    };
  });
  const running = clock.mark("services", pulumi.all(deployed));
  const deployment = pulumi
    .all([id, edge.containerId, edge.network, running])
    .apply(([id, edge, network, services]): Deployment => ({ commit, url, edge, id, network, services }));

  // A preview has no release to prove: it shows what the last one was.
  const proven = preview
    ? undefined
    : pulumi.all([release(engine, deployment, config.domain), built, deployment]).apply(async (all) => {
        const [links, found, deployment] = all;
        clock.end("proof");
        const verdicts = kept?.source ?? source!.verdicts;
        const certificate = certify({
          ...{ stack, commit, url, versions: (await versions)! },
          links: [...verdicts, ...found.flatMap((image) => image.verdicts), ...links],
        });
        const now: ReleaseRecord = {
          ...{ commit, build, versions: certificate.versions, source: verdicts },
          images: Object.fromEntries(names.map((name, at) => [name, found[at]!])),
          ...{ time: certificate.time, by: deployer(), seconds: clock.seconds().total! },
        };
        const left = kept && leftBy(last.record, kept);
        const of = { run, deployment, left, current: kept ?? (builds ? now : (current ?? now)) };
        const record = nextRecord(last.record, of, config.keepReleases);
        await writeReport(stack, { certificate, seconds: clock.seconds() });
        const tags = record.releases.map(({ commit }) => shortIdentity(commit));
        if (builds) await cleanUp(engine, names.map(repository), tags);
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
