import { posix } from "node:path";
import type { DeployConfig, ServiceConfig } from "../config/types";
import type { FileVersion } from "../freshness/bytes/leftovers";
import { EVERY_SERVICE, type Verdict } from "../freshness/chain";
import { isManifest } from "../freshness/dockerfile/manifests";
import { ignoreRules } from "../freshness/dockerignore";
import type { TreeEntry } from "../freshness/files";
import { NAMESPACE } from "../freshness/project";
import { filtersOf } from "./attributes";
import { type Checkout, contextPath, SourceError } from "./checkout";
import { filtered, filterVerdict } from "./filters";
import { gitBytes } from "./git";
import { type Earlier, earlierVersions } from "./history";
import { readPointers } from "./largeFiles";
import { LARGEST_TEXT, Objects } from "./objects";
import { type Located, openSubmodules } from "./submodules";
import { notUtf8, parseTree, unreadable } from "./tree";

/** The commit's inputs of an image. */
export interface BuildInputs {
  /** Files and links of the build context, including those of submodules. */
  readonly tree: readonly TreeEntry[];
  /** Targets of the tree's symbolic links, by blob. */
  readonly links: ReadonlyMap<string, string>;
  readonly dockerfile: string;
  /** Its path in the context, after following a symbolic link. */
  readonly dockerfilePath: string;
  readonly dockerignore: string;
  /** The compose files beside the service and beside the app. */
  readonly compose: readonly { readonly path: string; readonly text: string }[];
  /** Looks up files in the commit and its ancestors; paths are relative to the context. */
  readonly earlier: (files: readonly FileVersion[]) => Promise<Earlier>;
  /** Verdict on git filters, if the attributes name any. */
  readonly filters?: Verdict;
}

/** The commit's inputs of all services. */
export interface Contents {
  /** Service → its image's inputs. */
  readonly inputs: Readonly<Record<string, BuildInputs>>;
  /** The contents of every file of every context. */
  readonly blobs: Objects;
}

type BuiltService = Pick<ServiceConfig, "name" | "context" | "dockerfile">;
type Filters = DeployConfig["filters"];

const COMPOSE = /^(docker-)?compose(\.[\w-]+)?\.ya?ml$/;

type Commit = Pick<Checkout, "root" | "prefix" | "commit" | "tree">;

/** Maximum length of a symbolic link's target. */
const LONGEST_LINK = 4096;

/**
 * Finds the inputs of the services' images in git, without reading the files.
 *
 * @returns each service's context, relative to the repository, and its files; the list of files beside the contexts
 * @throws SourceError with all missing contexts and Dockerfiles
 * @throws FreshnessError (link commit) if a submodule's objects are missing, a name is impossible in a build context,
 * or a git filter would change files
 */
export async function findContents(checkout: Commit, services: readonly BuiltService[], filters: Filters) {
  const { root, prefix, tree } = checkout;
  const contexts = services.map((service) => contextPath(checkout, service));
  const list = ["ls-tree", "-z", "--full-tree"];
  const inside = contexts.filter((path) => !path.startsWith("../") && path !== "..");
  const [below, beside] = await Promise.all([
    inside.length === 0
      ? Buffer.alloc(0)
      : gitBytes(root, [...list, "-r", "-t", tree, ...(inside.includes("") ? [] : inside)]),
    gitBytes(root, [...list, tree, ...(prefix === "" ? [] : [`${prefix}/`])]),
  ]).catch((cause: Error) => {
    throw unreadable(cause);
  });
  const all = parseTree(below, EVERY_SERVICE);
  const listed: Located[][] = contexts.map((path) =>
    all
      .filter((entry) => path === "" || entry.path === path || entry.path.startsWith(`${path}/`))
      .map((entry) => ({
        ...entry,
        path: posix.relative(path, entry.path),
        repository: root,
        tree,
        own: entry.path,
      })),
  );
  const blobs = new Objects();
  const found = await Promise.all(
    services.map(async (service, at) => {
      const reading = (entries: readonly Located[]) => readIgnored(service, entries, blobs);
      const opened = await openSubmodules(
        service.name,
        posix.join(root, contexts[at]!),
        listed[at]!,
        async (tops) => (await reading(tops)).ignores,
      );
      return { opened, ...(await reading(opened)) };
    }),
  );
  const problems = services.flatMap((service, at) =>
    problem(service, contexts[at]!, found[at]!.opened, checkout.commit),
  );
  if (problems.length > 0) throw new SourceError(problems.join("\n"));
  const named = found.map(({ opened, ignores }, at) => withUtf8Names(services[at]!.name, opened, ignores));
  const filterNames = await filtersOf(named.flat(), blobs);
  const verdicts = found.map(({ ignores }, at) =>
    filterVerdict(
      services[at]!.name,
      named[at]!.filter(({ path }) => !ignores(path)),
      filterNames,
      filters,
    ),
  );
  return {
    contexts,
    opened: named,
    beside: parseTree(beside, EVERY_SERVICE, { alone: true }),
    blobs,
    filterNames,
    verdicts,
  };
}

