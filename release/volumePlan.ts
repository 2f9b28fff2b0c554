import type { ServiceConfig } from "../config/types";
import { hashOf } from "../freshness/hash";
import { VOLUME_LABEL } from "../freshness/labels";
import { commandLine } from "../freshness/project";
import type { DeployRecord } from "./record";

/** A volume of an earlier version of the program, which belongs to a single service. */
export interface ServiceVolume {
  readonly service: string;
  readonly volume: string;
}

/** A volume that the stack has or will have. */
export interface PlannedVolume {
  /**
   * Its name in the configuration, or `SERVICE/NAME` if an earlier version created one of that name for each service.
   */
  readonly id: string;
  /** Its resource name: the first service that used it, and the volume's name. */
  readonly resource: string;
  /** Its name on the engine; absent if not known yet. */
  readonly name?: string;
  /** The earlier resource that it replaces in the state. */
  readonly was?: ServiceVolume;
}

/** A volume on the engine. */
interface EngineVolume {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
}

/** The volumes of a stack, and the services that use them. */
export interface VolumePlan {
  readonly volumes: readonly PlannedVolume[];
  /** Service → name in its `volumes` → the volume's ID. */
  readonly used: Readonly<Record<string, Readonly<Record<string, string>>>>;
  /** Volumes that services use but that were removed from the engine. */
  readonly gone: readonly PlannedVolume[];
  /** Notes for a preview and for a deploy. */
  readonly notes: readonly string[];
  /** Problems that stop a preview and a deploy. */
  readonly problems: readonly string[];
}

export interface VolumePlanArgs {
  readonly project: string;
  readonly stack: string;
  readonly services: readonly Pick<ServiceConfig, "name" | "volumes" | "volumesFrom">[];
  readonly record?: Pick<DeployRecord, "volumes" | "deployment">;
  /** The volumes with the stack's label; absent in a preview. */
  readonly onEngine?: readonly EngineVolume[];
}

/**
 * Decides which volumes a stack has. Keeps every volume: one that no service uses stays a resource until it is removed
 * from the engine by name.
 */
export function planVolumes(args: VolumePlanArgs): VolumePlan {
  const { services, record, onEngine } = args;
  const isThere = ({ name }: PlannedVolume) =>
    name === undefined || onEngine === undefined || onEngine.some((volume) => volume.name === name);
  const known = knownVolumes(record);
  const problems: string[] = [];
  const used = Object.fromEntries(
    services.map((service) => [service.name, resolve(service, known, args, problems)]),
  );
  const ids = [...new Set(Object.values(used).flatMap((own) => Object.values(own)))];
  const notes: string[] = [];
  const kept = known.filter(({ id }) => !ids.includes(id)).filter(isThere);
  const resources = new Set(known.map(({ resource }) => resource));
  const taken = ids.map((id) => {
    const before = known.find((volume) => volume.id === id);
    if (before) return before;
    const user = services.find(({ name }) => Object.values(used[name] ?? {}).includes(id))?.name ?? "";
    // A service name never has a dot.
    const resource = resources.has(`${user}-${id}`) ? `${user}.${id}` : `${user}-${id}`;
    resources.add(resource);
    return { ...newVolume(id, args, notes, problems), resource };
  });
  const gone = taken.filter((volume) => known.includes(volume) && !isThere(volume));
  notes.push(
    ...gone.map(
      ({ id, name }) => `volume ${id} (${name}) is gone from the engine; an empty one takes its place`,
    ),
  );
  notes.push(...kept.map((volume) => keptNote(volume, args.stack)), ...separateNotes(known, used));
  return { volumes: [...taken, ...kept], used, gone, notes, problems };
}

/** The volumes after the last deploy. */
export function knownVolumes(record: VolumePlanArgs["record"]): PlannedVolume[] {
  if (record?.volumes) return Object.entries(record.volumes).map(([id, volume]) => ({ id, ...volume }));
  const all = (record?.deployment?.services ?? []).flatMap(({ service: { name, volumes } }) =>
    Object.keys(volumes).map((volume): ServiceVolume => ({ service: name, volume })),
  );
  return all.map((was) => {
    const isAlone = all.filter(({ volume }) => volume === was.volume).length === 1;
    const id = isAlone ? was.volume : `${was.service}/${was.volume}`;
    return { id, resource: `${was.service}-${was.volume}`, was };
  });
}

