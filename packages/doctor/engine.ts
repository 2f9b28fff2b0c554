import { statfs } from "node:fs/promises";
import { join } from "node:path";
import { paths } from "../../toolchain/paths";
import { isExecutable, tryRun, which } from "../../toolchain/run";

/** The engine that builds on this machine. */
export interface EngineReport {
  /** The docker client in use. */
  readonly docker: string;
  readonly client: string;
  readonly server: string;
  /** The builder that a prune and a build use; absent if the client has no buildx. */
  readonly builder?: string;
  /** Where the engine keeps its images. */
  readonly root: string;
  /** Absent if the engine is on another machine. */
  readonly freeBytes?: number;
  readonly buildCache: string;
}

/** How long to wait for the engine's answer, in milliseconds. */
const PATIENCE_MS = 2_000;

/** Describes the engine; null if none answers in time. Never rejects. */
export async function readEngine(): Promise<EngineReport | null> {
  const own = join(paths().bin, "docker");
  const docker = isExecutable(own) ? own : which("docker")[0];
  if (docker === undefined) return null;
  const ask = async (...args: string[]) => {
    const { ok, stdout } = await tryRun(docker, args, { timeout: PATIENCE_MS });
    return ok ? stdout.trim() : undefined;
  };
  const [versions, root, usage, builders] = await Promise.all([
    ask("version", "--format", "{{.Client.Version}} {{.Server.Version}}"),
    ask("info", "--format", "{{.DockerRootDir}}"),
    ask("system", "df", "--format", "{{.Type}}\t{{.Size}}"),
    ask("buildx", "inspect"),
  ]);
  const [client = "", server = ""] = versions?.split(" ") ?? [];
  if (server === "" || root === undefined) return null;
  const free = await freeOf(root);
  const builder = /^Name:\s*(\S+)/m.exec(builders ?? "")?.[1];
  return {
    docker,
    client,
    server,
    ...(builder !== undefined && { builder }),
    root,
    ...(free !== undefined && { freeBytes: free }),
    buildCache: /^Build Cache\t(.*)$/m.exec(usage ?? "")?.[1] ?? "unknown",
  };
}

/** Free bytes of the disk with a folder; undefined if the folder is of another machine, as with Docker Desktop, or closed. */
async function freeOf(folder: string): Promise<number | undefined> {
  try {
    const { bavail, bsize } = await statfs(folder);
    return bavail * bsize;
  } catch {
    return undefined;
  }
}
