import * as pulumi from "@pulumi/pulumi";
import { imageOf } from "../config/types";
import { siteOf } from "../edge/site";
import type { DockerEngine } from "../engine/docker";
import type { EdgeFiles } from "../engine/edgeFiles";
import { startEarly } from "../engine/until";
import { type Certificate, certify, type Verdict, type Versions, warningsOf } from "../freshness/chain";
import { writeReport } from "../proof/certificate";
import type { Deployment } from "../proof/deployment";
import { readVersions } from "../proof/versions";
import { guardStart } from "./guard";
import { hook } from "./hook";
import { readIntent } from "./intent";
import { keepReleases, lacksAssets, restoreEdge, store } from "./keepReleases";
import { notify } from "./notify";
import { sweep } from "./orphans";
import type { Prepared } from "./prepare";
import type { DeployRecord, HeldDependencies, ImageRecord, ReleaseRecord, VolumeRecord } from "./record";
import { type Released, release, stopRefused } from "./release";
import type { ReleaseServices } from "./releaseServices";
import { deployer, nextRecord, slowStep, timed } from "./releases";
import { openSchedules } from "./schedules";
import type { ServiceImages } from "./serviceImages";
import { buildOf } from "./settings";
import { hasStrays } from "./standing";

/** A release that is served and proven. */
export interface Published {
  readonly certificate: Certificate;
  readonly record: DeployRecord;
}

/** The parts of a release that the program has declared. */
interface Declared {
  readonly services: ReleaseServices;
  readonly images: ServiceImages;
  /** The stack's volumes, for the next deploy. */
  readonly volumes: pulumi.Output<Record<string, VolumeRecord>>;
}

/**
 * Routes the edge to the release, proves it, and records it. If a proof fails, the previous release keeps serving.
 * @returns undefined in a preview, which has no release to prove
 */
export function publish(deploy: Prepared, declared: Declared): pulumi.Output<Published> | undefined {
  const { engine } = deploy;
  const deployment = declared.services.deployment();
  return engine && new Publication(deploy, declared, engine).run(deployment);
}

class Publication {
  /**
   * Versions of the tools that build and deploy. Read once the first image exists: before that, each process would
   * delay the builds.
   */
  private versions: Promise<Versions> | undefined;
  /** The content of the edge's volume before the switch. */
  private edgeFiles: EdgeFiles | undefined;
  /** The removal of stages and their cache, started once the containers exist. */
  private clearing: Promise<void> | undefined;
  private readonly endGuard: (() => void) | undefined;

  constructor(
    private readonly deploy: Prepared,
    private readonly declared: Declared,
    private readonly engine: DockerEngine,
  ) {
    const { plan, last, config } = deploy;
    const release = plan.kind === "reuse" ? plan.release : last.record?.current;
    const known = plan.builds || plan.reused ? undefined : release?.versions;
    for (const service of config.services)
      declared.images.of(service).apply(() => {
        this.versions ??= known ? Promise.resolve(known) : readVersions(engine);
      });
    this.endGuard = deploy.isUnchanged ? undefined : guardStart(deploy.access.cli);
  }

  run(deployment: pulumi.Output<Deployment>): pulumi.Output<Published> {
    const { config, clock, last, ahead } = this.deploy;
    const { images, services, volumes } = this.declared;
    const { heldDependencies } = images;
    const stored = pulumi.all([deployment, heldDependencies]).apply(([of]) => this.store(of));
    const released = release(this.engine, deployment, siteOf(config), {
      begun: ahead,
      ready: () => clock.end("services"),
      beforeSwitch: (release) => hook(config, "beforeSwitch", { ...this.moment, release }),
      served: () => clock.end("proof"),
      found: (files: EdgeFiles) => {
        this.edgeFiles = files;
      },
      refused: this.endGuard,
      settleSeconds: config.settleSeconds,
      drainSeconds: config.drainSeconds,
      last: last.record?.deployment,
      commands: services.releaseCommands,
      pauses: services.pauses,
    });
    const found = pulumi.all(config.services.map((service) => images.of(service)));
    return pulumi
      .all([released, found, deployment, heldDependencies, volumes, stored])
      .apply(([released, found, deployment, dependencies, volumes]) =>
        this.remember(released, found, deployment, dependencies, volumes),
      );
  }

  /** Copies assets and clears the stages while the containers start, when disk writes no longer delay them. */
  private async store(deployment: Deployment): Promise<void> {
    // The clean-up awaits this and reports a failure.
    this.clearing = startEarly(this.declared.images.clear?.());
    if (this.isNew(deployment)) await store(this.engine, deployment, this.deploy.plan.build.id);
  }

