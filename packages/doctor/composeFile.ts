import { posix } from "node:path";
import { expand } from "../../freshness/dockerfile/words";
import { parseWhole, parseYaml, Yaml } from "./yaml";

/** A value and its line. */
interface Located {
  readonly text: string;
  readonly line: number;
}

export interface ComposeVolume {
  /** A named volume or a folder of the machine; empty if neither is given. */
  readonly source: string;
  readonly target: string;
  readonly kind: "bind" | "volume" | "tmpfs";
  readonly line: number;
}

interface ComposeBuild {
  readonly line: number;
  /** Relative to the repository; absent if it is outside of it. */
  readonly context?: string;
  /** As written. */
  readonly written: string;
  /** Relative to the repository. */
  readonly dockerfile: string;
  readonly target?: string;
  readonly args: readonly {
    readonly name: string;
    readonly value: string | undefined;
    readonly line: number;
  }[];
  /** Names of `additional_contexts`. */
  readonly contexts: readonly string[];
  readonly noCache: boolean;
  readonly pull: boolean;
  readonly cacheFrom?: Located;
  readonly cacheTo?: Located;
}

export interface ComposeService {
  readonly path: string;
  readonly name: string;
  readonly line: number;
  readonly image?: Located;
  readonly build?: ComposeBuild;
  readonly pullPolicy?: string;
  readonly volumes: readonly ComposeVolume[];
  /** The container's ports, published ones first. */
  readonly ports: readonly { readonly port: number; readonly line: number }[];
  readonly environment: readonly {
    readonly name: string;
    readonly value: string | undefined;
    readonly line: number;
  }[];
  readonly healthcheck?: Located;
  readonly command?: Located;
  readonly dependsOn: readonly string[];
  readonly profiles: readonly string[];
  /** The whole section, merged with `extends` and the base file. */
  readonly section: Yaml;
}

export const isCompose = (path: string) =>
  /(^|\/)(docker-)?compose([._-][\w.-]+)?\.ya?ml$|[._-](docker-)?compose\.ya?ml$|(^|\/)(docker-)?stack([.-][\w.-]+)?\.ya?ml$|(^|\/)(docker-)?compose\/[\w.-]+\.ya?ml$/.test(
    path,
  );

/** The services of a compose file; none if it cannot be parsed. */
export function composeServices(
  path: string,
  text: string,
  texts: ReadonlyMap<string, string> = new Map(),
): ComposeService[] {
  return sections(path, text, texts).map(({ key, line, value }) => serviceOf(path, key, line, value));
}

/** Whether a file looks like a compose file. */
export function looksLikeCompose(text: string): boolean {
  return /^services[ \t]*:/m.test(text) && /^[ \t]+(image|build)[ \t]*:/m.test(text);
}

interface Section {
  readonly key: string;
  readonly line: number;
  readonly value: Yaml;
}

function sections(path: string, text: string, texts: ReadonlyMap<string, string>): Section[] {
  const own = parseWhole(text).flatMap((document) => document.at("services").entries);
  const servicesOf = (other: string) =>
    parseYaml(texts.get(other) ?? "").flatMap((document) => document.at("services").entries);
  const base = baseOf(path, texts);
  const below = base === undefined ? [] : servicesOf(base);
  const over = (service: Yaml, parent: Yaml, isOfOtherFile: boolean) =>
    service.over(isOfOtherFile ? only(parent) : parent);
  return own.map(({ key, line, value }) => {
    const extended = withExtends(path, own, value, { servicesOf, over });
    const before = below.find((entry) => entry.key === key);
    return { key, line, value: before ? extended.over(only(before.value)) : extended };
  });
}

/** Keeps only the keys of another file that describe a service. The rest is judged in its own file. */
function only(section: Yaml): Yaml {
  const entries = section.entries.filter(({ key }) =>
    /^(build|image|command|environment|profiles|develop)$/.test(key),
  );
  return new Yaml(section.line, undefined, section.textLine, entries, []);
}

/** The file that compose reads before a file such as compose.prod.yaml. */
function baseOf(path: string, texts: ReadonlyMap<string, string>): string | undefined {
  const name = posix.basename(path);
  if (!/^(docker-)?compose[._-][\w.-]+\.ya?ml$/.test(name)) return undefined;
  return BASES.map((base) => posix.join(posix.dirname(path), base)).find((base) => texts.has(base));
}

/** The names of the files that compose reads by default. */
export const BASES = ["compose.yaml", "compose.yml", "docker-compose.yaml", "docker-compose.yml"];

/** How the services of other files are found, and how a service is laid over the one that it extends. */
interface Extending {
  /** The services of a file; none if it cannot be read. */
  readonly servicesOf: (path: string) => Yaml["entries"];
  readonly over: (service: Yaml, parent: Yaml, isOfOtherFile: boolean) => Yaml;
}

/** A service with what it inherits by `extends`, over several files. */
export function withExtends(
  path: string,
  around: Yaml["entries"],
  service: Yaml,
  how: Extending,
  depth = 0,
): Yaml {
  const extending = service.at("extends");
  const name = extending.text ?? extending.at("service").text;
  if (name === undefined || depth > 5) return service;
  const file = extending.at("file").text;
  const other = file === undefined ? path : posix.join(posix.dirname(path), file);
  const others = file === undefined ? around : how.servicesOf(other);
  const parent = others.find(({ key }) => key === name)?.value;
  if (!parent) return service;
  const whole = withExtends(other, others, parent, how, depth + 1);
  return how.over(service, whole, file !== undefined);
}

