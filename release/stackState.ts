import * as pulumi from "@pulumi/pulumi";
import type { Deployment } from "../proof/deployment";

/** A resource of the stack's state that no operation is about to delete. */
interface StateResource {
  readonly type: string;
  readonly name: string;
  readonly outputs: Readonly<Record<string, unknown>>;
}

/** The resources that the last operation on the stack left, whether it ended well or not. */
export type StackState = readonly StateResource[];

/**
 * Reads the stack's own state as the last operation left it, by the way that Pulumi's SDK lists resources: it starts no process
 * and works with every backend. The stack's outputs tell of the last deploy that succeeded; this tells what came after it.
 *
 * @returns undefined where there is no backend to ask, as in tests of the program alone
 */
export async function readStackState(): Promise<StackState | undefined> {
  const stackName = `${pulumi.getOrganization()}/${pulumi.getProject()}/${pulumi.getStack()}`;
  type Told = Readonly<
    Record<string, { readonly type: string; readonly outputs?: StateResource["outputs"] }>
  >;
  const { outputs } = (await askWhole("pulumi:pulumi:readStackResourceOutputs", { stackName })) as {
    outputs?: Told;
  };
  return (
    outputs &&
    Object.entries(outputs).map(([urn, { type, outputs: of }]) => ({
      type,
      name: urn.slice(urn.lastIndexOf("::") + 2),
      outputs: of ?? {},
    }))
  );
}

const TRIES = 10;
const PAUSE_MS = 50;

/** Asks the CLI; again where it finds a state that is being written: a backend of files has no moment in which both exist. */
async function askWhole(token: string, inputs: Record<string, string>): Promise<unknown> {
  for (let tries = 1; ; tries++) {
    try {
      return await pulumi.runtime.invoke(token, inputs);
    } catch (cause) {
      if (tries === TRIES || !/failed to load checkpoint/.test((cause as Error).message)) throw cause;
    }
    await new Promise((resume) => setTimeout(resume, PAUSE_MS));
  }
}

const CONTAINERS = ["docker:index/container:Container", "docker:index/service:Service"];

/** The ids of what the state has on the engine: containers, services of a Swarm, networks, volumes. */
export function idsIn(state: StackState): string[] {
  const kinds = [...CONTAINERS, "docker:index/network:Network", "docker:index/volume:Volume"];
  return state.flatMap(({ type, outputs }) => (kinds.includes(type) ? [String(outputs.id ?? "")] : []));
}

/**
 * Whether the state still has the containers of the last deploy that succeeded. After a deploy that failed or was killed it may
 * have others: then Pulumi makes new ones of the same release, whose host names the old ones still have.
 */
export function hasContainersOf(state: StackState, { services }: Pick<Deployment, "services">): boolean {
  const ids = new Set(
    state.flatMap(({ type, outputs }) => (CONTAINERS.includes(type) ? [String(outputs.id ?? "")] : [])),
  );
  return services.every(({ container }) => ids.has(container));
}
