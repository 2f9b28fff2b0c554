import { type Break, broken, type Verdict } from "./chain";
import { type Ending, logCommand, timesEnded } from "./container/ended";

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
      : "a container that does not run";
  const evidence = container ? `container ${container.name}` : "the engine";
  if (container?.running && container.image === image)
    return { link: "container", service, status: "proven", expected, found, evidence };
  return broken({
    link: "container",
    service,
    wrong: "what runs is not what was deployed",
    expected,
    found,
    evidence,
    remedy: "Deploy again: the release then starts in new containers, without a build.",
  });
}

/**
 * Judges a new container that does not become healthy.
 *
 * @param asked its health path, as it was asked
 * @param said why that was no answer with status 200
 * @param container.ending how often it ended, and its log; absent where the engine has nothing to tell
 */
export function unhealthyVerdict(
  { name, startSeconds }: { readonly name: string; readonly startSeconds: number },
  asked: { readonly url: string; readonly said: string },
  container: { readonly name: string; readonly ending?: Ending },
): Break {
  const { name: of, ending } = container;
  const ended = ending === undefined || ending.times === 0 ? "" : `; it ${timesEnded(ending)}`;
  const log = ending ? logCommand(of) : `docker service logs ${of}`;
  return broken({
    link: "container",
    service: name,
    wrong: "the new container does not become healthy",
    expected: `status 200 of ${asked.url} within ${startSeconds} s`,
    found: `no such answer (${asked.said})${ended}`,
    evidence: asked.url,
    remedy: `See what it says (${log}), then deploy again; where it is only slow, raise watch-party:services.${name}.startSeconds.`,
    ...(ending && { log: ending.log }),
  });
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
/** What an interpreter or framework adds to its own code: bytecode of the source beside it, answers it has given. */
const DERIVED = /\/__pycache__(\/|$)|\/\.next\/cache(\/|$)/;

/**
 * Judges what was changed inside a container since it began: nothing but what it declares as `caches` and what programs
 * write anywhere.
 *
 * @param mounts where something is mounted: the engine makes those folders where the image lacks them
 */
export function changesVerdict(
  service: string,
  container: string,
  changes: readonly ContainerChange[],
  caches: readonly string[],
  mounts: readonly string[] = [],
): Verdict | Break {
  const within = (path: string, folder: string) => path === folder || path.startsWith(`${folder}/`);
  const foreign = changes.filter(
    ({ kind, path }) =>
      !isRuntimeFolder(path) &&
      !(kind !== "D" && mounts.some((mount) => within(mount.replace(/\/$/, ""), path))) &&
      !ENGINE.test(path) &&
      !(kind === "A" && DERIVED.test(path)) &&
      !caches.some((cache) => within(path, cache.replace(/\/$/, ""))),
  );
  // A folder counts as changed when something in it is: what counts is what lies in it.
  const found = foreign.filter(
    ({ kind, path }) =>
      !(kind === "C" && changes.some((other) => other.path !== path && within(other.path, path))),
  );
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
    remedy: `Remove the container (docker rm -f ${container}) and deploy with "--refresh"; what the service writes on purpose belongs into watch-party:services.${service}.caches or .volumes.`,
  });
}

/** `sha256:` and twelve digits: enough to tell, short enough to read. */
export function short(digest: string): string {
  return digest.replace(/^(sha256:)?([0-9a-f]{12})[0-9a-f]*$/, "$1$2");
}
