import { spawn } from "node:child_process";
import { hostname, userInfo } from "node:os";
import { text } from "node:stream/consumers";
import { childEnvironment } from "../config/environment";
import type { DockerEngine } from "./docker";
import { EDGE_IMAGE } from "./edgeNames";
import { ignoreMissing } from "./problems";

/** Name of the lock container. An engine allows one container of a name, so its holder may prune and build. */
const NAME = "watch-party-build-lock";
const STACK_LABEL = "watch-party.lock.stack";
const BY_LABEL = "watch-party.lock.by";

/** Seconds without a sign of life after which the container exits. */
const LEASE_SECONDS = 60;
const BEAT_MS = 15_000;
/** Maximum seconds between creation and start of the container. */
const START_SECONDS = 30;
/** Seconds between two looks at the current holder. */
const LOOK_SECONDS = 5;

/** Runs as long as its standard input delivers a byte now and then. Works with any shell of the image. */
const HOLD = `echo held; while [ -n "$(timeout ${LEASE_SECONDS} head -c 1)" ]; do :; done`;

/** The lock for prunes and builds on an engine. */
export interface BuildLock {
  /** Seconds spent waiting for it. */
  readonly waited: number;
  /** Releases the lock; resolves when the engine has removed it. */
  readonly release: () => Promise<void>;
}

export interface BuildLockOptions {
  readonly stack: string;
  /** Called with a notice: which stack holds the lock, or why there is no lock. */
  readonly say: (text: string) => unknown;
  readonly warn: (text: string) => unknown;
  /** Maximum minutes to wait for another holder. Default: 30. */
  readonly minutes?: number;
}

/**
 * Takes the engine's lock for a prune and the builds after it. The lock is a container with a fixed name,
 * which the engine gives to one process only. It ends with this process's connection to it, over SSH too
 * (docs/decisions/build-lock.md).
 *
 * No proof depends on the lock: without it the deploy continues and says so.
 */
export async function takeBuildLock(
  engine: DockerEngine,
  { stack, say, warn, minutes = 30 }: BuildLockOptions,
): Promise<BuildLock> {
  const started = performance.now();
  const deadline = started + minutes * 60_000;
  let last = "";
  for (;;) {
    const attempt = await hold(engine, stack);
    const waited = (performance.now() - started) / 1000;
    if ("release" in attempt) return { waited, release: attempt.release };
    if (!/already in use|Conflict/i.test(attempt.words)) {
      await warn(`no lock on the engine, ${attempt.words}; this deploy prunes and builds without it`);
      return { waited, release: async () => undefined };
    }
    const holder = await readHolder(engine);
    if (holder === undefined) continue;
    if (performance.now() > deadline) {
      await warn(
        `stack ${holder.stack} has this engine for its build since ${holder.since} (${holder.by}); after ${minutes} minutes this deploy goes on beside it`,
      );
      return { waited, release: async () => undefined };
    }
    if (holder.id !== last)
      await say(
        `waiting for stack ${holder.stack}'s build on this engine, since ${holder.since} (${holder.by})`,
      );
    last = holder.id;
    if (holder.isDead) await engine.docker(["container", "rm", "--force", holder.id]).catch(ignoreMissing);
    else await engine.awaitRemoved(holder.id, Math.min(LOOK_SECONDS, (deadline - performance.now()) / 1000));
  }
}

/** Starts the container and keeps it alive until `release` or the end of this process. */
async function hold(
  engine: DockerEngine,
  stack: string,
): Promise<{ readonly release: () => Promise<void> } | { readonly words: string }> {
  const by = `${userInfo().username}@${hostname()}`;
  const [file, argv] = engine.commandLine([
    ...["run", "--rm", "--interactive", "--name", NAME, "--network", "none", "--log-driver", "none"],
    ...["--label", `${STACK_LABEL}=${stack}`, "--label", `${BY_LABEL}=${by}`],
    ...["--entrypoint", "sh", EDGE_IMAGE, "-c", HOLD],
  ]);
  const child = spawn(file, argv, {
    stdio: ["pipe", "pipe", "pipe"],
    env: childEnvironment("docker"),
  });
  const closed = new Promise<void>((resolve) => child.once("close", () => resolve()));
  const words = text(child.stderr);
  // A container that has ended takes no signs of life. The builds continue, and the proofs still apply.
  child.stdin.on("error", () => undefined);
  const isHeld = await Promise.race([
    new Promise<boolean>((resolve) => child.stdout.once("data", () => resolve(true))),
    closed.then(() => false),
    new Promise<boolean>((resolve) => child.once("error", () => resolve(false))),
  ]);
  if (!isHeld) return { words: (await words).trim().split("\n")[0] ?? "" };
  const beat = setInterval(() => child.stdin.write("."), BEAT_MS);
  beat.unref();
  child.unref();
  for (const stream of [child.stdin, child.stdout, child.stderr])
    (stream as { unref?: () => void }).unref?.();
  return {
    release: async () => {
      clearInterval(beat);
      child.stdin.end();
      child.ref();
      await closed;
    },
  };
}

/** Reads the current holder of the lock; undefined if the lock is free. */
async function readHolder(engine: DockerEngine) {
  const format = `{{.Id}}|{{.Created}}|{{.State.Status}}|{{index .Config.Labels "${STACK_LABEL}"}}|{{index .Config.Labels "${BY_LABEL}"}}`;
  const said = await engine.docker(["container", "inspect", "--format", format, NAME]).catch(ignoreMissing);
  if (said === undefined) return undefined;
  const [id = "", created = "", status = "", stack = "", by = ""] = said.trim().split("|");
  const now = await engine.docker(["info", "--format", "{{.SystemTime}}"]);
  // Its creator was killed before it could start the container.
  const isDead = status === "created" && Date.parse(now.trim()) - Date.parse(created) > START_SECONDS * 1000;
  return { id, since: created.replace(/\.\d+Z$/, "Z"), stack, by, isDead };
}
