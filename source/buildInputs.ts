import { posix } from "node:path";
import type { ServiceConfig } from "../config";
import type { FileVersion } from "../freshness/bytes/leftovers";
import { ignoreRules } from "../freshness/dockerignore";
import { type Checkout, contextPath, SourceError } from "./checkout";
import { gitIn, parseTree, readObjects, type TreeEntry } from "./git";
import { type Earlier, earlierVersions } from "./history";
import { readPointers } from "./largeFiles";
import { type Located, openSubmodules } from "./submodules";

/** What an image is made from, as the commit has it. */
export interface BuildInputs {
  /** The files and links of the build context; those of submodules are among them. */
  readonly tree: readonly TreeEntry[];
  /** What the tree's symbolic links lead to, by blob. */
  readonly links: ReadonlyMap<string, string>;
  readonly dockerfile: string;
  /** Where it lies in the context: what a symbolic link of the configured name leads to. */
  readonly dockerfilePath: string;
  readonly dockerignore: string;
  /** The compose files beside the service and beside the app. */
  readonly compose: readonly { readonly path: string; readonly text: string }[];
  /** Looks files up in the commit and those before it, paths relative to the context. */
  readonly earlier: (files: readonly FileVersion[]) => Promise<Earlier>;
}

/** What the commit holds of all services. */
export interface Contents {
  /** Service → what its image is made from. */
  readonly inputs: Readonly<Record<string, BuildInputs>>;
  /** Blob → content, of every file of every context. */
  readonly blobs: ReadonlyMap<string, Buffer>;
}

type BuiltService = Pick<ServiceConfig, "name" | "context" | "dockerfile">;

const COMPOSE = /^(docker-)?compose(\.[\w-]+)?\.ya?ml$/;

type Commit = Pick<Checkout, "root" | "prefix" | "commit" | "tree">;

/**
 * Finds in git what the services' images are made from, without reading the files.
 *
 * @returns each service's context, from the repository's root, and its files; the listing of what lies beside the contexts
 * @throws SourceError with all that keeps services from being built: a missing context, a missing Dockerfile
 * @throws FreshnessError (link commit) where a submodule's objects are not here
 */
export async function findContents(checkout: Commit, services: readonly BuiltService[]) {
  const { root, prefix, tree } = checkout;
  const contexts = services.map((service) => contextPath(checkout, service));
  const git = gitIn(root);
  const list = ["ls-tree", "-z", "--full-tree"];
  const inside = contexts.filter((path) => !path.startsWith("../") && path !== "..");
  const [below, beside] = await Promise.all([
    inside.length === 0 ? "" : git.raw([...list, "-r", tree, ...(inside.includes("") ? [] : inside)]),
    git.raw([...list, tree, ...(prefix === "" ? [] : [`${prefix}/`])]),
  ]);
  const all = parseTree(below);
  const listed: Located[][] = contexts.map((path) =>
    all
      .filter((entry) => path === "" || entry.path === path || entry.path.startsWith(`${path}/`))
      .map((entry) => ({ ...entry, path: posix.relative(path, entry.path), repository: root })),
  );
  const opened = await Promise.all(
    services.map(async (service, at) =>
      openSubmodules(service.name, posix.join(root, contexts[at]!), listed[at]!, async (tops) => {
        const ignored = ignoreFile(service, tops);
        if (!ignored) return () => false;
        const text = (await readObjects(ignored.repository, [ignored.hash])).get(ignored.hash)!;
        const rules = ignoreRules(text.toString("utf8"));
        return (path) => rules.ignores(path);
      }),
    ),
  );
  const problems = services.flatMap((service, at) =>
    problem(service, contexts[at]!, opened[at]!, checkout.commit),
  );
  if (problems.length > 0) throw new SourceError(problems.join("\n"));
  return { contexts, opened, beside };
}

/**
 * Reads from git what the services' images are made from, all at once: a process costs more than a file.
 *
 * @throws as `findContents` does
 * @throws FreshnessError (link commit) where the objects that the commit names are not all here
 */
