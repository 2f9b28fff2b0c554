import { parseConfig } from "../config";
import type { DeployConfig, ServiceConfig } from "../config/types";
import type { Certificate } from "../freshness/chain";
import type { Deployment } from "../proof/deployment";
import type { Attempt, ImageRecord } from "./record";
import { readStackState } from "./stackState";

/** Keys of a stack, and of its one service. */
interface ServiceKeys {
  readonly source?: string;
  readonly commit?: string;
  readonly uncommitted?: string;
  readonly listen?: string;
  readonly [key: string]: unknown;
}

/** What the state keeps of the last successful deploy of the service. */
export interface Kept {
  readonly build: Attempt;
  readonly image: ImageRecord;
  readonly deployment: Deployment;
}

/** A service that is served and proven. */
export interface Served {
  readonly digest: string;
  readonly containerId: string;
  readonly commit: string;
  readonly url: string;
  readonly freshness?: Certificate;
}

/** The configuration of a stack with this service alone. */
export function configOf(
  name: string,
  { source = ".", commit, uncommitted, listen, ...service }: ServiceKeys,
): { readonly config: DeployConfig; readonly service: ServiceConfig } {
  const keys = { source, commit, uncommitted, listen };
  const given = Object.fromEntries(Object.entries(keys).filter(([, value]) => value !== undefined));
  const config = parseConfig({ ...given, services: { [name]: { route: "/", ...service } } });
  const [only] = config.services;
  if (only === undefined) throw new Error(`service ${name} has no configuration`);
  return { config, service: only };
}

/** The last successful deploy of the service, from the stack's state. */
export async function readKept(name: string): Promise<Kept | undefined> {
  const state = await readStackState();
  const own = state?.find((each) => each.type === "watch-party:index:FreshService" && each.name === name);
  return own?.outputs.kept as Kept | undefined;
}

/** The outputs of the component. */
export function servedBy(
  { commit, url, services }: Deployment,
  { digest }: ImageRecord,
  freshness?: Certificate,
): Served {
  return {
    digest,
    containerId: services[0]?.container ?? "",
    commit,
    url,
    freshness,
  };
}
