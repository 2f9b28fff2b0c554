import { createHash } from "node:crypto";
import { isDeepStrictEqual } from "node:util";
import type { DockerEngine } from "../engine/docker";
import { type EdgeFiles, type EdgeState, loadCaddyfile, readEdge } from "../engine/edgeFiles";
import { ASSETS_FOLDER, ASSETS_ROOT_FILE } from "../engine/edgeNames";
import { PIDS_LIMIT } from "../engine/oneOff";
import { EngineError } from "../engine/problems";
import { startEarly, within } from "../engine/until";
import { assertUnbroken, type Verdict } from "../freshness/chain";
import { commandLine } from "../freshness/project";
import { type Deployment, withoutReplicas } from "../proof/deployment";
import { awaitFollowers, awaitLed } from "../proof/followers";
import { readPages } from "../proof/pages";
import { prove, proveAddress } from "../proof/proofs";
import { runtimeOf } from "../proof/runtime";
import { type SettleSeconds, Settling } from "../proof/settle";
import type { Pages } from "../proof/toProve";
import { trustEdge } from "../proof/trust";
import { regularOnly } from "./assets";
import {
  caddyfile,
  followersCaddyfile,
  followersWaitingCaddyfile,
  leadSite,
  type Route,
  type Site,
  waitingCaddyfile,
} from "./caddy";
import { giveMemory } from "./size";

/** The state in which the edge serves a release. */
export function edgeState(services: readonly Route[], site: Site, release: string): EdgeState {
  const led = leadSite("", "") + followersCaddyfile(services, "", site);
  const routes = createHash("sha256")
    .update(caddyfile(services, site, "") + led)
    .digest("hex")
    .slice(0, 12);
  // Each set of routes has its own release file: changed routes and their release take effect in one reload.
  const releaseFile = `/edge/release-${routes}`;
  const followers = {
    file: `/edge/followers-${routes}`,
    caddyfile: followersCaddyfile(services, releaseFile, site),
  };
  // Written without followers too, so that a move to a Swarm or back is a rename like any deploy.
  const own = caddyfile(services, site, releaseFile) + leadSite(releaseFile, followers.file);
  return { caddyfile: own, releaseFile, release, followers };
}

/** File of the configuration for followers that serve nothing. */
const NONE_FILE = "/edge/followers-none";

/**
 * The state to restore when a release is refused. If the edge had no followers before, or served nothing, its followers
 * get the empty configuration: otherwise they would keep the refused release.
 */
export function stateBefore(
  before: EdgeState | undefined,
  { followers: isFollowed }: Pick<Deployment, "followers">,
): Pick<EdgeState, "caddyfile"> & Partial<EdgeState> {
  const state = before ?? { caddyfile: waitingCaddyfile() };
  if (!isFollowed || state.caddyfile.includes("{file./edge/followers-")) return state;
  const followers = { file: NONE_FILE, caddyfile: followersWaitingCaddyfile() };
  return { ...state, caddyfile: state.caddyfile + leadSite(undefined, followers.file), followers };
}

/** An empty root would be the folder in which Caddy runs. Links that earlier versions kept are removed. */
const NO_ASSETS = `[ ! -d ${ASSETS_FOLDER} ] || ${regularOnly(ASSETS_FOLDER)}; [ -s ${ASSETS_ROOT_FILE} ] || { mkdir -p ${ASSETS_FOLDER} && printf ${ASSETS_FOLDER}/none > ${ASSETS_ROOT_FILE}; }`;

/** Switches the edge: by a rename if the routes stay, by a reload if they change. */
async function leadEdge(
  engine: DockerEngine,
  edge: string,
  from: EdgeState | undefined,
  to: Pick<EdgeState, "caddyfile"> & Partial<EdgeState>,
): Promise<void> {
  if (to.releaseFile !== undefined && to.release !== undefined)
    await engine.replaceFile(edge, to.releaseFile, to.release);
  if (from?.caddyfile === to.caddyfile) return;
  await engine.docker(["exec", edge, "sh", "-c", NO_ASSETS]);
  if (to.followers) await engine.replaceFile(edge, to.followers.file, to.followers.caddyfile);
  await loadCaddyfile(engine, edge, to.caddyfile);
}

