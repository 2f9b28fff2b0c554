import { hostname } from "node:os";
import { OWNER_LABEL } from "../freshness/labels";
import type { DockerEngine } from "./docker";
import { type Found, KINDS } from "./inventory";
import { ignoreMissing } from "./problems";

/** Label value of this process. */
export function owner(): string {
  return `${hostname()}:${process.pid}`;
}

/** Removes what a killed deploy has left. */
export async function removeOrphans(
  engine: DockerEngine,
  orphans: readonly Pick<Found, "kind" | "id">[],
): Promise<void> {
  for (const kind of KINDS) {
    const ids = orphans.filter((each) => each.kind === kind).map(({ id }) => id);
    const flags = kind === "container" ? ["--force", "--volumes"] : [];
    if (ids.length > 0) await engine.docker([kind, "rm", ...flags, ...ids]).catch(ignoreMissing);
  }
}

/** Stops containers and services for good, in parallel. The engine does not start them again, and their logs stay. */
export async function stopForGood(
  engine: DockerEngine,
  running: readonly { readonly kind: "container" | "service"; readonly id: string }[],
): Promise<void> {
  await Promise.all(
    running.map(({ kind, id }) =>
      kind === "container"
        ? engine.stopForGood(id)
        : engine.docker(["service", "update", "--detach", "--quiet", "--replicas", "0", id]),
    ),
  );
}

/** Removes temporary containers of killed processes of this machine. */
export async function removeAbandoned(engine: DockerEngine): Promise<void> {
  const listed = await engine.listContainers([OWNER_LABEL], { all: true });
  const abandoned = listed.flatMap(({ id, labels: { [OWNER_LABEL]: of = "" } }) => {
    const at = of.lastIndexOf(":");
    return of.slice(0, at) === hostname() && !exists(Number(of.slice(at + 1))) ? [id] : [];
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
