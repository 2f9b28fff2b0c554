import type { DockerEngine } from "../engine/docker";
import { CADDYFILE, CONNECTIONS_FILE, EDGE_ALIAS, EDGES_PATH, EDGES_PORT } from "../engine/edgeNames";
import { readPlaces, readTasks } from "../engine/swarm";
import { until } from "../engine/until";
import { assertUnbroken, isBroken, type Verdict } from "../freshness/chain";
import { type EdgeFacts, edgesVerdict, fits } from "../freshness/served/edges";
import { answerVerdict } from "../freshness/served/upstream";
import { zip } from "../freshness/sure";
import type { Deployment } from "./deployment";
import { askInstances } from "./instances";
import type { ToProve } from "./toProve";

/**
 * Runs beside Caddy in a follower. It asks the manager's edge for the current release and configuration, then renames
 * the release file or reloads, as the switch does on the manager. Without an answer it keeps its state. Then it writes
 * down which release it serves, and its connections after that.
 */
export const FOLLOW = `
[ -f ${CADDYFILE} ] || printf '%s' "$WAITING" > ${CADDYFILE}
cd /edge || exit
leads=
follow() {
  timeout 2 wget -q -O told http://${EDGE_ALIAS}:${EDGES_PORT}${EDGES_PATH} 2> /dev/null || return
  read -r file release < told || return
  sed 1d told > Caddyfile.new
  case $file in /edge/release-*)
    if [ "$(cat "$file" 2> /dev/null)" != "$release" ]; then
      printf %s "$release" > release.new && mv release.new "$file" || return
    fi
  esac
  if [ "$(cat Caddyfile.new)" != "$(cat Caddyfile)" ]; then
    caddy reload --config Caddyfile.new --adapter caddyfile && mv Caddyfile.new Caddyfile || return
  fi
  leads=$release
}
while :; do
  follow
  { echo "$leads"; cat /proc/net/tcp /proc/net/tcp6 2> /dev/null; } > connections.new
  mv connections.new ${CONNECTIONS_FILE}
  sleep 0.2
done &
exec caddy run --config ${CADDYFILE} --adapter caddyfile`;

/** Maximum time for followers to start; their nodes may have to pull the image. */
const START_MS = 90_000;
/** Maximum time for followers to switch. */
const FOLLOW_MS = 10_000;
const REMEDY =
  'See its log ("docker service logs") and whether that node reaches the manager over the overlay network (UDP 4789), then deploy again.';

type Led = Pick<Deployment, "edge" | "network" | "followers">;

/** A follower, with its address within the network where it runs. */
interface Follower extends EdgeFacts {
  readonly address: string;
}

/** Reads the followers on reachable nodes: the existing and the missing ones. */
async function readFollowers(engine: DockerEngine, { network, followers }: Led): Promise<Follower[]> {
  if (followers === undefined) return [];
  const places = await readPlaces(engine);
  const tasks = await readTasks(engine, [followers.service], places);
  const found = tasks
    .filter(({ isHeard }) => isHeard)
    .map(({ node, state, error, addresses }) => {
      const at = addresses.find((each) => each.network === network)?.address ?? "";
      return { node, state, error, address: at };
    });
  const missing = places
    .filter((place) => place.isHeard && place.takesTasks)
    .filter((place) => followers.constraints.every((each) => fits(each, place)))
    .filter(({ node }) => !found.some((each) => each.node === node))
    .map(({ node }) => ({ node, state: "missing", error: "", address: "" }));
  return [...found, ...missing];
}

/** Addresses of running followers. */
export async function followersAddresses(engine: DockerEngine, of: Led): Promise<string[]> {
  return running(await readFollowers(engine, of)).map(({ address }) => address);
}

function running(followers: readonly Follower[]): Follower[] {
  return followers.filter(({ state, address }) => state === "running" && address !== "");
}

/**
 * Waits until an edge runs on each node that needs one.
 *
 * @throws FreshnessError if one does not
 */
export async function awaitFollowers(engine: DockerEngine, of: Led): Promise<void> {
  if (of.followers === undefined) return;
  const judge = async () => edgesVerdict(await readFollowers(engine, of));
  assertUnbroken([await until(Date.now() + START_MS, judge, ({ status }) => status === "proven")]);
}

/**
 * Proves what the followers serve: the manager's edge asks each one for each service's commit. Skips unreachable nodes;
 * `nodesVerdict` reports them.
 */
export async function proveFollowers({ engine, deployment }: ToProve): Promise<Verdict[]> {
  const { edge, services, commit, followers } = deployment;
  if (followers === undefined) return [];
  const routed = services.filter(({ service }) => service.port !== undefined);
  const prove = async () => {
    const found = await readFollowers(engine, deployment);
    const edges = edgesVerdict(found);
    if (isBroken(edges)) return [edges];
    const judged = routed.map(async ({ service, host }) => {
      const { name, port } = service;
      const path = `/.freshness/${name}`;
      const asks = { health: path, version: path, startSeconds: 0 };
      const places = found.map(({ address }) => ({ ...asks, place: `http://${address}` }));
      const asked = await askInstances(engine, edge, places);
      const answers = zip(found, asked).map(([{ node }, { answer }]) => ({
        ...answer,
        url: path,
        address: `the edge on ${node}`,
      }));
      const upstream = `${host}:${port}`;
      return answerVerdict(
        service,
        { link: "served", service: name, commit, upstream, remedy: REMEDY } as const,
        answers,
      );
    });
    return [edges, ...(found.length === 0 ? [] : await Promise.all(judged))];
  };
  return until(Date.now() + FOLLOW_MS, prove, (verdicts) => !verdicts.some(isBroken));
}

/**
 * Waits until the followers serve a release, `-` for none.
 *
 * @returns a sentence about those that do not; empty if all do
 */
export async function awaitLed(engine: DockerEngine, of: Led, release: string): Promise<string> {
  if (of.followers === undefined) return "";
  const left = async () => {
    const found = running(await readFollowers(engine, of));
    const asks = { health: EDGES_PATH, version: EDGES_PATH, startSeconds: 0 };
    const places = found.map(({ address }) => ({ ...asks, place: `http://${address}:${EDGES_PORT}` }));
    const asked = await askInstances(engine, of.edge, places);
    return zip(found, asked).flatMap(([{ node }, { answer }]) => {
      const { body, error } = answer;
      const leads = body.split("\n", 1)[0];
      return leads === release ? [] : [`the edge on ${node} (${error || `it serves ${leads || "none"}`})`];
    });
  };
  const nodes = await until(Date.now() + FOLLOW_MS, left, (some) => some.length === 0);
  return nodes.length === 0 ? "" : `Not switched back: ${nodes.join(", ")}.`;
}