/** A compose value with `${NAME:-default}` resolved; undefined if a variable has no default. */
export function resolvedText(text: string): string | undefined {
  const bare = text.replaceAll("$$", "\uE003");
  let isKnown = true;
  // A variable with a default is known. One without is not.
  const withoutDefault = /\$(\{\w+\}|\{\w+:?\?|\w)/.test(bare);
  if (withoutDefault) isKnown = false;
  return isKnown ? expand(bare.replace(/['"\\]/g, "\\$&"), new Map()).replaceAll("\uE003", "$") : undefined;
}

/** A service from its section, whichever files the section was merged from. */
export function serviceOf(path: string, name: string, line: number, service: Yaml): ComposeService {
  const image = service.at("image");
  const health = service.at("healthcheck", "test");
  const command = service.at("command");
  const pullPolicy = service.at("pull_policy").text;
  const build = buildOf(path, service);
  return {
    path,
    name,
    line,
    ...(image.text !== undefined && { image: { text: image.text, line: image.line } }),
    ...(build && { build }),
    ...(pullPolicy !== undefined && { pullPolicy }),
    volumes: service.at("volumes").items.flatMap(volumeOf),
    ports: [...service.at("ports").items, ...service.at("expose").items].flatMap(portOf),
    environment: service.at("environment").variables,
    ...(!health.isEmpty && { healthcheck: { text: wordsOf(health), line: health.line } }),
    ...(!command.isEmpty && { command: { text: wordsOf(command), line: service.lineOf("command") } }),
    dependsOn: [
      ...service.at("depends_on").items.flatMap(({ text }) => (text === undefined ? [] : [text])),
      ...service.at("depends_on").entries.map(({ key }) => key),
    ],
    profiles: service.at("profiles").list.flatMap(({ text }) => text ?? []),
    section: service,
  };
}

function buildOf(path: string, service: Yaml): ComposeBuild | undefined {
  const build = service.at("build");
  if (build.isEmpty) return undefined;
  const written = build.text ?? build.at("context").text ?? ".";
  const folder = resolvedText(written) ?? written;
  const isFolder = !/^[a-z+]+:\/\/|^git@|\$/.test(folder) && !folder.startsWith("/");
  const context = inRepository(posix.join(posix.dirname(path), folder));
  const target = build.at("target").text;
  return {
    line: service.lineOf("build"),
    ...(isFolder && context !== undefined && { context }),
    written,
    dockerfile: posix.join(context ?? "", build.at("dockerfile").text ?? "Dockerfile"),
    ...(target !== undefined && { target: resolvedText(target) ?? target }),
    args: build.at("args").variables,
    contexts: build.at("additional_contexts").variables.map(({ name }) => name),
    noCache: build.at("no_cache").text === "true",
    pull: build.at("pull").text === "true",
    ...located(build, "cache_from", "cacheFrom"),
    ...located(build, "cache_to", "cacheTo"),
  };
}

/** A list of caches, also under its name in a bake section. */
function located(build: Yaml, key: string, name: "cacheFrom" | "cacheTo"): { [name in string]?: Located } {
  for (const node of [build, build.at("x-bake")])
    for (const spelled of [key, key.replace("_", "-")]) {
      const texts = node
        .at(spelled)
        .list.flatMap(({ text }) => (text === undefined || text === "" ? [] : [text]));
      if (texts.length > 0) return { [name]: { text: texts.join(", "), line: node.lineOf(spelled) } };
    }
  return {};
}

/** A path in the repository, empty for its root; undefined outside of it. */
export function inRepository(path: string): string | undefined {
  const normal = posix.normalize(path).replace(/\/$/, "");
  if (normal === ".." || normal.startsWith("../")) return undefined;
  return normal === "." ? "" : normal;
}

function volumeOf(volume: Yaml): ComposeVolume[] {
  const { text, line } = volume;
  if (text === undefined) {
    const target = volume.at("target").text;
    const kind = volume.at("type").text;
    if (target === undefined || (kind !== "bind" && kind !== "volume" && kind !== "tmpfs")) return [];
    return [{ source: volume.at("source").text ?? "", target, kind, line }];
  }
  // `${MOUNT:-.:/app}` is a mount by default.
  const parts = (resolvedText(text) ?? text.replace(/\$\{[^}]*\}/g, "_")).split(":");
  const [first = "", second] = parts;
  const target = second?.startsWith("/") ? second : first;
  const source = target === first ? "" : first;
  return [{ source, target, kind: /^[./~]/.test(source) ? "bind" : "volume", line }];
}

function portOf(port: Yaml): { port: number; line: number }[] {
  const text = port.at("target").text ?? port.text ?? "";
  const given = resolvedText(text) ?? text;
  const last = given
    .split(":")
    .at(-1)!
    .replace(/\/(tcp|udp)$/, "");
  const number = Number(last.split("-")[0]);
  return Number.isInteger(number) && number > 0 && number < 65536 && !/\/udp$/.test(given)
    ? [{ port: number, line: port.line }]
    : [];
}

function wordsOf(node: Yaml): string {
  return node.text ?? node.items.map(({ text = "" }) => text).join(" ");
}
