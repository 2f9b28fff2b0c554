import { join } from "node:path";
import * as pulumi from "@pulumi/pulumi";
import { BuildCachePrune } from "./components/buildCachePrune";
import { Edge } from "./components/edge";
import { connectEngine } from "./components/engineAccess";
import { FreshImage } from "./components/freshImage";
import { attempt, type DeployRecord, lastDeploy } from "./components/lastDeploy";
import { provenImage } from "./components/provenImage";
import { cleanUp, release, releaseId } from "./components/release";
import { StepClock } from "./components/stepClock";
import { hostName, WebService } from "./components/webService";
import { ConfigError, problemsForUp, readConfig } from "./config";
import { writeReport } from "./engine/certificate";
import { assertDisk, preflight } from "./engine/preflight";
import { type Deployment, withoutValues } from "./engine/prove";
import { keptStages } from "./engine/proveImage";
import { readVersions } from "./engine/versions";
import { sshFolder, workFolder } from "./engine/workFolder";
import { certify } from "./freshness/chain";
import { shortIdentity } from "./source/checkout";
import { prepareSource } from "./source/prepare";

// The SDK takes a stack trace for each property of each resource; short ones cost half as much.
Error.stackTraceLimit = 4;

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
  const { engine, provider, server } = await connectEngine(config, sshFolder(stack));
  // The engine is asked while git is; what is wrong with the source is told first.
  const checks = preview ? undefined : preflight({ engine, config, stack });
  checks?.catch(() => undefined);
  const [last, { checkout, inputs, verdicts, contexts }] = await Promise.all([
    lastDeploy(),
    prepareSource(config, join(workFolder(stack), "contexts")),
  ]);
  await checks;
  const commit = checkout.identity;
  const shortCommit = shortIdentity(commit);
  pulumi.log.info(`Building from commit: ${shortCommit}`);

  // A failed deploy leaves no record: its retry is a new attempt, which prunes and builds anew.
  const made = services.map(({ name, context, dockerfile, target, args }) => [
    name,
    context,
    dockerfile,
    target,
    args,
  ]);
  const rebuild = process.env.WATCH_PARTY_REBUILD === "1";
  const build = attempt([commit, platform, config.rebuild, made], rebuild ? undefined : last.record?.build);
  const run = attempt([build.id, services], last.record?.release);

  const builds = build !== last.record?.build;
  if (!preview && builds) {
    const lastImages = Object.values(last.record?.images ?? {}).map((image) => image.digest);
    await assertDisk(engine, lastImages);
  }
  const known = builds ? undefined : last.record?.versions;
  const versions = preview ? undefined : (known ?? readVersions(engine));
  clock.end("prepare");

  // The edge comes first: an address that is taken stops the deploy before anything is pruned or built.
  const edge = new Edge("edge", { listen: config.listen, domain: config.domain, labels }, { provider });
  const pruning = { scope: config.buildCache, tag: shortCommit, triggers: [build.id], server };
  const prune = new BuildCachePrune("prune", pruning, { dependsOn: edge });
  const pruned = clock.mark("prune", prune.reclaimed);

  const images = services.map((service) => {
    const { name } = service;
    const repository = `${project}-${stack}-${name}`;
    const stages = keptStages(service, inputs[name]!.dockerfile);
    const args = {
      service,
      context: contexts[name]!,
      commit,
      platform,
      repository,
      tag: shortCommit,
      stages,
    };
    return new FreshImage(name, { ...args, replacementTrigger: build.id }, { provider, dependsOn: prune });
  });
  const proofs = images.map((image, index) => {
    const service = services[index]!;
    const known = last.record?.images[service.name];
    const { prunedAt } = prune;
    return provenImage(image, { engine, service, commit, inputs: inputs[service.name]!, prunedAt, known });
  });
  clock.mark("images", pulumi.all(images.map(({ digest }) => digest)));
  const built = clock.mark("imageProofs", pulumi.all(proofs));
  const id = built.apply((all) =>
    releaseId(
      commit,
      run.id,
      all.map(({ digest }) => digest),
    ),
  );

  const deployed = services.map((service, index) => {
    const { digest: image, healthClient } = proofs[index]!;
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
      host: id.apply((of) => hostName(service.name, of)),
    };
  });
  const running = clock.mark("services", pulumi.all(deployed));
  const deployment = pulumi
    .all([id, edge.containerId, running])
    .apply(([release, at, all]): Deployment => ({ commit, url, edge: at, id: release, services: all }));

  // A preview has no release to prove: it shows what the last one was.
  const proven = preview
    ? undefined
    : pulumi.all([release(engine, deployment, config.domain), built]).apply(async ([links, all]) => {
        clock.end("proof");
        const certificate = certify({
          stack,
          commit,
          url,
          versions: (await versions)!,
          links: [...verdicts, ...all.flatMap((image) => image.verdicts), ...links],
        });
        await writeReport(stack, { certificate, seconds: clock.seconds() });
        if (builds) await cleanUp(engine, images, config.keepReleases);
        return certificate;
      });
  const record = pulumi
    .all([built, deployment, proven])
    .apply(async ([all, done]): Promise<DeployRecord | undefined> => {
      if (preview) return last.record;
      const images = Object.fromEntries(services.map(({ name }, at) => [name, all[at]!]));
      return { build, release: run, images, versions: (await versions)!, deployment: done };
    });
  return defined({
    url,
    commit,
    images: Object.fromEntries(services.map((service, index) => [service.name, images[index]!.digest])),
    freshness: proven ?? last.freshness,
    pruned,
    seconds: proven?.apply(() => clock.seconds()) ?? last.seconds,
    record: pulumi.secret(record),
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
