import * as pulumi from "@pulumi/pulumi";
import type { DockerEngine } from "../engine/docker";
import { withCode } from "../engine/errorCodes";
import { isRefreshing } from "../engine/lifeline";
import { commandLine } from "../freshness/project";
import { readStanding, removeContainers, type Standing } from "./readStanding";
import { idsIn, type StackState } from "./stackState";

/** The decisions of a deploy about what the engine has under the stack's name. */
export interface Settled {
  readonly standing: Standing;
  /** Removes edges that the state does not have, before the new edge takes their address; absent if there are none. */
  readonly handOver?: () => Promise<void>;
  /** Containers that the state does not have and that may serve requests until the switch. */
  readonly strays: readonly string[];
}

/** Whether the engine has anything of the stack that the stack's state does not have. */
export function hasStrays({ containers, others, volumes }: Standing): boolean {
  return containers.length + others.length + volumes.length > 0;
}

/**
 * Compares the engine with the stack's state before anything is changed. Remains of a killed deploy do not stop this
 * one. An edge that routes to no release is removed at once, because it uses the address. The rest is removed once the
 * deploy has succeeded.
 * @param isFirst whether no deploy of this state has succeeded yet
 * @param cli PID of the Pulumi CLI
 * @param healed containers and volumes that the deploy creates again if they are missing
 * @param adopts whether to take over what runs but is not in the state
 * @throws RunError if the state lacks an edge that serves a release, or has resources that the engine does not have
 */
export async function settleStanding(
  engine: DockerEngine,
  {
    stack,
    state,
    isSwarm,
    adopts,
    isFirst,
    healed,
    cli,
  }: {
    readonly stack: string;
    readonly state: StackState | undefined;
    readonly isSwarm: boolean;
    readonly adopts: boolean;
    readonly isFirst: boolean;
    readonly healed: readonly string[];
    readonly cli: number;
  },
): Promise<Settled | undefined> {
  if (state === undefined) return undefined;
  const known = idsIn(state);
  const standing = await readStanding(engine, stack, { known, isSwarm });
  const missing = standing.missing.filter((id) => !healed.includes(id));
  if (missing.length > 0 && !(await isRefreshing(cli)))
    throw new pulumi.RunError(missingMessage(stack, state, missing));
  const edges = standing.containers.filter(({ service }) => service === "edge");
  const serving = edges.filter(({ release }) => release !== undefined);
  // An edge on a volume of the state comes from a deploy that was killed before it could write the state.
  const foreign = serving.filter(({ volumes }) => !volumes.some((name) => known.includes(name)));
  if (foreign.length > 0 && !adopts) throw new pulumi.RunError(strayMessage(stack, standing));
  const strays = standing.containers
    .filter(({ service, running }) => service !== "edge" && running)
    .map(({ id }) => id);
  if (adopts) await takeOver(standing, state);
  const { volumes } = standing;
  if (isFirst && !adopts && volumes.length > 0)
    await pulumi.log.warn(
      `the engine has volumes of this stack's edge that its state does not have: ${volumes.join(", ")}; this deploy makes new ones. To take them over instead, run "${commandLine(`pulumi destroy --yes --stack ${stack}`)}", then "${commandLine(`up --stack ${stack} --adopt`)}"`,
    );
  const idsOf = (some: typeof edges) => some.map(({ id }) => id);
  await removeContainers(engine, idsOf(edges.filter((edge) => !serving.includes(edge))));
  return {
    standing,
    strays,
    handOver: serving.length > 0 ? () => removeContainers(engine, idsOf(serving)) : undefined,
  };
}

/**
 * Makes Pulumi import existing networks and volumes instead of creating new ones. A new edge on them serves what the
 * old one served.
 */
async function takeOver({ containers, others, volumes }: Standing, state: StackState): Promise<void> {
  const used = new Set(containers.flatMap((each) => each.volumes));
  // Mounted volumes take precedence over unused ones.
  const names = [...volumes].sort((a, b) => Number(used.has(b)) - Number(used.has(a)));
  const networks = new Map(
    others.flatMap(({ kind, id, name }) => (kind === "network" && name ? [[name, id]] : [])),
  );
  const found = (resource: string, all: readonly string[]) =>
    all.find((name) => new RegExp(`^${resource.replaceAll(".", "\\.")}-[0-9a-f]{7}$`).test(name));
  pulumi.runtime.registerStackTransformation(({ type, name, props, opts }) => {
    // An import over a resource in the state would delete that resource.
    if (state.some((known) => known.type === type && known.name === name)) return undefined;
    const volume = type === "docker:index/volume:Volume" ? found(name, names) : undefined;
    const network = type === "docker:index/network:Network" ? found(name, [...networks.keys()]) : undefined;
    const id = volume ?? (network && networks.get(network));
    return id === undefined ? undefined : { props, opts: { ...opts, import: id } };
  });
  const taken = [...names, ...networks.keys()];
  if (taken.length > 0)
    await pulumi.log.info(`takes over what the engine has of this stack: ${taken.join(", ")}`);
}

/** Keeps the names of networks and volumes, including imported ones that this program did not name. */
export function keepNames(): void {
  // A program in a unit test has no stack.
  if (pulumi.runtime.getStackResource() === undefined) return;
  pulumi.runtime.registerStackTransformation(({ type, props, opts }) =>
    /^docker:index\/(network:Network|volume:Volume)$/.test(type)
      ? { props, opts: { ...opts, ignoreChanges: [...(opts.ignoreChanges ?? []), "name"] } }
      : undefined,
  );
}

/** Lists what the state does not have, and how to continue. */
export function strayMessage(stack: string, standing: Standing): string {
  return (
    `the state of stack ${stack} does not have what runs under its name on this engine: ${listed(standing)}. ` +
    "The state was lost, or another checkout deploys a stack of this name; nothing was changed. " +
    `To take over the network and the volumes, serve on and replace the containers, run "${commandLine(`up --stack ${stack} --adopt`)}". ` +
    `To remove the containers and networks, run "${commandLine(`leftovers --stack ${stack} --remove`)}"; volumes stay. ` +
    "If another checkout deploys it, choose another stack name."
  );
}

/** `containers a (serves X), b; networks c; volumes d` */
export function listed({ containers, others, volumes }: Standing): string {
  const of = (kind: string, names: readonly string[]) =>
    names.length === 0 ? [] : [`${kind}${names.length === 1 ? "" : "s"} ${names.join(", ")}`];
  const other = (kind: string) =>
    others.filter((each) => each.kind === kind).map(({ id, name }) => name ?? id);
  return [
    ...of(
      "container",
      containers.map(({ name, release, running }) =>
        release === undefined
          ? `${name}${running ? "" : " (stopped)"}`
          : `${name} (serves release ${release})`,
      ),
    ),
    ...["service", "secret", "network"].flatMap((kind) => of(kind, other(kind))),
    ...of("volume", volumes),
  ].join("; ");
}

function missingMessage(stack: string, state: StackState, missing: readonly string[]): string {
  const names = state
    .filter(({ outputs }) => missing.includes(String(outputs.id ?? "")))
    .map(({ type, outputs }) => `${type.slice(type.lastIndexOf(":") + 1).toLowerCase()} ${outputs.name}`);
  return withCode(
    "gone from the engine",
    `${names.join(", ")}, which the state of stack ${stack} has; nothing was changed. ` +
      `Run "${commandLine(`up --stack ${stack} --refresh`)}", which makes them again.`,
  );
}
