import { posix } from "node:path";
import type { DeployConfig, ServiceConfig } from "../config/types";
import type { FileVersion } from "../freshness/bytes/leftovers";
import { EVERY_SERVICE, type Verdict } from "../freshness/chain";
import { isManifest } from "../freshness/dockerfile/manifests";
import { ignoreRules } from "../freshness/dockerignore";
import type { TreeEntry } from "../freshness/files";
import { NAMESPACE } from "../freshness/project";
import { must } from "../freshness/sure";
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

/** The inputs of a service: `readContents` reads those of each. */
export function inputsOf({ inputs }: Pick<Contents, "inputs">, service: string): BuildInputs {
  return must(inputs[service], `build inputs of service ${service}`);
}

/** A service's context in the commit, before its files are read. */
interface FoundContext {
  readonly service: BuiltService;
  /** Relative to the repository. */
  readonly context: string;
  readonly entries: readonly Located[];
  /** Verdict on git filters, if the attributes name any. */
  readonly filtering: Verdict | undefined;
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
 * @returns each service's context and its files; the list of files beside the contexts
 * @throws SourceError with all missing contexts and Dockerfiles
 * @throws FreshnessError (link commit) if a submodule's objects are missing, a name is impossible in a build context,
 * or a git filter would change files
 */
export async function findContents(checkout: Commit, services: readonly BuiltService[], filters: Filters) {
  const contexts = services.map((service) => ({ service, context: contextPath(checkout, service) }));
  const { below, beside } = await list(
    checkout,
    contexts.map(({ context }) => context),
  );
  const blobs = new Objects();
  const found = await Promise.all(
    contexts.map(async ({ service, context }) => {
      const reading = (entries: readonly Located[]) => readIgnored(service, entries, blobs);
      const opened = await openSubmodules(
        service.name,
        posix.join(checkout.root, context),
        below(context),
        async (tops) => (await reading(tops)).ignores,
      );
      return { service, context, opened, ...(await reading(opened)) };
    }),
  );
  const problems = found.flatMap(({ service, context, opened }) =>
    problem(service, context, opened, checkout.commit),
  );
  if (problems.length > 0) throw new SourceError(problems.join("\n"));
  const named = found.map((each) => ({
    ...each,
    entries: withUtf8Names(each.service.name, each.opened, each.ignores),
  }));
  const filterNames = await filtersOf(
    named.flatMap(({ entries }) => entries),
    blobs,
  );
  return {
    contexts: named.map(({ service, context, entries, ignores }): FoundContext => {
      const sent = entries.filter(({ path }) => !ignores(path));
      return {
        service,
        context,
        entries,
        filtering: filterVerdict(service.name, sent, filterNames, filters),
      };
    }),
    beside,
    blobs,
    filterNames,
  };
}

/** Lists the files of contexts, and those beside them. */
async function list({ root, prefix, tree }: Commit, contexts: readonly string[]) {
  const inside = contexts.filter((path) => !path.startsWith("../") && path !== "..");
  const command = ["ls-tree", "-z", "--full-tree"];
  const [inContexts, beside] = await Promise.all([
    inside.length === 0
      ? Buffer.alloc(0)
      : gitBytes(root, [...command, "-r", "-t", tree, ...(inside.includes("") ? [] : inside)]),
    gitBytes(root, [...command, tree, ...(prefix === "" ? [] : [`${prefix}/`])]),
  ]).catch((cause: Error) => {
    throw unreadable(cause);
  });
  const all = parseTree(inContexts, EVERY_SERVICE);
  const below = (path: string): Located[] =>
    all
      .filter((entry) => path === "" || entry.path === path || entry.path.startsWith(`${path}/`))
      .map((entry) => ({
        ...entry,
        path: posix.relative(path, entry.path),
        repository: root,
        tree,
        own: entry.path,
      }));
  return { below, beside: parseTree(beside, EVERY_SERVICE, { alone: true }) };
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
  const found = await findContents(checkout, services, filters);
  const compose = found.beside.filter(
    ({ path, mode }) => mode.startsWith("100") && COMPOSE.test(posix.basename(path)),
  );
  await readTexts(checkout, found, compose);
  const reading = { ...found, checkout, compose, filters };
  const inputs = found.contexts.map(
    async (context) => [context.service.name, await readInputs(context, reading)] as const,
  );
  return { inputs: Object.fromEntries(await Promise.all(inputs)), blobs: found.blobs };
}

type Found = Awaited<ReturnType<typeof findContents>>;

/** Reads the sizes of all files, and the contents of those that are read as text. */
async function readTexts(
  { root, tree }: Commit,
  { contexts, blobs }: Found,
  compose: readonly TreeEntry[],
): Promise<void> {
  await readSizes(
    contexts.flatMap(({ entries }) => entries),
    blobs,
  );
  const texts = contexts.flatMap(({ service, entries }) => entries.filter((entry) => isRead(service, entry)));
  await readSizes(
    compose.map((entry) => ({ ...entry, repository: root, tree, own: entry.path })),
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
}

/** What the inputs of one service are read from, besides its context. */
interface Reading extends Pick<Found, "blobs" | "filterNames"> {
  readonly checkout: Commit;
  /** The compose files beside the contexts. */
  readonly compose: readonly TreeEntry[];
  readonly filters: Filters;
}

async function readInputs(
  { service, context, entries: found, filtering }: FoundContext,
  { checkout, compose, blobs, filterNames, filters }: Reading,
): Promise<BuildInputs> {
  const text = (entry: Pick<TreeEntry, "hash" | "path">) => textOf(blobs, entry);
  const smudged = await filtered(service.name, found, filterNames, { blobs, filters });
  const folder = posix.join(checkout.root, context);
  const entries = await readPointers(service.name, folder, smudged, { blobs, filterNames });
  const links = entries.filter(({ mode }) => mode === "120000");
  const targets = new Map(links.map((entry) => [entry.path, text(entry)]));
  const dockerfilePath = followed(service.dockerfile, targets);
  const file = entries.find(({ path, mode }) => path === dockerfilePath && mode.startsWith("100"));
  if (!file) throw new SourceError(missingDockerfile(service, context, checkout.commit));
  const ignored = ignoreFile({ dockerfile: dockerfilePath }, entries);
  // The target of a linked Dockerfile was not read as a text.
  for (const entry of ignored ? [file, ignored] : [file]) await blobs.need(entry.repository, [entry.hash]);
  const long = links.find(({ hash }) => (blobs.size(hash) ?? 0) > LONGEST_LINK);
  if (long)
    throw new SourceError(
      `service ${service.name}: ${long.path} is not a symbolic link: its target is too long`,
    );
  const own = entries.filter(({ path, mode }) => mode.startsWith("100") && COMPOSE.test(path));
  const named = [...compose, ...own.map(({ path, hash }) => ({ path: posix.join(context, path), hash }))];
  return {
    tree: entries.map(({ mode, hash, path }) => ({ mode, hash, path })),
    links: new Map(links.map((entry) => [entry.hash, text(entry)])),
    dockerfile: text(file),
    dockerfilePath,
    dockerignore: ignored ? text(ignored) : "",
    compose: [...new Map(named.map((entry) => [entry.path, entry])).values()].map((entry) => ({
      path: entry.path,
      text: text(entry),
    })),
    earlier: (files) => earlierVersions(checkout, context, files),
    filters: filtering,
  };
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
  const [first] = entries;
  if (first?.path === "" && first.mode === "120000")
    return [
      `service ${name}: "${context}" is a symbolic link ${at}; set ${NAMESPACE}:services.${name}.context to the folder that it leads to`,
    ];
  // The path of a file lists only that file.
  if (!first || first.path === "")
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