export async function readContents(checkout: Commit, services: readonly BuiltService[]): Promise<Contents> {
  const { root } = checkout;
  const { contexts, opened, beside } = await findContents(checkout, services);
  const compose = parseTree(beside).filter(
    ({ path, mode }) => mode.startsWith("100") && COMPOSE.test(posix.basename(path)),
  );
  const blobs = await readBlobs([
    ...opened.flat(),
    ...compose.map((entry) => ({ ...entry, repository: root })),
  ]);
  const text = ({ hash }: { hash: string }) => blobs.get(hash)!.toString("utf8");
  const inputs = services.map(async (service, at) => {
    const context = contexts[at]!;
    const entries = await readPointers(service.name, posix.join(root, context), opened[at]!, blobs);
    const links = new Map(
      entries.filter(({ mode }) => mode === "120000").map((entry) => [entry.path, text(entry)]),
    );
    const dockerfilePath = followed(service.dockerfile, links);
    const file = entries.find(({ path, mode }) => path === dockerfilePath && mode.startsWith("100"));
    if (!file) throw new SourceError(missingDockerfile(service, context, checkout.commit));
    const ignored = ignoreFile({ dockerfile: dockerfilePath }, entries);
    const own = entries.filter(({ path, mode }) => mode.startsWith("100") && COMPOSE.test(path));
    const named = [...compose, ...own.map(({ path, hash }) => ({ path: posix.join(context, path), hash }))];
    return [
      service.name,
      {
        tree: entries.map(({ mode, hash, path }) => ({ mode, hash, path })),
        links: new Map(
          entries.filter(({ mode }) => mode === "120000").map((entry) => [entry.hash, text(entry)]),
        ),
        dockerfile: text(file),
        dockerfilePath,
        dockerignore: ignored ? text(ignored) : "",
        compose: [...new Map(named.map((entry) => [entry.path, entry])).values()].map((entry) => ({
          path: entry.path,
          text: text(entry),
        })),
        earlier: (files: readonly FileVersion[]) => earlierVersions(checkout, context, files),
      },
    ] as const;
  });
  return { inputs: Object.fromEntries(await Promise.all(inputs)), blobs };
}

/** Where links lead from a path, each relative to its own folder; a path that is no link is where it is. */
function followed(path: string, links: ReadonlyMap<string, string>, depth = 0): string {
  const to = links.get(path);
  if (to === undefined || depth > 8) return path;
  return followed(posix.normalize(posix.join(posix.dirname(path), to)), links, depth + 1);
}

function ignoreFile<T extends TreeEntry>(
  service: Pick<BuiltService, "dockerfile">,
  entries: readonly T[],
): T | undefined {
  const at = (file: string) => entries.find(({ path }) => path === file);
  return at(`${service.dockerfile}.dockerignore`) ?? at(".dockerignore");
}

/** What keeps a service from being built at all. */
function problem(
  { name, dockerfile }: BuiltService,
  context: string,
  entries: readonly TreeEntry[],
  commit: string,
): string[] {
  const at = `in commit ${commit.slice(0, 12)}`;
  // A path that is a file lists that alone.
  if (entries.length === 0 || entries[0]!.path === "")
    return [`service ${name}: no folder "${context}" ${at}; set watch-party:services.${name}.context`];
  // Where a link leads is known once it is read.
  if (entries.some(({ path, mode }) => path === dockerfile && /^1(00|20)/.test(mode))) return [];
  return [missingDockerfile({ name, dockerfile }, context, commit)];
}

function missingDockerfile(
  { name, dockerfile }: Pick<BuiltService, "name" | "dockerfile">,
  context: string,
  commit: string,
): string {
  return `service ${name}: no Dockerfile "${posix.join(context, dockerfile)}" in commit ${commit.slice(0, 12)}; add it and commit, or set watch-party:services.${name}.dockerfile`;
}

/** Reads all entries' contents, with one process a repository. */
async function readBlobs(entries: readonly Located[]): Promise<Map<string, Buffer>> {
  const repositories = [...new Set(entries.map(({ repository }) => repository))];
  const read = repositories.map(async (repository) =>
    readObjects(
      repository,
      entries.filter((entry) => entry.repository === repository).map(({ hash }) => hash),
    ),
  );
  return new Map((await Promise.all(read)).flatMap((blobs) => [...blobs]));
}
