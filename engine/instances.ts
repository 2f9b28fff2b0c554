import type { Answer } from "../freshness/served";
import type { DockerEngine } from "./docker";
import type { ProvenService } from "./prove";

/** What an instance of a service answered. */
export interface InstanceAnswer {
  readonly healthy: boolean;
  /** Of its version path; of its health path, status 0, where it did not become healthy in time. */
  readonly answer: Answer;
}

/** How long one answer of the health path is waited for. */
const HEALTH_SECONDS = 5;
/** How long an instance may take to tell its version, for which it is asked once: a machine that starts many at once is slow. */
const VERSION_SECONDS = 15;

/**
 * Waits until the instances of a service are healthy and asks each for its version: from the edge's container, so that an
 * image needs no shell and no HTTP client, and all in one command, for each costs more than an answer.
 *
 * @param hosts where the instances are, within the network
 */
export async function askInstances(
  engine: DockerEngine,
  edge: string,
  { port, health, version, startSeconds }: ProvenService,
  hosts: readonly string[],
): Promise<InstanceAnswer[]> {
  const places = hosts.map((host) => `http://${host}:${port}`);
  const asked = await askPlaces(engine, edge, { health, version, startSeconds }, places);
  // What an instance says of caches and proxies is its own affair: there is none between.
  return asked.map(({ healthy, answer }) => ({ healthy, answer: { ...answer, headers: {} } }));
}

/** Asks places, `http://host:port`, as `askInstances` does; with the headers of the version path's answers. */
export async function askPlaces(
  engine: DockerEngine,
  edge: string,
  { health, version, startSeconds }: Pick<ProvenService, "health" | "version" | "startSeconds">,
  places: readonly string[],
): Promise<InstanceAnswer[]> {
  if (places.length === 0) return [];
  const seconds = [startSeconds, HEALTH_SECONDS, VERSION_SECONDS];
  const said = await engine.docker(
    ["exec", edge, "sh", "-c", ASK, "sh", ...seconds.map(String), health, version, ...places],
    { timeoutSeconds: startSeconds + HEALTH_SECONDS + VERSION_SECONDS + 60 },
  );
  const parts = said.split("\0");
  return places.map((place, at) => {
    const [healthy = "", told = "", body = "", words = ""] = parts.slice(at * 4);
    const { headers, said: error } = readHeaders(words);
    const isHealthy = healthy === "yes";
    const tells =
      told === "yes"
        ? { status: 200, body, error: "" }
        : { status: 0, body: "", error: error || "no answer in time" };
    const url = `${place}${isHealthy ? version : health}`;
    return { healthy: isHealthy, answer: { url, address: "", headers, ...tells } };
  });
}

/** Tells the headers that `wget -S` prints, indented, from what it says itself. */
export function readHeaders(words: string): { headers: Record<string, string>; said: string } {
  const lines = words.split("\n").map((line) => line.replace(/\r$/, ""));
  const found = lines.map((line) => /^ +(?:HTTP\/\S+ .*|([A-Za-z0-9-]+): ?(.*))$/.exec(line));
  const named = found.flatMap((match) => (match?.[1] ? [[match[1].toLowerCase(), match[2] ?? ""]] : []));
  const own = lines.filter((_, at) => !found[at]).join("\n");
  return { headers: Object.fromEntries(named), said: own.trim().replace(/^wget: /, "") };
}

/**
 * Of each place: whether it became healthy, whether it told its version, what it told, and what went wrong. Timed by
 * `timeout`, for wget's own -T crashes in Debian's busybox.
 */
const ASK = `
start=$1 each=$2 last=$3 health=$4 version=$5; shift 5
dir=$(mktemp -d) || exit; trap 'rm -rf "$dir"' EXIT
end=$(($(date +%s) + start))
ask() {
  while ! timeout "$each" wget -q -O /dev/null "$2$health" 2> "$1.said"; do
    [ "$(date +%s)" -lt "$end" ] || return
    sleep 0.1
  done
  : > "$1.healthy"
  ! timeout "$last" wget -q -S -O "$1.body" "$2$version" 2> "$1.said" || : > "$1.told"
}
at=0; for place; do at=$((at + 1)); ask "$dir/$at" "$place" & done; wait
yes() { if [ -e "$1" ]; then printf yes; fi; printf '\\0'; }
text() { if [ -e "$1" ]; then head -c 100000 "$1" | tr -d '\\000'; fi; printf '\\0'; }
at=0; for place; do
  at=$((at + 1)); yes "$dir/$at.healthy"; yes "$dir/$at.told"; text "$dir/$at.body"; text "$dir/$at.said"
done`;
