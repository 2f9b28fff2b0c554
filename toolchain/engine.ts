import { spawn } from "node:child_process";
import { existsSync, openSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { childEnvironment } from "../config/environment";
import { aptInstall, isDebianRoot } from "./apt";
import { ToolchainError } from "./errors";
import { link } from "./links";
import type { Paths } from "./paths";
import { isExecutable, tail, tryRun, which } from "./run";
import type { State } from "./state";

type Docker = NonNullable<State["docker"]>;

/** A docker client on PATH. */
export interface Client {
  readonly path: string;
  /** Undefined if it is not Docker's client (podman can have the same name). */
  readonly version: string | undefined;
  readonly buildx: boolean;
}

/** The first client that can build with BuildKit: any before 23, later ones only with buildx. */
export function chooseClient(clients: readonly Client[]): Client | undefined {
  return clients.find((client) => client.version !== undefined && (buildsByEnv(client) || client.buildx));
}

/** Whether this client needs DOCKER_BUILDKIT=1. */
export function buildsByEnv(client: Client): boolean {
  return client.version !== undefined && Number.parseInt(client.version, 10) < 23;
}

/** Parses the output of `docker --version`. */
export function clientVersion(answer: string): string | undefined {
  return /^Docker version (\d+\.\d+\.\d+)/m.exec(answer)?.[1];
}

export type EngineProblem = "permission denied" | "not running" | "not installed";

/** Classifies why the engine is unavailable, by the client's output. */
export function engineProblem(said: string, hasDockerd: boolean): EngineProblem {
  if (/permission denied/i.test(said)) return "permission denied";
  return hasDockerd ? "not running" : "not installed";
}

/** The error for an engine that is unavailable and cannot be started from here. */
export function engineError(
  problem: EngineProblem,
  said: string,
  dockerHost: string | undefined,
): ToolchainError {
  if (problem === "permission denied") {
    const remedy = 'Join its group, then log in again: sudo usermod -aG docker "$USER"';
    return new ToolchainError("the Docker engine runs, but this user may not use it", remedy, 1, said);
  }
  if (dockerHost) {
    const remedy = "Start the engine there, or unset DOCKER_HOST to use the local one.";
    return new ToolchainError(`no Docker engine answers at DOCKER_HOST=${dockerHost}`, remedy, 1, said);
  }
  if (problem === "not running") {
    const remedy = "Start it: sudo systemctl start docker (Linux), or open Docker Desktop.";
    return new ToolchainError("the Docker engine is not running", remedy, 1, said);
  }
  const remedy = "Install it: https://docs.docker.com/engine/install (or, on Debian, run this as root).";
  return new ToolchainError("Docker is not installed", remedy, 1, said);
}

/** Ensures a running engine and a client that can build on it, linked as .toolchain/bin/docker. */
export async function dockerEngine(at: Paths, note: (text: string) => void): Promise<Docker> {
  let said = await whyNot(at);
  if (said !== undefined) {
    await start(at, said, note);
    said = await whyNot(at);
    if (said !== undefined) throw engineError(engineProblem(said, dockerd() !== undefined), said, undefined);
  }
  return dockerClient(at, note);
}

/** Links a client that can build as .toolchain/bin/docker. */
export async function dockerClient(at: Paths, note: (text: string) => void): Promise<Docker> {
  const clients = await Promise.all(clientPaths(at).map(inspectClient));
  const client = chooseClient(clients);
  if (client?.version === undefined) {
    const found = clients.map(({ path, version }) => `${path} (${version ?? "not Docker's"})`).join(", ");
    throw new ToolchainError(
      `no docker client here can build with BuildKit: ${found || "none found"}`,
      "Install buildx: https://docs.docker.com/go/buildx (on Debian 12 or earlier: apt-get install docker.io).",
    );
  }
  link(client.path, join(at.bin, "docker"));
  note(`client ${client.version}, ${client.path}`);
  return { version: client.version, where: client.path, origin: "yours", buildKitByEnv: buildsByEnv(client) };
}

/** The client's output if the engine did not answer; undefined if it did. */
async function whyNot(at: Paths): Promise<string | undefined> {
  const docker = clientPaths(at)[0];
  if (!docker) return "docker: not found";
  // Not `docker info`: older clients exit 0 if no server answers.
  const answer = await tryRun(docker, ["version", "--format", "{{.Server.Version}}"], { timeout: 20_000 });
  if (answer.ok) return undefined;
  return answer.timedOut ? "docker version: no answer within 20 s" : tail(answer.stderr || answer.stdout, 5);
}

function clientPaths(at: Paths): string[] {
  return which("docker").filter((path) => path !== join(at.bin, "docker"));
}

async function inspectClient(path: string): Promise<Client> {
  const version = clientVersion((await tryRun(path, ["--version"], { timeout: 10_000 })).stdout);
  const buildx = version !== undefined && (await tryRun(path, ["buildx", "version"], { timeout: 10_000 })).ok;
  return { path, version, buildx };
}

function dockerd(): string | undefined {
  return which("dockerd")[0] ?? ["/usr/sbin/dockerd", "/usr/local/sbin/dockerd"].find(isExecutable);
}

/** Starts the local engine, and installs it if allowed. Throws if it cannot. */
async function start(at: Paths, said: string, note: (text: string) => void): Promise<void> {
  const host = process.env.DOCKER_HOST;
  const problem = engineProblem(said, dockerd() !== undefined);
  // If the user selected an engine, only the user can start it.
  if (host || problem === "permission denied" || process.getuid?.() !== 0)
    throw engineError(problem, said, host);
  if (problem === "not installed") {
    if (!isDebianRoot()) throw engineError(problem, said, host);
    note("installing docker.io");
    await aptInstall(["docker.io", "iptables"]);
  }
  const log = join(at.toolchain, "dockerd.log");
  if (existsSync("/run/systemd/system")) {
    note("starting the docker service");
    const started = await tryRun("systemctl", ["start", "docker"], { timeout: 90_000 });
    if (started.ok) return waitFor(at, () => true, log);
  }
  const daemon = dockerd();
  if (!daemon) throw engineError("not installed", said, host);
  note(`starting ${daemon}, log ${log}`);
  const file = openSync(log, "a");
  const child = spawn(daemon, [], {
    detached: true,
    stdio: ["ignore", file, file],
    // The engine outlives the deploy.
    env: childEnvironment("docker"),
  });
  let alive = true;
  child.once("exit", () => {
    alive = false;
  });
  child.once("error", () => {
    alive = false;
  });
  child.unref();
  if (child.pid) writeFileSync(join(at.toolchain, "dockerd.pid"), `${child.pid}\n`);
  await waitFor(at, () => alive, log);
}

/** Polls until the engine answers. Stops early if its process has exited. */
async function waitFor(at: Paths, alive: () => boolean, log: string): Promise<void> {
  for (const deadline = Date.now() + 60_000; Date.now() < deadline; ) {
    if ((await whyNot(at)) === undefined) return;
    if (!alive()) break;
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
  const details = existsSync(log) ? tail(readFileSync(log, "utf8"), 10) : "";
  throw new ToolchainError("the Docker engine was started but does not answer", `Read ${log}.`, 1, details);
}
