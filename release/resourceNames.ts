import { hashOf } from "../freshness/hash";

/** Names of resources that combine two names. A name changes only if it would be ambiguous. */

/**
 * Service → stage → the resource name of the stage's image: `SERVICE-STAGE` as in earlier versions, or `SERVICE.STAGE`
 * if another image of the stack has that name. A service name never has a dot.
 * @param stages service → the stages that are images of their own
 */
export function stageResources(
  stages: Readonly<Record<string, readonly string[]>>,
): Record<string, Record<string, string>> {
  const names = Object.entries(stages).flatMap(([service, own]) => [
    service,
    ...own.map((stage) => `${service}-${stage}`),
  ]);
  return Object.fromEntries(
    Object.entries(stages).map(([service, own]) => [
      service,
      Object.fromEntries(own.map((stage) => [stage, alone(names, service, stage)])),
    ]),
  );
}

/**
 * Service → variable → the resource name of its secret on a Swarm.
 * @param secrets service → the names of its secret variables
 */
export function secretResources(
  secrets: Readonly<Record<string, readonly string[]>>,
): Record<string, Record<string, string>> {
  const usual = (variable: string) => variable.toLowerCase().replaceAll("_", "-");
  const names = Object.entries(secrets).flatMap(([service, own]) =>
    own.map((variable) => `${service}-${usual(variable)}`),
  );
  return Object.fromEntries(
    Object.entries(secrets).map(([service, own]) => [
      service,
      Object.fromEntries(
        own.map((variable) => {
          const name = `${service}-${usual(variable)}`;
          return [variable, isAlone(names, name) ? name : `${service}.${variable}`];
        }),
      ),
    ]),
  );
}

/** What Docker allows as a part of an image's name. */
const REPOSITORY = /^[a-z0-9]+((\.|_{1,2}|-+)[a-z0-9]+)*$/;

/**
 * A repository of images, `PROJECT-STACK-SERVICE`. Pulumi's names may have capital letters, and separators side by side, which an
 * image's name may not have: a hash keeps such names apart.
 */
export function imageRepository(...names: readonly string[]): string {
  const name = names.join("-");
  if (REPOSITORY.test(name)) return name;
  return `${imageName(names)}-${hashOf(names).slice(0, 7)}`;
}

/** A pattern of the repositories of a stack. */
export function imageRepositories(project: string, stack: string): string {
  return `${imageName([project, stack])}-*`;
}

function imageName(names: readonly string[]): string {
  return names
    .join("-")
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, "-")
    .replace(/^-+|-+$/g, "");
}

function alone(names: readonly string[], service: string, part: string): string {
  const name = `${service}-${part}`;
  return isAlone(names, name) ? name : `${service}.${part}`;
}

function isAlone(names: readonly string[], name: string): boolean {
  return names.filter((each) => each === name).length === 1;
}