  private async remember(
    { verdicts, draining }: Released,
    images: readonly ImageRecord[],
    deployment: Deployment,
    dependencies: Readonly<Record<string, HeldDependencies>> | undefined,
    volumes: Readonly<Record<string, VolumeRecord>>,
  ): Promise<Published> {
    const { config, plan, last, basis, stack, clock } = this.deploy;
    clock.end("settle");
    const source = plan.kind === "reuse" ? plan.release.source : plan.source.verdicts;
    const from = plan.kind === "reuse" ? plan.release.from : undefined;
    const before = last.record?.deployment;
    const certificate = await this.certificate([
      ...source,
      ...images.flatMap((image) => image.verdicts),
      ...verdicts,
      ...(await openSchedules(this.engine, stack, { deployment, last: before })),
    ]);
    const now: ReleaseRecord = {
      commit: plan.commit,
      build: plan.build,
      versions: certificate.versions,
      source,
      made: buildOf(config, plan.commit),
      images: this.imagesByName(images),
      time: certificate.time,
      by: deployer(),
      bases: basis.bases,
      dependencies,
      ...timed(clock.seconds()),
      // The record omits keys without a value.
      ...(from === undefined ? {} : { from }),
    };
    await basis.said;
    const slow = plan.builds ? slowStep(now, last.record?.releases ?? []) : undefined;
    if (slow !== undefined) await pulumi.log.warn(slow);
    const { run, left } = plan;
    const record = nextRecord(last.record, { run, left, deployment, volumes, now }, config.keepReleases);
    await writeReport(stack, { certificate, seconds: clock.seconds(), served: clock.endOf("proof") });
    if (this.isNew(deployment)) await this.announce(deployment);
    await this.cleanUp(deployment, record, draining);
    this.endGuard?.();
    return { certificate, record };
  }

  private async certificate(links: readonly Verdict[]): Promise<Certificate> {
    const { config, plan, stack } = this.deploy;
    const versions = await (this.versions ?? readVersions(this.engine));
    const certificate = certify({ stack, commit: plan.commit, url: config.publicUrl, versions, links });
    for (const warning of warningsOf(certificate.links)) await pulumi.log.warn(warning);
    return certificate;
  }

  private get moment() {
    const { plan, last } = this.deploy;
    return { commit: plan.commit, last: last.record };
  }

  /** Runs the hook of a release that serves, and tells the webhooks. Neither fails a proven release. */
  private async announce({ id, url, commit }: Deployment): Promise<void> {
    const { config, stack, last } = this.deploy;
    await hook(config, "afterSwitch", { ...this.moment, release: id }).catch((cause: Error) =>
      pulumi.log.warn(cause.message),
    );
    const event = readIntent().rollback === undefined ? "deployed" : "rolled back";
    const previous = last.record?.current.commit;
    await notify(config, { event, stack, url, commit, previous }, (text) => pulumi.log.warn(text));
  }

  /** Keeps what the kept releases need, and removes the rest. */
  private async cleanUp(
    deployment: Deployment,
    record: DeployRecord,
    draining: Released["draining"],
  ): Promise<void> {
    const { config, last, basis, names, standing, access } = this.deploy;
    const { kept = [], state: ledBefore } = this.edgeFiles ?? {};
    const before = last.record?.deployment;
    if (this.isNew(deployment))
      return keepReleases(this.engine, {
        deployment,
        last: before,
        record,
        kept,
        freeBefore: basis.free,
        repositories: this.imageNames.map(names.repository),
        registry: config.registry?.address,
        drainSeconds: config.drainSeconds,
        draining,
        builder: access.builder?.engine,
        clearing: this.clearing,
        strays: standing?.strays,
        volumes: standing?.standing.volumes,
      });
    if (ledBefore === undefined || lacksAssets(deployment, record, { kept }))
      await restoreEdge(this.engine, { deployment, record, kept });
    await stopRefused(this.engine, { last: before, edge: deployment.edge, deployment });
    if (standing && hasStrays(standing.standing))
      await sweep(this.engine, deployment, before, standing.standing.volumes);
  }

  private isNew({ id }: Deployment): boolean {
    return id !== this.deploy.last.record?.deployment.id;
  }

  /** One name for each image: services can share an image. */
  private get imageNames(): string[] {
    return [...new Set(this.deploy.config.services.map(imageOf))];
  }

  private imagesByName(images: readonly ImageRecord[]): Record<string, ImageRecord> {
    const { services } = this.deploy.config;
    const named = services.flatMap(({ name }, at): [string, ImageRecord][] => {
      const image = images[at];
      return image && this.imageNames.includes(name) ? [[name, image]] : [];
    });
    return Object.fromEntries(named);
  }
}

/** The outputs of a stack. */
export function outputsOf(
  { config, plan, last, clock }: Prepared,
  images: ServiceImages,
  published: pulumi.Output<Published> | undefined,
) {
  // A preview has no release to prove. It shows the outputs of the last deploy.
  const record = published?.record ?? last.record;
  const outputs = {
    url: config.publicUrl,
    commit: plan.commit,
    images: Object.fromEntries(config.services.map((service) => [service.name, images.of(service).digest])),
    freshness: published?.certificate ?? last.freshness,
    pruned: images.reclaimed,
    seconds: published?.apply(() => clock.seconds()) ?? last.seconds,
    record: record && pulumi.secret(record),
  };
  // Omit outputs without a value, as in the preview of a new stack.
  return Object.fromEntries(Object.entries(outputs).filter(([, value]) => value !== undefined));
}
