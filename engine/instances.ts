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

/** An instance, and what it is asked for. */
export interface Asked extends Pick<ProvenService, "health" | "version" | "startSeconds"> {
  /** `http://host:port`, within the network. */
  readonly place: string;
}

/** The instances of a service on hosts within the network. */
export function instancesOf(
  { port, health, version, startSeconds }: ProvenService,
  hosts: readonly string[],
): Asked[] {
  return hosts.map((host) => ({ place: `http://${host}:${port}`, health, version, startSeconds }));
}

/**
 * Waits until instances are healthy and asks each for its version: from the edge's container, so that an image needs no shell
 * and no HTTP client, and all in one command, for each costs more than an answer.
 *
 * @param signal ends the wait
 * @returns the answers, with the headers of the version paths'
 */
export async function askInstances(
  engine: DockerEngine,
  edge: string,
  asked: readonly Asked[],
  signal?: AbortSignal,
): Promise<InstanceAnswer[]> {
  if (asked.length === 0) return [];
  const args = asked.flatMap(({ startSeconds, health, version, place }) => [
    ...[String(startSeconds), health, version, place],
  ]);
  const longest = Math.max(...asked.map(({ startSeconds }) => startSeconds));
  const said = await engine.docker(
    ["exec", edge, "sh", "-c", ASK, "sh", String(HEALTH_SECONDS), String(VERSION_SECONDS), ...args],
    { timeoutSeconds: longest + HEALTH_SECONDS + VERSION_SECONDS + 60, signal },
  );
  const parts = said.split("\0");
  return asked.map(({ place, health, version }, at) => {
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
each=$1 last=$2; shift 2
dir=$(mktemp -d) || exit; trap 'rm -rf "$dir"' EXIT
now=$(date +%s)
ask() {
  while ! timeout "$each" wget -q -O /dev/null "$5$3" 2> "$1.said"; do
    [ "$(date +%s)" -lt "$((now + $2))" ] || return
    sleep 0.1
  done
  : > "$1.healthy"
  ! timeout "$last" wget -q -S -O "$1.body" "$5$4" 2> "$1.said" || : > "$1.told"
}
all=0; while [ "$#" != 0 ]; do all=$((all + 1)); ask "$dir/$all" "$1" "$2" "$3" "$4" & shift 4; done; wait
yes() { if [ -e "$1" ]; then printf yes; fi; printf '\\0'; }
text() { if [ -e "$1" ]; then head -c 100000 "$1" | tr -d '\\000'; fi; printf '\\0'; }
at=0; while [ "$at" != "$all" ]; do
  at=$((at + 1)); yes "$dir/$at.healthy"; yes "$dir/$at.told"; text "$dir/$at.body"; text "$dir/$at.said"
done`;