/** Checks the names in a context; ignored files may have names that cannot be sent. */
function withUtf8Names(
  service: string,
  entries: readonly Located[],
  ignores: (path: string) => boolean,
): readonly Located[] {
  const strange = entries.filter(({ escaped }) => escaped !== undefined);
  if (strange.length === 0) return entries;
  const sent = strange.filter(({ path }) => !ignores(path));
  if (sent.length > 0)
    throw notUtf8(
      service,
      sent.map(({ escaped, path }) => escaped ?? path),
    );
  return entries.filter(({ escaped }) => escaped === undefined);
}

/** Reads the service's ignore file. */
async function readIgnored(service: BuiltService, entries: readonly Located[], blobs: Objects) {
  const ignored = ignoreFile(service, entries);
  if (!ignored) return { ignores: () => false };
  await blobs.read(ignored.repository, [ignored.hash]);
  await blobs.need(ignored.repository, [ignored.hash]);
  const rules = ignoreRules(textOf(blobs, ignored));
  return { ignores: (path: string) => rules.ignores(path) };
}

/** Reads the sizes of all entries and the contents of small ones, with one process per repository for each. */
async function readSizes(entries: readonly Located[], blobs: Objects): Promise<void> {
  const repositories = [...new Set(entries.map(({ repository }) => repository))];
  await Promise.all(repositories.map((repository) => blobs.read(repository, hashesOf(entries, repository))));
}

function hashesOf(entries: readonly Located[], repository: string): string[] {
  return entries
    .filter((entry) => entry.repository === repository && entry.mode !== "160000")
    .map(({ hash }) => hash);
}

/** @throws SourceError for a file that is too large for its kind */
function textOf(blobs: Objects, { hash, path }: Pick<TreeEntry, "hash" | "path">): string {
  const content = blobs.get(hash);
  if (content) return content.toString("utf8");
  throw new SourceError(
    `${path} has ${blobs.size(hash) ?? "an unknown number of"} bytes; allowed: up to ${LARGEST_TEXT} for a file of its kind`,
  );
}

/**
 * Reads the inputs of the services' images from git, all at once, because a process costs more than a file.
 *
 * @throws as `findContents` does
 * @throws FreshnessError (link commit) if an object of the commit is missing
 */
