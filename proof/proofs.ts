import type { DockerEngine } from "../engine/docker";
import type { Link, Verdict } from "../freshness/chain";
import { proveAccessories } from "./accessory";
import { proveAnswers } from "./answers";
import type { Deployment } from "./deployment";
import { proveEdge } from "./edge";
import { proveFollowers } from "./followers";
import { proveFront } from "./front";
import { proveKeptReleases } from "./keptReleases";
import { provePages } from "./pages";
import { runtimeOf } from "./runtime";
import { proveSchedules } from "./schedules";
import { proveNamingPages, proveRedirects, proveVersions } from "./served";
import type { StackMemory } from "./stackMemory";
import { proveStaticFiles } from "./staticFiles";
import { proveStrays } from "./strays";
import type { ToProve } from "./toProve";
import { trustEdge } from "./trust";

/** When a deploy makes a proof; the switch follows `engine`. `verify` makes all of them at once. */
export const MOMENTS = [
  /** The new containers answer. */
  "answers",
  /** They have answered: what the engine says of them. */
  "engine",
  /** The edge has switched: what the public address answers. */
  "address",
  /** The edges on other nodes have switched. */
  "followers",
  /** The public address serves the release: what a browser gets that was there before. */
  "browser",
  /** No deploy is under way: what surrounds the release. */
  "stack",
] as const;
type Moment = (typeof MOMENTS)[number];

/** A proof of a deployed release: reads facts of the running system, and calls the rules of its link. */
interface Proof {
  readonly link: Link;
  readonly at: Moment;
  readonly prove: (of: ToProve) => Promise<Verdict[]>;
}

/**
 * All proofs of a deployed release, for the switch, for an `up` without changes and for `verify`. Before
 * them, `commit`, `dockerfile` and `cache` are proven of the commit (source/builds.ts), `image` and `bytes` of a new image
 * (proof/proveImage.ts).
 */
export const PROOFS: readonly Proof[] = [
  { link: "served", at: "stack", prove: proveEdge },
  { link: "container", at: "stack", prove: proveAccessories },
  {
    link: "container",
    at: "engine",
    prove: ({ engine, deployment }) => runtimeOf(deployment).proveRunning(engine, deployment),
  },
  { link: "container", at: "answers", prove: proveAnswers },
  { link: "served", at: "address", prove: proveFront },
  { link: "served", at: "address", prove: proveVersions },
  { link: "served", at: "address", prove: proveNamingPages },
  { link: "served", at: "address", prove: proveRedirects },
  { link: "served", at: "browser", prove: proveStaticFiles },
  { link: "browser", at: "browser", prove: provePages },
  { link: "served", at: "followers", prove: proveFollowers },
  { link: "container", at: "stack", prove: proveStrays },
  { link: "container", at: "stack", prove: proveSchedules },
  { link: "image", at: "stack", prove: proveKeptReleases },
];

/** Makes the proofs of some moments, in parallel. @returns the verdicts in the order of the list */
export async function prove(moments: readonly Moment[], of: ToProve): Promise<Verdict[]> {
  const proofs = PROOFS.filter(({ at }) => moments.includes(at));
  return (await Promise.all(proofs.map((proof) => proof.prove(of)))).flat();
}

/** Proves a deployment from the engine and the public address, without changes. */
export async function proveDeployment(
  engine: DockerEngine,
  deployment: Deployment,
  memory?: StackMemory,
): Promise<Verdict[]> {
  await trustEdge(engine, deployment, { waits: false });
  return prove(MOMENTS, { engine, deployment, serves: true, memory });
}

/** Proves what the public address serves, without a switch. */
export async function proveAddress(engine: DockerEngine, deployment: Deployment): Promise<Verdict[]> {
  await trustEdge(engine, deployment, { waits: false });
  return prove(["address", "browser"], { engine, deployment });
}
