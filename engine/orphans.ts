import { hostname } from "node:os";
import type { DockerEngine } from "./docker";
import { ignoreMissing } from "./problems";

/** Names whose process a container of no release serves: it goes when that ends, and is left where that is killed. */
export const OWNER_LABEL = "watch-party.owner";

/** This process, as the owner of a container. */
export function owner(): string {
  return `${hostname()}:${process.pid}`;
}

/** A stack's container or network on the engine. */
export interface Found {
  readonly kind: "container" | "network";
  readonly id: string;
}

/** What the engine has of a stack that the given ids are not. */
export async function strangers(
  engine: DockerEngine,
  stack: string,
  known: readonly string[],
): Promise<Found[]> {
  const filter = ["--filter", `label=watch-party.stack=${stack}`, "--quiet", "--no-trunc"];
  const list = async (kind: Found["kind"], ...flags: string[]) => {
    const ids = (await engine.docker([kind, "ls", ...flags, ...filter])).split("\n");
    return ids.filter((id) => id !== "" && !known.includes(id)).map((id) => ({ kind, id }));
  };
  const [containers, networks] = await Promise.all([list("container", "--all"), list("network")]);
  return [...containers, ...networks];
}

/** Removes what a deploy that was killed has left; containers first, for they hold their networks. */
export async function removeOrphans(engine: DockerEngine, orphans: readonly Found[]): Promise<void> {
  for (const kind of ["container", "network"] as const) {
    const ids = orphans.filter((each) => each.kind === kind).map(({ id }) => id);
    const flags = kind === "container" ? ["--force", "--volumes"] : [];
    if (ids.length > 0) await engine.docker([kind, "rm", ...flags, ...ids]).catch(ignoreMissing);
  }
}

/** Removes containers of processes of this machine that were killed before they could. */
export async function removeAbandoned(engine: DockerEngine): Promise<void> {
  const format = `{{.ID}} {{.Label "${OWNER_LABEL}"}}`;
  const listed = await engine.docker([
    "container",
    "ls",
    "--all",
    "--filter",
    `label=${OWNER_LABEL}`,
    "--format",
    format,
  ]);
  const abandoned = listed.split("\n").flatMap((line) => {
    const [id, of = ""] = line.split(" ");
    const at = of.lastIndexOf(":");
    return id && of.slice(0, at) === hostname() && !exists(Number(of.slice(at + 1))) ? [id] : [];
  });
  if (abandoned.length > 0)
    await engine.docker(["container", "rm", "--force", "--volumes", ...abandoned]).catch(ignoreMissing);
}

/** Whether a process of this machine runs. */
export function exists(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (cause) {
    return (cause as NodeJS.ErrnoException).code === "EPERM";
  }
}