export async function readContents(
  checkout: Commit,
  services: readonly BuiltService[],
  filters: Filters,
): Promise<Contents> {
  const { root } = checkout;
  const { contexts, opened, beside, blobs, filterNames, verdicts } = await findContents(
    checkout,
    services,
    filters,
  );
  const compose = beside.filter(
    ({ path, mode }) => mode.startsWith("100") && COMPOSE.test(posix.basename(path)),
  );
  await readSizes(opened.flat(), blobs);
  const texts = opened.flatMap((entries, at) => entries.filter((entry) => isRead(services[at]!, entry)));
  await readSizes(
    compose.map((entry) => ({ ...entry, repository: root, tree: checkout.tree, own: entry.path })),
    blobs,
  );
  const repositories = [...new Set([root, ...texts.map(({ repository }) => repository)])];
  await Promise.all(
    repositories.map((repository) =>
      blobs.need(repository, [
        ...hashesOf(texts, repository),
        ...(repository === root ? compose.map(({ hash }) => hash) : []),
      ]),
    ),
  );
  const text = (entry: Pick<TreeEntry, "hash" | "path">) => textOf(blobs, entry);
  const inputs = services.map(async (service, at) => {
    const context = contexts[at]!;
    const smudged = await filtered(service.name, opened[at]!, filterNames, { blobs, filters });
    const entries = await readPointers(service.name, posix.join(root, context), smudged, {
      blobs,
      filterNames,
    });
    const targets = new Map(
      entries.filter(({ mode }) => mode === "120000").map((entry) => [entry.path, text(entry)]),
    );
    const dockerfilePath = followed(service.dockerfile, targets);
    const file = entries.find(({ path, mode }) => path === dockerfilePath && mode.startsWith("100"));
    if (!file) throw new SourceError(missingDockerfile(service, context, checkout.commit));
    const ignored = ignoreFile({ dockerfile: dockerfilePath }, entries);
    // The target of a linked Dockerfile was not read as a text.
    for (const entry of ignored ? [file, ignored] : [file]) await blobs.need(entry.repository, [entry.hash]);
    const own = entries.filter(({ path, mode }) => mode.startsWith("100") && COMPOSE.test(path));
    const named = [...compose, ...own.map(({ path, hash }) => ({ path: posix.join(context, path), hash }))];
    const links = entries.filter(({ mode }) => mode === "120000");
    const long = links.find(({ hash }) => (blobs.size(hash) ?? 0) > LONGEST_LINK);
    if (long)
      throw new SourceError(
        `service ${service.name}: ${long.path} is not a symbolic link: its target is too long`,
      );
    return [
      service.name,
      {
        tree: entries.map(({ mode, hash, path }) => ({ mode, hash, path })),
        links: new Map(links.map((entry) => [entry.hash, text(entry)])),
        dockerfile: text(file),
        dockerfilePath,
        dockerignore: ignored ? text(ignored) : "",
        compose: [...new Map(named.map((entry) => [entry.path, entry])).values()].map((entry) => ({
          path: entry.path,
          text: text(entry),
        })),
        earlier: (files: readonly FileVersion[]) => earlierVersions(checkout, context, files),
        filters: verdicts[at],
      },
    ] as const;
  });
  return { inputs: Object.fromEntries(await Promise.all(inputs)), blobs };
}

/** Follows links from a path, each relative to its own folder; returns a path that is not a link unchanged. */
function followed(path: string, links: ReadonlyMap<string, string>, depth = 0): string {
  const to = links.get(path);
  if (to === undefined || depth > 8) return path;
  return followed(posix.normalize(posix.join(posix.dirname(path), to)), links, depth + 1);
}

/** Whether the program reads a file as text, besides sending it in the build context. */
function isRead({ dockerfile }: BuiltService, { path, mode }: TreeEntry): boolean {
  if (mode === "120000") return true;
  return (
    path === dockerfile ||
    path === `${dockerfile}.dockerignore` ||
    path === ".dockerignore" ||
    COMPOSE.test(path) ||
    isManifest(path, {})
  );
}

function ignoreFile<T extends TreeEntry>(
  service: Pick<BuiltService, "dockerfile">,
  entries: readonly T[],
): T | undefined {
  const at = (file: string) => entries.find(({ path }) => path === file);
  return at(`${service.dockerfile}.dockerignore`) ?? at(".dockerignore");
}

/** Problems that prevent a service's build. */
function problem(
  { name, dockerfile }: BuiltService,
  context: string,
  entries: readonly TreeEntry[],
  commit: string,
): string[] {
  const at = `in commit ${commit.slice(0, 12)}`;
  if (entries[0]?.path === "" && entries[0].mode === "120000")
    return [
      `service ${name}: "${context}" is a symbolic link ${at}; set ${NAMESPACE}:services.${name}.context to the folder that it leads to`,
    ];
  // The path of a file lists only that file.
  if (entries.length === 0 || entries[0]!.path === "")
    return [`service ${name}: no folder "${context}" ${at}; set ${NAMESPACE}:services.${name}.context`];
  // The target of a link is known after reading it.
  if (entries.some(({ path, mode }) => path === dockerfile && /^1(00|20)/.test(mode))) return [];
  return [missingDockerfile({ name, dockerfile }, context, commit)];
}

function missingDockerfile(
  { name, dockerfile }: Pick<BuiltService, "name" | "dockerfile">,
  context: string,
  commit: string,
): string {
  return `service ${name}: no Dockerfile "${posix.join(context, dockerfile)}" in commit ${commit.slice(0, 12)}; add it and commit, or set ${NAMESPACE}:services.${name}.dockerfile`;
}
