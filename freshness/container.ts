import { type Break, broken, type Verdict } from "./chain";
import { capabilityRemedy, type MissingCapability } from "./container/capability";
import { type Ending, logCommand, timesEnded } from "./container/ended";
import { foldersOf, isCode, isWrittenByServer } from "./container/serverFiles";
import { NAMESPACE } from "./project";
import { slashRemedy } from "./served/asking";

/** State of a service's container, as the engine reports it. */
export interface RunningContainer {
  readonly name: string;
  readonly running: boolean;
  /** Whether `docker pause` froze it. */
  readonly paused?: boolean;
  readonly image: string;
}

/** Judges whether the deployed container runs, from the built image. */
export function containerVerdict(
  service: string,
  image: string,
  container: RunningContainer | undefined,
): Verdict | Break {
  const expected = `a running container of ${short(image)}`;
  const found = !container
    ? "no such container"
    : container.running
      ? `a ${container.paused ? "paused" : "running"} container of ${short(container.image)}`
      : "a container that is not running";
  const evidence = container ? `container ${container.name}` : "the engine";
  if (container?.running && !container.paused && container.image === image)
    return { link: "container", service, status: "proven", expected, found, evidence };
  return broken({
    link: "container",
    service,
    wrong: "the running container is not the deployed one",
    expected,
    found,
    evidence,
    remedy: "Deploy again: the release then starts in new containers, without a build.",
  });
}

/**
 * Judges an unhealthy container: a new one that does not become healthy, or one that serves.
 * @param asked request to the health path: URL, answer, status (0 or absent without an answer), target of a redirect
 * @param container.ending how often the container ended, and its log; absent if the engine reports neither
 */
export function unhealthyVerdict(
  { name, startSeconds }: { readonly name: string; readonly startSeconds: number },
  asked: { readonly url: string; readonly said: string; readonly status?: number; readonly to?: string },
  container: {
    readonly name: string;
    readonly ending?: Ending;
    readonly lacks?: MissingCapability;
    readonly serves?: boolean;
  },
): Break {
  const { name: of, ending, serves = false } = container;
  const ended = ending === undefined || ending.times === 0 ? "" : `; it ${timesEnded(ending)}`;
  const log = ending ? logCommand(of) : `docker service logs ${of}`;
  return broken({
    link: "container",
    service: name,
    wrong: serves ? "the container is unhealthy" : "the new container does not become healthy",
    expected: `status 2xx of ${asked.url} within ${startSeconds} s`,
    found: `no such answer (${asked.said})${ended}`,
    evidence: asked.url,
    remedy:
      (container.lacks && capabilityRemedy(name, container.lacks)) ??
      askedRemedy(name, asked) ??
      (serves
        ? `See its log (${log}), then restart it (docker restart ${of}) or deploy again.`
        : undefined) ??
      `See its log (${log}), then deploy again; if it is only slow, raise ${NAMESPACE}:services.${name}.startSeconds.`,
    ...(ending && { log: ending.log }),
  });
}

/** Remedy for an app that answers but rejects the form of the request. */
function askedRemedy(
  name: string,
  { url, status = 0, to }: { readonly url: string; readonly status?: number; readonly to?: string },
): string | undefined {
  const key = `${NAMESPACE}:services.${name}`;
  const slash = slashRemedy(url, to, `${key}.health`);
  if (slash !== undefined) return slash;
  if (status >= 300 && status < 400)
    return `Set ${key}.health to a path that answers without a redirect, or set the headers that the app expects in ${key}.healthHeaders, such as Host.`;
  return [400, 401, 403, 421].includes(status)
    ? `The health check sends the host of the public address. Allow that host in the app, or set another in ${key}.healthHeaders.Host, or set ${key}.health to a path that needs no login.`
    : undefined;
}

/** Judges a container with a read-only root file system. Nothing in it can change, so nothing is compared. */
export function readOnlyVerdict(service: string, container: string): Verdict {
  const expected = "the files of its image";
  const evidence = `docker inspect ${container}: ReadonlyRootfs`;
  return { link: "container", service, status: "proven", expected, found: expected, evidence };
}

/** One difference between the files of a container and of its image. */
export interface ContainerChange {
  readonly kind: "A" | "C" | "D";
  readonly path: string;
}

