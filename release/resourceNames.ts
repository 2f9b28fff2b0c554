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

function alone(names: readonly string[], service: string, part: string): string {
  const name = `${service}-${part}`;
  return isAlone(names, name) ? name : `${service}.${part}`;
}

function isAlone(names: readonly string[], name: string): boolean {
  return names.filter((each) => each === name).length === 1;
}
