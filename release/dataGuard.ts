import * as pulumi from "@pulumi/pulumi";
import type { DeployConfig, ServiceConfig } from "../config/types";
import type { DockerEngine } from "../engine/docker";
import type { ContainerFacts } from "../engine/facts";
import { stackLabel } from "../engine/inventory";
import { anonymousVolumes, type FoundFiles, searchVolumes } from "../engine/volumeFiles";
import { assertUnbroken } from "../freshness/chain";
import {
  type Database,
  databaseIn,
  databaseOf,
  overlaps,
  overlapWarning,
  secondServer,
} from "../freshness/container/database";
import { type Unsaved, unsavedChanges, unsavedText, unsavedVerdict } from "../freshness/container/unsaved";
import { finalBase } from "../freshness/dockerfile/dependencies";
import { runtimeOf } from "../proof/runtime";
import type { Source } from "../source/prepare";
import type { DeployRecord } from "./record";
import type { VolumePlan } from "./volumePlan";

export interface DataGuardArgs {
  readonly config: Pick<DeployConfig, "services">;
  readonly source?: Pick<Source, "inputs">;
  readonly record?: DeployRecord;
  readonly volumes: VolumePlan;
  /** Absent in a preview. */
  readonly engine?: DockerEngine;
}

/** Warns about volumes that two containers use at the same time. */
export async function warnOfOverlaps({ services }: Pick<DeployConfig, "services">): Promise<void> {
  for (const service of services) {
    const warning = overlapWarning(service);
    if (warning !== undefined) await pulumi.log.warn(warning);
  }
}

/**
 * Checks, before the build, for data that this deploy could harm: databases that would run twice on one volume, and
 * files that would be lost with the old containers.
 * @throws FreshnessError if a service is refused
 */
export async function guardData(args: DataGuardArgs): Promise<void> {
  const { config, source, engine } = args;
  for (const service of config.services) {
    const dockerfile = source?.inputs[service.name]?.dockerfile;
    const base = dockerfile && finalBase(dockerfile, service.args, service.target);
    if (base) refuseSecond(service, databaseOf({ names: [base], env: namesOf(service) }));
  }
  if (engine === undefined) return;
  const [old, onEngine] = await Promise.all([oldContainers(engine, args.record), knownOnEngine(args)]);
  const files = await searchVolumes(engine, {
    data: onEngine.map(({ name }) => name),
    anonymous: new Map(
      old.flatMap(({ container }) =>
        anonymousVolumes(container).map(
          ({ source: name }) => [name, Math.floor(container.created / 1000)] as const,
        ),
      ),
    ),
  });
  for (const { service, id, name } of onEngine) refuseSecond(service, databaseIn(id, files.get(name) ?? []));
  for (const each of old) await judgeUnsaved(config.services, each, files);
}

/** Refuses a built image that is a database's. */
export async function guardImage(engine: DockerEngine, service: ServiceConfig, image: string): Promise<void> {
  if (!overlaps(service)) return;
  const config = (await engine.inspectImage(image))?.Config;
  refuseSecond(
    service,
    databaseOf({
      env: [...(config?.Env ?? []), ...namesOf(service)],
      entrypoint: config?.Entrypoint ?? [],
      command: config?.Cmd ?? [],
      ports: Object.keys(config?.ExposedPorts ?? {}),
    }),
  );
}

function namesOf({ env, secretEnv }: ServiceConfig): string[] {
  return [...Object.keys(env), ...Object.keys(secretEnv)].map((name) => `${name}=`);
}

function refuseSecond(service: ServiceConfig, database: Database | undefined): void {
  const refusal = database && secondServer(service, database);
  if (refusal) assertUnbroken([refusal]);
}

/** The existing volumes of services that would run twice on them. */
async function knownOnEngine({ config, volumes, engine }: DataGuardArgs) {
  const wanted = config.services.filter(overlaps).flatMap((service) =>
    Object.values(volumes.used[service.name] ?? {}).flatMap((id) => {
      const planned = volumes.volumes.find((volume) => volume.id === id);
      return planned ? [{ service, id, planned }] : [];
    }),
  );
  if (wanted.length === 0) return [];
  const listed = (await engine?.listVolumes(stackLabel(pulumi.getStack()))) ?? [];
  return wanted.flatMap(({ service, id, planned: { name, was } }) => {
    // The name of a volume from an earlier version ends in the suffix that Pulumi added.
    const found = listed.find(
      (volume) => volume.name === name || (was && volume.name.startsWith(`${was.service}-${was.volume}-`)),
    );
    return found ? [{ service, id, name: found.name }] : [];
  });
}

interface OldContainer {
  readonly service: string;
  readonly caches: readonly string[];
  readonly container: ContainerFacts;
  readonly changes: readonly { readonly kind: "A" | "C" | "D"; readonly path: string }[];
}

/** The containers of the running release on this engine. */
async function oldContainers(
  engine: DockerEngine,
  record: DeployRecord | undefined,
): Promise<OldContainer[]> {
  if (record === undefined) return [];
  const { deployment } = record;
  const here = await runtimeOf(deployment).here(engine, deployment.services);
  const ids = deployment.services.flatMap(({ service }, at) =>
    (here[at] ?? []).map((id) => ({ service, id })),
  );
  const found = await engine.inspectContainers(ids.map(({ id }) => id));
  return Promise.all(
    ids.flatMap(({ service: { name, caches }, id }) => {
      const container = found.find((each) => each.id === id);
      return container ? [readChanges(engine, { service: name, caches, container })] : [];
    }),
  );
}

async function readChanges(engine: DockerEngine, of: Omit<OldContainer, "changes">): Promise<OldContainer> {
  return { ...of, changes: of.container.readOnly ? [] : await engine.changedFiles(of.container.id) };
}

async function judgeUnsaved(
  services: DeployConfig["services"],
  { service, caches, container, changes }: OldContainer,
  files: FoundFiles,
): Promise<void> {
  const mounts = container.mounts.map(({ destination }) => destination);
  const inAnonymous = anonymousVolumes(container).flatMap(({ source, destination }) => {
    const isCache = caches.some((cache) => `${destination}/`.startsWith(`${cache}/`));
    return isCache ? [] : (files.get(source) ?? []).map((path) => `${destination}/${path}`);
  });
  const paths = [...unsavedChanges(changes, caches, mounts), ...inAnonymous];
  if (paths.length === 0) return;
  const unsaved: Unsaved = { container: container.name, paths };
  if (services.some(({ name, unsavedFiles }) => name === service && unsavedFiles === "refuse"))
    assertUnbroken([unsavedVerdict(service, unsaved)]);
  await pulumi.log.warn(
    `${unsavedText(service, unsaved)}; they go with the container. Copy them out first (docker cp), or let the service write below one of its volumes`,
  );
}
