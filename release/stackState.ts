import * as pulumi from "@pulumi/pulumi";
import type { Deployment } from "../proof/deployment";

/** A resource of the stack's state that is not pending deletion. */
interface StateResource {
  readonly type: string;
  readonly name: string;
  readonly outputs: Readonly<Record<string, unknown>>;
}

/** The resources after the last operation on the stack, successful or not. */
export type StackState = readonly StateResource[];

/**
 * Reads the stack's own state after the last operation, through the call that Pulumi's SDK uses to list resources. It
 * starts no process and works with every backend. The stack's outputs describe the last successful deploy; the state
 * includes later changes.
 * @returns undefined without a backend, as in unit tests of the program
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

/** Queries the CLI, and retries if the state is being written: a file backend briefly has no complete state file. */
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

/** IDs of the state's resources on the engine: containers, Swarm services, networks, volumes. */
export function idsIn(state: StackState): string[] {
  const kinds = [...CONTAINERS, "docker:index/network:Network", "docker:index/volume:Volume"];
  return state.flatMap(({ type, outputs }) => (kinds.includes(type) ? [String(outputs.id ?? "")] : []));
}

/**
 * Whether the state still has the containers of the last successful deploy. After a failed or killed deploy it may have
 * others. Pulumi then creates new containers of the same release, while the old ones still use its host names.
 */
export function hasContainersOf(state: StackState, { services }: Pick<Deployment, "services">): boolean {
  const ids = new Set(
    state.flatMap(({ type, outputs }) => (CONTAINERS.includes(type) ? [String(outputs.id ?? "")] : [])),
  );
  return services.every(({ container }) => ids.has(container));
}
