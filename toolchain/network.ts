import { lookup } from "node:dns/promises";
import { connect } from "node:net";

export type Reach = "reachable" | "no such host" | "timed out" | "refused";

/** Classifies a failed attempt to reach a host. */
export function reachOf(code: string | undefined): Reach {
  if (code === "ENOTFOUND" || code === "EAI_AGAIN" || code === "EAI_NODATA") return "no such host";
  if (code === "ETIMEDOUT" || code === "ESOCKETTIMEDOUT") return "timed out";
  return "refused";
}

const known = new Map<string, Promise<Reach>>();

/**
 * Whether the host of an official download answers. Checked once per process, with a short timeout. A name that does
 * not resolve is final; a timeout is retried once. Behind a proxy the name need not resolve on this machine, so only
 * the download itself shows it.
 */
export function reach(host: string, env: NodeJS.ProcessEnv = process.env): Promise<Reach> {
  if (env.WATCH_PARTY_OFFLINE) return Promise.resolve("no such host");
  if (env.HTTPS_PROXY || env.https_proxy) return Promise.resolve("reachable");
  const asked = known.get(host) ?? probe(host).then((first) => (first === "timed out" ? probe(host) : first));
  known.set(host, asked);
  return asked;
}

async function probe(host: string, timeout = 6_000): Promise<Reach> {
  try {
    await withTimeout(lookup(host), timeout);
    await withTimeout(dial(host), timeout);
    return "reachable";
  } catch (error) {
    return reachOf((error as NodeJS.ErrnoException).code);
  }
}

function dial(host: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host, port: 443, timeout: 6_000 });
    socket.once("connect", () => {
      socket.destroy();
      resolve();
    });
    socket.once("timeout", () => {
      socket.destroy();
      reject(Object.assign(new Error("timed out"), { code: "ETIMEDOUT" }));
    });
    socket.once("error", reject);
  });
}

function withTimeout<T>(work: Promise<T>, timeout: number): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(
      () => reject(Object.assign(new Error("timed out"), { code: "ETIMEDOUT" })),
      timeout,
    );
    work.then(resolve, reject).finally(() => clearTimeout(timer));
  });
}