/**
 * Maximum time of the proofs after a switch, including the fetch of a certificate. Then the edge switches back.
 */
const PROOF_SECONDS = 600;

/** Limits the containers' processes: the plugin has no input for that. */
async function limitProcesses(engine: DockerEngine, deployment: Deployment): Promise<void> {
  const { services, cluster, edge, accessories = [] } = deployment;
  if (cluster !== undefined) return;
  const beside = [edge, ...accessories.map(({ container }) => container)];
  const limits = new Set([PIDS_LIMIT, ...services.map(({ service }) => service.pidsLimit ?? PIDS_LIMIT)]);
  const limited = [...limits].map(async (limit) => {
    const own = services.filter(({ service }) => (service.pidsLimit ?? PIDS_LIMIT) === limit);
    const ids = [...(limit === PIDS_LIMIT ? beside : []), ...own.map(({ container }) => container)];
    try {
      await engine.limitProcesses(ids, limit);
    } catch (cause) {
      // An engine without this limit still runs the app, unless the configuration asks for the limit.
      if (own.some(({ service }) => service.pidsLimit !== undefined)) throw cause;
    }
  });
  await Promise.all(limited);
}

/** Proofs of the current deployment, started before it is known whether this `up` changes anything. */
export interface Ahead {
  readonly deployment: Deployment;
  readonly running: Promise<Verdict[]>;
  readonly edge: Promise<EdgeFiles>;
  readonly answered: Promise<Verdict[]>;
}

/** Options of a switch. */
export interface Switching extends SettleSeconds {
  /** Proofs that were started early; used only for the same deployment. */
  readonly begun?: Ahead;
  /** Called when the new containers answer; the proofs follow. */
  readonly ready?: () => void;
  /** Called with the content of the edge's volume before the switch. */
  readonly found?: (files: EdgeFiles) => void;
  /** Called when the new containers are proven, before the edge leads to them; a rejection refuses the release. */
  readonly beforeSwitch?: (release: string) => Promise<void>;
  /** Called when the release is served and proven; the rest of the watch follows. */
  readonly served?: () => void;
}

/**
 * Starts to prove the current deployment while Pulumi goes through its resources, so that an `up` without changes does
 * not wait.
 */
export function proveAhead(engine: DockerEngine, deployment: Deployment): Ahead {
  return {
    deployment,
    running: startEarly(prove(["engine"], { engine, deployment })),
    edge: startEarly(readEdge(engine, deployment.edge)),
    answered: startEarly(proveAddress(engine, deployment)),
  };
}

/**
 * Proves containers before the edge uses them. Waits for their answer first, because a starting program still writes
 * and may restart.
 */
async function proveContainers(
  engine: DockerEngine,
  deployment: Deployment,
  settling: Settling,
  { begun, ready }: Switching,
): Promise<readonly Verdict[]> {
  const answers = await settling.beside((signal) => prove(["answers"], { engine, deployment, signal }));
  ready?.();
  assertUnbroken(answers);
  const found = await (begun?.running ?? prove(["engine"], { engine, deployment }));
  assertUnbroken(found);
  return [...found, ...answers];
}

/**
 * Switches the edge to a deployment and proves it. If a proof fails, the edge switches back.
 *
 * @returns the verdicts, all proven
 * @throws FreshnessError of the first broken link
 */
export async function switchAndProve(
  engine: DockerEngine,
  deployment: Deployment,
  site: Site,
  switching: Switching = {},
): Promise<readonly Verdict[]> {
  const settling = new Settling(engine, deployment, switching);
  try {
    return await switchWatched(engine, deployment, site, settling, switching);
  } finally {
    settling.end();
  }
}

