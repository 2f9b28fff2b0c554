import { type Break, broken, type Verdict } from "./chain";
import { capabilityRemedy, type MissingCapability } from "./container/capability";
import { type Ending, logCommand, timesEnded } from "./container/ended";
import { foldersOf, isCode, isWrittenByServer } from "./container/serverFiles";

/** What the engine says of a service's container. */
export interface RunningContainer {
  readonly name: string;
  readonly running: boolean;
  readonly image: string;
}

/** Judges what runs: the container that was deployed, from the image that was built. */
export function containerVerdict(
  service: string,
  image: string,
  container: RunningContainer | undefined,
): Verdict | Break {
  const expected = `a running container of ${short(image)}`;
  const found = !container
    ? "no such container"
    : container.running
      ? `a running container of ${short(container.image)}`
      : "a container that is not running";
  const evidence = container ? `container ${container.name}` : "the engine";
  if (container?.running && container.image === image)
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
 * Judges a container that is not healthy: a new one that does not become so, or one that serves.
 *
 * @param asked its health path, as it was asked; the status of its answer, 0 or absent where there was none, and what it said
 * @param container.ending how often it ended, and its log; absent where the engine has nothing to tell
 */
export function unhealthyVerdict(
  { name, startSeconds }: { readonly name: string; readonly startSeconds: number },
  asked: { readonly url: string; readonly said: string; readonly status?: number },
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
      askedRemedy(name, asked.status) ??
      (serves
        ? `See its log (${log}), then restart it (docker restart ${of}) or deploy again.`
        : undefined) ??
      `See its log (${log}), then deploy again; if it is only slow, raise watch-party:services.${name}.startSeconds.`,
    ...(ending && { log: ending.log }),
  });
}

/** What to do about an app that answers, and refuses the way in which it is asked. */
function askedRemedy(name: string, status = 0): string | undefined {
  const key = `watch-party:services.${name}`;
  if (status >= 300 && status < 400)
    return `Set ${key}.health to a path that answers without a redirect, or set the headers that the app expects in ${key}.healthHeaders, such as Host.`;
  return [400, 401, 403, 421].includes(status)
    ? `The health check sends the host of the public address. Allow that host in the app, or set another in ${key}.healthHeaders.Host, or set ${key}.health to a path that needs no login.`
    : undefined;
}

/** A container whose root is read-only: nothing in it can be changed, and nothing needs to be compared. */
export function readOnlyVerdict(service: string, container: string): Verdict {
  const expected = "the files of its image";
  const evidence = `docker inspect ${container}: ReadonlyRootfs`;
  return { link: "container", service, status: "proven", expected, found: expected, evidence };
}

/** One difference between a container's files and its image's. */
export interface ContainerChange {
  readonly kind: "A" | "C" | "D";
  readonly path: string;
}

/** Where programs write while they run, and what they make there is not code. */
const RUNTIME =
  /^\/(tmp|run|dev|proc|sys|var\/(tmp|run|log|cache|lock)|root\/\.[^/]+|home\/[^/]+\/\.[^/]+)(\/|$)/;

/** Whether programs write there while they run: what an image has there is not its code. */
export function isRuntimeFolder(path: string): boolean {
  return RUNTIME.test(path);
}

/** What the engine itself puts into a container. */
const ENGINE = /^\/(\.dockerenv|(usr\/)?sbin\/docker-init|etc\/(hosts|hostname|resolv\.conf|mtab))$/;
/** The folder that the engine makes for docker-init, in an image from scratch. What else lies there is a change of its own. */
const INIT_FOLDER = /^\/(usr\/)?sbin$/;
/** What an interpreter or framework adds to its own code: bytecode of the source beside it, answers it has given. */
const DERIVED = /\/__pycache__(\/|$)|\/\.next\/cache(\/|$)/;

const within = (path: string, folder: string) => path === folder || path.startsWith(`${folder}/`);

/**
 * The changes that are neither below a declared cache or mount nor where programs write anywhere.
 *
 * @param commands the command lines of the container's processes: files that such a server writes are its own
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
  // A folder counts as changed when something in it is: what counts is what lies in it.
  return foreign.filter(
    ({ kind, path }) =>
      !(kind === "C" && changes.some((other) => other.path !== path && within(other.path, path))),
  );
}

/**
 * Judges what was changed inside a container since it began: nothing but what it declares as `caches` and what programs
 * write anywhere.
 *
 * @param mounts where something is mounted: the engine makes those folders where the image lacks them
 * @param commands the command lines of its processes: files that such a server writes are its own
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

/** What a service adds that is no code it most often writes on purpose; what is changed or code, somebody else wrote. */
function changesRemedy(service: string, container: string, found: readonly ContainerChange[]): string {
  const key = `watch-party:services.${service}.caches`;
  if (found.some(({ kind, path }) => kind !== "A" || isCode(path)))
    return `Remove the container (docker rm -f ${container}) and deploy with "--refresh"; declare what the service writes on purpose in ${key} or .volumes.`;
  const folders = foldersOf(found.map(({ path }) => path)).slice(0, 5);
  return `If the service writes them on purpose, declare their folders in ${key}: ${JSON.stringify(folders)}, or in .volumes; otherwise remove the container (docker rm -f ${container}) and deploy with "--refresh".`;
}

/** `sha256:` and twelve digits: enough to tell, short enough to read. */
export function short(digest: string): string {
  return digest.replace(/^(sha256:)?([0-9a-f]{12})[0-9a-f]*$/, "$1$2");
}
