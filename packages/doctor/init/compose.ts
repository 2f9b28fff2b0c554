import { posix } from "node:path";
import { BASES, type ComposeService, isCompose, serviceOf, withExtends } from "../composeFile";
import type { Repository } from "../repository";
import { isForDevelopment, isLeftOut } from "../scope";
import { EMPTY, parseYaml, type Yaml } from "../yaml";
import { ComposeVariables } from "./variables";

/** The services of an app, as compose starts them in a deployment. */
export interface ComposeApp {
  readonly services: readonly ComposeService[];
  /** Parts of the files that are omitted, and why. */
  readonly left: readonly string[];
  /** What the file's variables hold. */
  readonly variables: ComposeVariables;
}

const PRODUCTION = /(^|[._-])(prod|production|deploy|deployment|live|server|release)([._-]|$)/i;
/** Names of profiles for a deployment. */
const DEPLOYED = /prod|live|deploy|release|default|all|full|app/i;

/** Reads the compose files of an app: the base, its includes, and the production file over it. */
export function composeApp(
  repository: Repository,
  wants: (services: readonly ComposeService[]) => boolean,
  makeSecret?: (name: string) => string,
): ComposeApp | undefined {
  const rank = (path: string) => {
    const base = BASES.indexOf(posix.basename(path));
    return path.split("/").length * 10 + (base < 0 ? (PRODUCTION.test(posix.basename(path)) ? 8 : 9) : base);
  };
  const paths = [...repository.texts.keys()]
    .filter((path) => isCompose(path) && !isForDevelopment(path) && !isLeftOut(path))
    .sort((a, b) => rank(a) - rank(b));
  for (const path of paths) {
    const app = read(repository, path, new ComposeVariables(repository, path, makeSecret));
    if (wants(app.services)) return app;
  }
  return undefined;
}

function read(repository: Repository, path: string, variables: ComposeVariables): ComposeApp {
  const left: string[] = [];
  const over = [...repository.texts.keys()].find(
    (other) =>
      other !== path &&
      posix.dirname(other) === posix.dirname(path) &&
      BASES.includes(posix.basename(path)) &&
      isCompose(other) &&
      PRODUCTION.test(posix.basename(other)),
  );
  const base = withIncluded(repository, path, documentOf(repository, path), 0);
  const written = over === undefined ? base : documentOf(repository, over).mergedOver(base);
  const document = variables.within(written);
  for (const { key, line, value } of document.entries) {
    if (
      key === "services" ||
      key === "version" ||
      key === "name" ||
      key === "include" ||
      key.startsWith("x-")
    )
      continue;
    const names = value.entries.map((entry) => entry.key);
    const isExternal = value.entries.some((entry) => entry.value.at("external").text === "true");
    if (key === "volumes" && !isExternal && value.entries.every((entry) => entry.value.isEmpty)) continue;
    left.push(
      `the file's ${key} ${names.length > 0 ? `(${names.join(", ")}) ` : ""}${names.length === 1 ? "is" : "are"} left out${key === "networks" ? ": each release has a network of its own" : ""} (${path}:${line})`,
    );
  }
  if (over !== undefined)
    left.push(`${over} is laid over ${path}, as docker compose -f ${path} -f ${over} does`);
  for (const other of repository.texts.keys())
    if (isCompose(other) && other !== path && other !== over && posix.dirname(other) === posix.dirname(path))
      left.push(
        `${other} is not read: ${isForDevelopment(other) ? "it is for development or tests" : "nothing says that it is deployed"}`,
      );
  const all = document.at("services").entries;
  const services = all.flatMap(({ key, line, value }): ComposeService[] => {
    const section = withExtends(path, all, value, {
      servicesOf: (other) => documentOf(repository, other).at("services").entries,
      over: (service, parent) => service.mergedOver(parent),
    });
    return [serviceOf(path, key, line, section)];
  });
  const started = withProfiles(services);
  for (const { name, line, profiles } of services.filter((service) => !started.includes(service)))
    left.push(
      `${name} is left out: it starts with the profile ${profiles.join(", ")} only (${path}:${line})`,
    );
  return { services: started, left, variables };
}

/**
 * The services that a deployment starts. If none of those that are built starts without a profile, profiles switch
 * parts of the app on: a service whose profile has its own name is a part.
 */
function withProfiles(all: readonly ComposeService[]): ComposeService[] {
  const isDeployed = ({ profiles }: ComposeService) =>
    profiles.length === 0 || profiles.some((profile) => DEPLOYED.test(profile));
  const isSomeBuilt = all.some((service) => service.build !== undefined && isDeployed(service));
  return all.filter(
    (service) =>
      isDeployed(service) || (!isSomeBuilt && service.profiles.some((profile) => profile === service.name)),
  );
}

function documentOf(repository: Repository, path: string): Yaml {
  return parseYaml(repository.texts.get(path) ?? "")[0] ?? EMPTY;
}

function withIncluded(repository: Repository, path: string, document: Yaml, depth: number): Yaml {
  if (depth > 5) return document;
  return document.at("include").items.reduce((merged, item) => {
    const paths = item.text === undefined ? item.at("path").list.map(({ text }) => text) : [item.text];
    return paths.reduce((inner, file) => {
      const other = posix.join(posix.dirname(path), file ?? "");
      return inner.mergedOver(withIncluded(repository, other, documentOf(repository, other), depth + 1));
    }, merged);
  }, document);
}
