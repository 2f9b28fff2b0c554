import type { DockerEngine } from "../engine/docker";
import type { Answer } from "../freshness/served/answer";
import { publicHeaders, type RequestHeaders, readAnswer, requestText } from "../freshness/served/asking";
import { NO_VERSION, proofPath } from "../freshness/served/upstream";
import type { ProvenService } from "./deployment";

/** Answer of a service's instance. */
export interface InstanceAnswer {
  readonly healthy: boolean;
  /** Answer of its version path, or of its health path if it did not become healthy in time. */
  readonly answer: Answer;
}

/** Maximum time for an answer of the health path. */
const HEALTH_SECONDS = 5;
/** Maximum time for the single version request: a machine that starts many containers is slow. */
const VERSION_SECONDS = 15;

/** How much longer than `startSeconds` a start may take while the machine is busy. */
const BUSY_TIMES = 4;

/** Succeeds while a machine has more than four runnable processes for each processor. */
export const BUSY = `
loadavg() { cat /proc/loadavg; }
busy() { load=$(loadavg); [ "\${load%%.*}" -ge "$((4 * $(nproc)))" ]; }`;

/** Maximum size of an answer: versions are short, and of a health path only the status matters. */
const MOST_BYTES = 200_000;

/** An instance, and the paths to request. */
export interface Asked extends Pick<ProvenService, "health" | "version" | "startSeconds"> {
  /** `http://host:port`, within the network. */
  readonly place: string;
  /** Headers of the health request. Default: Host of the URL. */
  readonly healthHeaders?: RequestHeaders;
  /** Headers of the version request. Default: Host of the URL. */
  readonly headers?: RequestHeaders;
}

/**
 * Instances of a service on hosts within the network, with the headers of a request at the public address.
 *
 * @param publicUrl the public address
 */
export function instancesOf(
  { port, health, version, startSeconds, healthHeaders }: ProvenService,
  hosts: readonly string[],
  publicUrl: string,
): Asked[] {
  return hosts.map((host) => ({
    place: `http://${host}:${port}`,
    health,
    version: proofPath({ version, health }),
    startSeconds,
    headers: publicHeaders(publicUrl, version === NO_VERSION ? healthHeaders : {}),
    healthHeaders: publicHeaders(publicUrl, healthHeaders),
  }));
}

/**
 * Waits until instances are healthy (any 2xx), then asks each for its version. One command in the edge's container does
 * it, so that an image needs no shell and no HTTP client; a command costs more than an answer. Redirects are not
 * followed.
 *
 * @param signal ends the wait
 * @returns the answers, with the headers of the version requests
 */
export async function askInstances(
  engine: DockerEngine,
  edge: string,
  asked: readonly Asked[],
  signal?: AbortSignal,
): Promise<InstanceAnswer[]> {
  if (asked.length === 0) return [];
  const args = asked.flatMap(({ startSeconds, health, version, place, headers, healthHeaders }) => {
    const { host, hostname, port } = new URL(place);
    const own = { Host: host };
    return [
      String(startSeconds),
      hostname.replace(/^\[|\]$/g, ""),
      port === "" ? "80" : port,
      requestText(health, healthHeaders ?? own),
      requestText(version, headers ?? own),
    ];
  });
  const longest = Math.max(...asked.map(({ startSeconds }) => startSeconds));
  const said = await engine.docker(
    ["exec", edge, "sh", "-c", ASK, "sh", String(HEALTH_SECONDS), String(VERSION_SECONDS), ...args],
    { timeoutSeconds: BUSY_TIMES * longest + HEALTH_SECONDS + VERSION_SECONDS + 60, signal },
  );
  const parts = said.split("\0");
  return asked.map(({ place, health, version }, at) => {
    const [healthy = "", encoded = "", words = ""] = parts.slice(at * 3);
    const raw = Buffer.from(encoded, "base64");
    const isHealthy = healthy === "yes";
    const url = `${place}${isHealthy ? version : health}`;
    const found = raw.length < MOST_BYTES ? readAnswer(raw) : undefined;
    if (found) return { healthy: isHealthy, answer: { url, address: "", error: "", ...found } };
    const isCut = raw.length >= MOST_BYTES;
    const error = isCut
      ? `the answer did not end within ${MOST_BYTES / 1000} kB`
      : words.trim().replace(/^nc: /, "") || "no answer in time";
    return { healthy: isHealthy, answer: { url, address: "", status: 0, headers: {}, body: "", error } };
  });
}

/**
 * Prints for each instance whether it became healthy, its last answer in base64, and the error. Uses busybox's nc, which follows
 * no redirect and sends any headers. Uses `timeout`, because wget's own -T crashes in Debian's busybox.
 */
const ASK = `${BUSY}
each=$1 last=$2; shift 2
dir=$(mktemp -d) || exit; trap 'rm -rf "$dir"' EXIT
now=$(date +%s)
talk() {
  printf '%s' "$5" > "$1.request"; : > "$1.answer"
  timeout "$2" busybox nc "$3" "$4" -e sh -c 'cat "$1"; exec head -c ${MOST_BYTES} > "$2"' sh "$1.request" "$1.answer" 2> "$1.said"
}
good() { read -r proto status _ < "$1.answer"; case "$proto $status" in HTTP/*" 2"??) ;; *) return 1;; esac; }
ask() {
  while talk "$1" "$each" "$3" "$4" "$5"; ! good "$1"; do
    spent=$(($(date +%s) - now))
    [ "$spent" -lt "$2" ] || { [ "$spent" -lt "$((${BUSY_TIMES} * $2))" ] && busy; } || return
    sleep 0.1
  done
  : > "$1.healthy"
  talk "$1" "$last" "$3" "$4" "$6"
}
all=0; while [ "$#" != 0 ]; do all=$((all + 1)); ask "$dir/$all" "$1" "$2" "$3" "$4" "$5" & shift 5; done; wait
yes() { if [ -e "$1" ]; then printf yes; fi; printf '\\0'; }
bytes() { if [ -e "$1" ]; then head -c ${MOST_BYTES} "$1" | base64; fi; printf '\\0'; }
text() { if [ -e "$1" ]; then head -c ${MOST_BYTES} "$1" | tr -d '\\000'; fi; printf '\\0'; }
at=0; while [ "$at" != "$all" ]; do
  at=$((at + 1)); yes "$dir/$at.healthy"; bytes "$dir/$at.answer"; text "$dir/$at.said"
done`;