async function switchWatched(
  engine: DockerEngine,
  deployment: Deployment,
  site: Site,
  settling: Settling,
  { begun, ready, found, beforeSwitch, served }: Switching,
): Promise<readonly Verdict[]> {
  const { edge, id, services, cluster } = deployment;
  await runtimeOf(deployment).enter(engine, deployment);
  const ahead = begun && isDeepStrictEqual(begun.deployment, deployment) ? begun : undefined;
  const limiting = ahead ? undefined : startEarly(limitProcesses(engine, deployment));
  const reading = ahead?.edge ?? readEdge(engine, edge);
  // Wait for the new containers while reading the edge.
  const asking = ahead ? undefined : startEarly(proveContainers(engine, deployment, settling, { ready }));
  const files = await reading;
  found?.(files);
  const before = files.state;
  const routes = withoutReplicas(services).map(({ service, replica }) =>
    replica === undefined ? service : { ...service, upstreams: service.replicas },
  );
  const memoryMb = await giveMemory(engine, edge, site.memoryMb, files.memory);
  const after = edgeState(routes, { ...site, memoryMb }, id);
  const switches = before?.release !== after.release || before.caddyfile !== after.caddyfile;
  if (ahead && !switches && cluster === undefined) {
    const running = await ahead.running;
    assertUnbroken(running);
    const answered = await ahead.answered;
    assertUnbroken(answered);
    return [...running, ...answered];
  }
  // Read the old release's cache headers while it still answers.
  const [containers, kept] = await Promise.all([
    asking ?? proveContainers(engine, deployment, settling, { begun: ahead }),
    trustEdge(engine, deployment, { waits: false }).then(() =>
      switches ? readPages(deployment, routes) : (new Map() as Pages),
    ),
    awaitFollowers(engine, deployment),
    limiting,
  ]);
  const proveServed = async () => {
    await trustEdge(engine, deployment, { waits: true });
    const isNewSite = before?.caddyfile !== after.caddyfile;
    const of = { engine, deployment, isNewSite, before: kept };
    const answered = await settling.beside(async () => {
      const serving = prove(["address"], of);
      // Pages are read when the release is served; where nothing was switched it is served already.
      const following = startEarly(prove(["followers"], of));
      if (switches) assertUnbroken(await serving);
      const all = (await Promise.all([serving, following, prove(["browser"], of)])).flat();
      assertUnbroken(all);
      return all;
    });
    served?.();
    // A container that exits now still switches the edge back: the old containers run until this ends.
    await settling.done;
    return [...containers, ...answered];
  };
  if (before?.release !== after.release) await settling.beside(async () => beforeSwitch?.(after.release));
  try {
    if (switches) await leadEdge(engine, edge, before, after);
    return await within(PROOF_SECONDS, proveServed(), () => {
      throw new EngineError(`The proofs of what is served took more than ${PROOF_SECONDS / 60} minutes.`);
    });
  } catch (cause) {
    if (!switches) throw cause;
    const left = await takeBack(engine, deployment, before, after).catch(
      (failure: Error) =>
        `The edge still serves the refused release: ${failure.message} Run "${commandLine("up")}" again.`,
    );
    if (left === "") throw cause;
    throw new EngineError(`${(cause as Error).message} ${left}`, { cause });
  }
}

/**
 * Switches the edge back after a release was refused.
 *
 * @returns a sentence about followers that did not switch back; empty if all did
 */
async function takeBack(
  engine: DockerEngine,
  deployment: Deployment,
  before: EdgeState | undefined,
  after: EdgeState,
): Promise<string> {
  const back = stateBefore(before, deployment);
  await leadEdge(engine, deployment.edge, after, back);
  const isNone = back.release === undefined || back.caddyfile.includes(NONE_FILE);
  return awaitLed(engine, deployment, isNone ? "-" : back.release);
}
