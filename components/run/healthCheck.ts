import type { ServiceConfig } from "../../config/types";
import { publicHeaders } from "../../freshness/served/asking";
import { seconds, swarmSeconds } from "./durations";
import type { ClusterPlace, HealthCheck } from "./spec";

/**
 * Uses the cheapest available HTTP client, because the check runs for the whole life of the container: bash starts in a
 * twentieth of the time of node or python3. Some builds of bash have no sockets; the next client is tried then. Without
 * any client the check passes. It connects to the container's own address on the network, as the edge does, because a
 * server may listen only there. Any 2xx is healthy. A redirect that wget follows does not count. Arguments: port, path,
 * then headers.
 */
const ASK_HEALTH = `
port=$1 path=$2; shift 2
read -r host < /etc/hostname
url=http://$host:$port$path
unset http_proxy HTTP_PROXY all_proxy ALL_PROXY
has() { command -v "$1" > /dev/null; }
good() { case "$1" in 2??) exit 0;; esac; exit 1; }
first() { while read -r proto status _; do case $proto in HTTP/*) echo "$status"; break;; esac; done; }
flags() { flag=$1; shift; for each; do set -- "$@" "$flag" "$each"; shift; done; ask "$@"; }
if has wget; then
  ask() { wget -q -S -O /dev/null "$@" "$url" 2>&1 | first; }
  good "$(flags --header "$@")"
fi
if has curl; then
  ask() { curl -s -m 3 -o /dev/null -w '%{http_code}' "$@" "$url"; }
  good "$(flags -H "$@")"
fi
if has bash; then bash -c 'host=$1 port=$2 path=$3; shift 3; exec 3<> "/dev/tcp/$host/$port" &&
  { printf "GET %s HTTP/1.1\r\n" "$path"; printf "%s\r\n" "$@"; printf "Connection: close\r\n\r\n"; } >&3 &&
  read -r -t 3 _ status _ <&3 && [[ $status = 2?? ]]' bash "$host" "$port" "$path" "$@" && exit; fi
if has python3; then exec python3 -c 'import sys, http.client as h; a = sys.argv
c = h.HTTPConnection(a[1], int(a[2]), timeout=3); c.request("GET", a[3], headers=dict(x.split(": ", 1) for x in a[4:]))
sys.exit(c.getresponse().status // 100 != 2)' "$host" "$port" "$path" "$@"; fi
if has node; then exec node -e 'const [host, port, path, ...more] = process.argv.slice(1);
const headers = Object.fromEntries(more.map((each) => [each.slice(0, each.indexOf(":")), each.slice(each.indexOf(":") + 2)]));
require("http").get({ host, port, path, headers, agent: false }, (r) => process.exit(r.statusCode >= 200 && r.statusCode < 300 ? 0 : 1)).on("error", () => process.exit(1))' "$host" "$port" "$path" "$@"; fi
! has bash`;

/**
 * Interval of Docker's own health check on a single engine. Each check starts a process and uses 0.03 to 0.08 s of a
 * core.
 */
const REST_SECONDS = 180;

/**
 * Docker's own health check, for an image with a shell. On a single engine it is only informative, and each check costs
 * a process. A Swarm uses it to decide when to start the next task and to send requests to this one.
 */
export function healthCheck(
  service: Pick<ServiceConfig, "port" | "health" | "startSeconds" | "healthHeaders">,
  publicUrl: string,
  cluster?: ClusterPlace,
): HealthCheck {
  const headers = Object.entries(publicHeaders(publicUrl, service.healthHeaders));
  return {
    tests: [
      "CMD",
      "/bin/sh",
      "-c",
      ASK_HEALTH,
      "sh",
      String(service.port),
      service.health,
      ...headers.map(([name, value]) => `${name}: ${value}`),
    ],
    // The deploy and "verify" run their own checks. Engines before 25 have no separate start interval.
    interval: cluster === undefined ? seconds(REST_SECONDS) : "2s",
    timeout: "4s",
    // Failures while the service starts do not count.
    startPeriod: (cluster === undefined ? seconds : swarmSeconds)(service.startSeconds),
    retries: cluster === undefined ? 2 : 3,
  };
}