/** Name → ID of the volumes of a service. */
function resolve(
  { name: service, volumes, volumesFrom = {} }: VolumePlanArgs["services"][number],
  known: readonly PlannedVolume[],
  { services, record, onEngine, project, stack }: VolumePlanArgs,
  problems: string[],
): Record<string, string> {
  const key = `${project}:services.${service}.volumesFrom`;
  const idOf = (volume: string): string => {
    const from = volumesFrom[volume];
    if (from !== undefined) {
      const named = known.find(({ id, name }) => id === from || name === from);
      if (named) return named.id;
      const isNew = services.some((each) => from in each.volumes && each.volumesFrom?.[from] === undefined);
      const isLeft = onEngine?.some(({ name, labels }) => name === from || labels[VOLUME_LABEL] === from);
      // The volume may be on the engine, which a preview cannot query.
      if (!isNew && !isLeft && (onEngine !== undefined || record !== undefined))
        problems.push(
          `${key}.${volume} is "${from}", no volume of this stack; allowed: ${listed([
            ...known.map(({ id }) => id),
            ...(onEngine ?? []).map(({ name }) => name),
          ])}, as "${commandLine(`volumes --stack ${stack}`)}" lists them`,
        );
      return from;
    }
    const separate = known.filter(({ id }) => id.endsWith(`/${volume}`));
    const own = separate.find(({ id }) => id === `${service}/${volume}`);
    if (own) return own.id;
    if (separate.length > 0 && !known.some(({ id }) => id === volume))
      problems.push(
        `${project}:services.${service}.volumes.${volume} could be any of ${listed(separate.map(({ id }) => id))}, which an earlier version made for each service; allowed: one of them in ${key}.${volume}`,
      );
    return volume;
  };
  return Object.fromEntries(Object.keys(volumes).map((volume) => [volume, idOf(volume)]));
}

/**
 * Plans a volume that the last deploy did not have. The engine may still have it, because a destroyed stack leaves its
 * volumes.
 */
function newVolume(
  id: string,
  { project, stack, services, record, onEngine = [] }: VolumePlanArgs,
  notes: string[],
  problems: string[],
): Omit<PlannedVolume, "resource"> {
  const name = volumeName(project, stack, id);
  const users = services.filter((service) => id in service.volumes).map((service) => service.name);
  const [user] = users;
  // A failed deploy of an earlier version leaves no record, but its volume is in the state.
  const was = !record?.volumes && users.length === 1 && user ? { was: { service: user, volume: id } } : {};
  const unnamed = onEngine.filter(({ labels }) => labels[VOLUME_LABEL] === undefined);
  const earlier = unnamed.filter(({ name }) => users.some((of) => name.startsWith(`${of}-${id}-`)));
  const found =
    onEngine.find((volume) => volume.name === id) ??
    onEngine.find((volume) => volume.name === name) ??
    onEngine.find(({ labels }) => labels[VOLUME_LABEL] === id);
  const candidates = found ? [found] : earlier.filter((volume) => /-[0-9a-f]{7}$/.test(volume.name));
  const [first, ...others] = candidates;
  if (first === undefined) return { id, name, ...was };
  if (others.length > 0) {
    problems.push(
      `${project}:services.${user}.volumes.${id} could be any of ${listed(candidates.map((each) => each.name))}, which are on the engine; allowed: one of them in ${project}:services.${user}.volumesFrom.${id}`,
    );
    return { id, name, ...was };
  }
  notes.push(`volume ${id} is on the engine already, as ${first.name}: it is used with what is in it`);
  return { id, name: first.name, ...was };
}

/**
 * The name of a new volume on the engine. It is the same each time the stack is created. The hash keeps names unique if
 * stack and volume names concatenate to the same text.
 */
export function volumeName(project: string, stack: string, id: string): string {
  return `${project}-${stack}-${id.replace("/", ".")}-${hashOf([project, stack, id]).slice(0, 7)}`;
}

function keptNote({ id, name }: PlannedVolume, stack: string): string {
  const called = name === undefined ? id : `${id} (${name})`;
  return (
    `volume ${called} is kept, no longer used by any service; use it by its name in volumes, or by volumesFrom under ` +
    `another, or delete it: ${commandLine(`volumes --stack ${stack} --delete ${id}`)}`
  );
}

/**
 * Notes on the separate volumes that an earlier version created for each service. They stay separate. One name now
 * means one volume, so the user must choose.
 */
function separateNotes(known: readonly PlannedVolume[], used: VolumePlan["used"]): string[] {
  const names = new Set(known.flatMap(({ id }) => (id.includes("/") ? [id.slice(id.indexOf("/") + 1)] : [])));
  return [...names].flatMap((name) => {
    const of = Object.entries(used).filter(([service, own]) => own[name] === `${service}/${name}`);
    if (of.length < 2) return [];
    const ids = of.map(([, own]) => own[name]);
    const [[first = ""] = [], [second = ""] = []] = of;
    return [
      `volumes ${ids.join(" and ")} have one name and are separate, as an earlier version made them; to share one of them, set volumesFrom.${name} of ${second} to ${first}/${name}`,
    ];
  });
}

function listed(names: readonly string[]): string {
  return [...new Set(names)].join(", ") || "none";
}