/** Folders that programs write to at run time. Their content is not code. */
const RUNTIME =
  /^\/(tmp|run|dev|proc|sys|var\/(tmp|run|log|cache|lock)|root\/\.[^/]+|home\/[^/]+\/\.[^/]+)(\/|$)/;

/** Whether programs write to this path at run time. Files of an image there are not its code. */
export function isRuntimeFolder(path: string): boolean {
  return RUNTIME.test(path);
}

/** Files that the engine adds to a container. */
const ENGINE = /^\/(\.dockerenv|(usr\/)?sbin\/docker-init|etc\/(hosts|hostname|resolv\.conf|mtab))$/;
/** Folder that the engine creates for docker-init in an image from scratch. Other files in it are separate changes. */
const INIT_FOLDER = /^\/(usr\/)?sbin$/;
/** Files that an interpreter or framework derives from its own code: bytecode beside the source, cached answers. */
const DERIVED = /\/__pycache__(\/|$)|\/\.next\/cache(\/|$)/;

const within = (path: string, folder: string) => path === folder || path.startsWith(`${folder}/`);

/**
 * Changes outside declared caches, mounts and run-time folders.
 * @param commands command lines of the container's processes; files that such a server writes are ignored
 */
export function foreignChanges(
  changes: readonly ContainerChange[],
  caches: readonly string[],
  mounts: readonly string[] = [],
  commands: readonly string[] = [],
): ContainerChange[] {
  const foreign = changes.filter(
    ({ kind, path }) =>
      !isRuntimeFolder(path) &&
      !(kind !== "D" && mounts.some((mount) => within(mount.replace(/\/$/, ""), path))) &&
      !ENGINE.test(path) &&
      !(kind === "A" && INIT_FOLDER.test(path)) &&
      !(kind === "A" && DERIVED.test(path)) &&
      !(kind !== "D" && isWrittenByServer(path, commands)) &&
      !caches.some((cache) => within(path, cache.replace(/\/$/, ""))),
  );
  // A folder counts as changed if something in it changed. Only the content of the folder matters.
  return foreign.filter(
    ({ kind, path }) =>
      !(kind === "C" && changes.some((other) => other.path !== path && within(other.path, path))),
  );
}

/**
 * Judges changes inside a container since it started. Only declared `caches` and run-time folders may change.
 * @param mounts mount points; the engine creates these folders if the image lacks them
 * @param commands command lines of the container's processes; files that such a server writes are ignored
 */
export function changesVerdict(
  service: string,
  container: string,
  changes: readonly ContainerChange[],
  caches: readonly string[],
  mounts: readonly string[] = [],
  commands: readonly string[] = [],
): Verdict | Break {
  const found = foreignChanges(changes, caches, mounts, commands);
  const expected = "the files of its image";
  const evidence = `docker diff ${container}`;
  if (found.length === 0)
    return { link: "container", service, status: "proven", expected, found: expected, evidence };
  const words = { A: "added", C: "changed", D: "deleted" };
  const listed = found.slice(0, 10).map(({ kind, path }) => `${words[kind]} ${path}`);
  return broken({
    link: "container",
    service,
    wrong: "files were changed inside the container",
    expected,
    found: `${found.length} others: ${listed.join(", ")}`,
    evidence,
    remedy: changesRemedy(service, container, found),
  });
}

/**
 * Remedy for changed files. A service usually adds files on purpose if they are not code. Changed, deleted or code
 * files come from someone else.
 */
function changesRemedy(service: string, container: string, found: readonly ContainerChange[]): string {
  const key = `${NAMESPACE}:services.${service}.caches`;
  if (found.some(({ kind, path }) => kind !== "A" || isCode(path)))
    return `Remove the container (docker rm -f ${container}) and deploy with "--refresh"; declare what the service writes on purpose in ${key} or .volumes.`;
  const folders = foldersOf(found.map(({ path }) => path)).slice(0, 5);
  return `If the service writes them on purpose, declare their folders in ${key}: ${JSON.stringify(folders)}, or in .volumes; otherwise remove the container (docker rm -f ${container}) and deploy with "--refresh".`;
}

/** Shortens a digest to `sha256:` and twelve digits. */
export function short(digest: string): string {
  return digest.replace(/^(sha256:)?([0-9a-f]{12})[0-9a-f]*$/, "$1$2");
}
