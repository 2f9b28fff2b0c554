import { type ComposeService, type ComposeVolume, resolvedText } from "../composeFile";
import type { Repository } from "../repository";
import { type Accepts, environmentFiles } from "./keys";
import {
  type ComposeVariables,
  isDevelopmentSwitch,
  isOfCompose,
  isSecret,
  namesDevelopment,
} from "./variables";

/** Remarks on a guessed layout; see `Layout`. */
export interface Notes {
  readonly guesses: string[];
  readonly decisions: string[];
  readonly left: string[];
  readonly accepts: Accepts;
  /** Variable → value, for the stack's own file. */
  readonly secrets: Map<string, string>;
  /** Services whose name in the compose file is no name here → their name here. */
  readonly names: ReadonlyMap<string, string>;
  /** What the variables of the repository's files hold. */
  readonly variables: ComposeVariables;
}

/** What a service's environment becomes. */
export interface TakenEnvironment {
  readonly env: Readonly<Record<string, string>>;
  readonly secretEnv: Readonly<Record<string, { readonly env: string }>>;
}

/**
 * The variables of a compose service that have a value; of the others the notes say where to set them. Secrets become
 * names of variables in the stack's own file.
 *
 * @param of its name, the key of the configuration below which it stands, such as `services.web`, and the variables that
 * its image sets
 */
export function takenEnvironment(
  repository: Repository,
  compose: ComposeService,
  {
    name,
    key,
    image,
  }: { readonly name: string; readonly key: string; readonly image?: ReadonlyMap<string, string> },
  { guesses, decisions, left, secrets, variables, names }: Notes,
): TakenEnvironment {
  const env: Record<string, string> = {};
  const secretEnv: Record<string, { env: string }> = {};
  const at = (line: number) => `${compose.path}:${line}`;
  const files = environmentFiles(repository, compose);
  for (const { file, line } of files.missing)
    decisions.push(
      `${name}: env_file ${file} is not in the repository; set ${key}.env and ${key}.secretEnv with what it holds (${at(line)})`,
    );
  const listed = compose.environment.map(({ name: variable, value, line }) => ({
    variable,
    value,
    at: at(line),
    from: "environment",
  }));
  const fromFiles = files.files.flatMap(({ path, isExample, variables: all }) => {
    const omitted = isExample ? all.filter((one) => isOfCompose(one) || isDevelopmentSwitch(one)) : [];
    if (omitted.length > 0)
      left.push(
        `${name}: ${omitted.map((one) => one.name).join(", ")} of ${path} are left out: they are for development, or compose's own (${path}:1)`,
      );
    return all
      .filter((one) => !omitted.includes(one))
      .map((one) => ({
        variable: one.name,
        value: variables.chosen(one),
        at: one.at,
        from: "env_file",
      }));
  });
  const last = new Map(fromFiles.map((one) => [one.variable, one]));
  // Values in the compose file take precedence.
  for (const { variable } of listed) last.delete(variable);
  for (const { variable, value, at: place, from } of [...listed, ...last.values()]) {
    if (!/^[A-Za-z_][A-Za-z0-9_]*$/.test(variable)) continue;
    const given = value === undefined ? undefined : from === "env_file" ? value : resolvedText(value);
    const known = given === undefined ? undefined : withNames(given, names);
    const ofImage = image?.get(variable);
    if (known !== undefined && ofImage !== undefined && ofImage !== known && namesDevelopment(known)) {
      left.push(
        `${name}: ${variable} is left out: "${known}" is for development, the image has "${ofImage}" (${place})`,
      );
    } else if (known !== undefined && isSecret(variable, known)) {
      const file = secretName(secrets, name, variable, known);
      secrets.set(file, known);
      secretEnv[variable] = { env: file };
      guesses.push(`${name}: ${variable} looks secret: ${file} of the stack's own file (${place})`);
    } else if (known === undefined && isSecret(variable, value))
      decisions.push(
        `${name}: ${variable} looks secret; pulumi config set --secret --path ${key}.secretEnv.${variable} (${place})`,
      );
    else if (known === undefined)
      decisions.push(`${name}: ${variable} has no value here; set ${key}.env.${variable} (${place})`);
    else {
      const isLocal = variable.endsWith("ALLOWED_HOSTS") && /^[\w.,-]*\blocalhost$/.test(known);
      env[variable] = isLocal ? `${known},127.0.0.1` : known;
      guesses.push(
        `${name}: ${from} ${variable}${isLocal ? ", with 127.0.0.1, which the stack listens on" : ""} (${place})`,
      );
    }
  }
  return { env, secretEnv };
}

/** A value in which other services have their names here. */
function withNames(value: string, names: ReadonlyMap<string, string>): string {
  return [...names].reduce(
    (text, [before, name]) =>
      text === before
        ? name
        : text.replace(new RegExp(`(//|@)${before.replace(/[^\w-]/g, ".")}(?=[:/]|$)`, "g"), `$1${name}`),
    value,
  );
}

/** The name of a secret in the stack's own file: the variable's, unless another service gives it another value. */
function secretName(
  secrets: ReadonlyMap<string, string>,
  service: string,
  variable: string,
  value: string,
): string {
  const before = secrets.get(variable);
  if (before === undefined || before === value) return variable;
  return `${service}_${variable}`.toUpperCase().replace(/[^A-Z0-9]+/g, "_");
}

/**
 * The named volumes of a compose service: name → path in the container.
 *
 * @param unusable why a volume of that name cannot be used; undefined if it can
 */
export function takenVolumes(
  compose: ComposeService,
  name: string,
  { guesses, decisions }: Notes,
  unusable: (volume: ComposeVolume, name: string) => string | undefined,
): Record<string, string> {
  const taken: Record<string, string> = {};
  for (const each of compose.volumes) {
    const { source, target, kind, line } = each;
    if (kind === "tmpfs") continue;
    const at = `${compose.path}:${line}`;
    const volume = source.toLowerCase().replace(/[^a-z0-9_.-]+/g, "-");
    const why = unusable(each, volume);
    const isUsable = /^[a-z0-9]/.test(volume) && target.startsWith("/") && target !== "/";
    if (kind === "volume" && why === undefined && isUsable) {
      taken[volume] = target;
      guesses.push(`${name}: volume ${volume} at ${target} (${at})`);
    } else
      decisions.push(
        `${name}: ${source === "" ? target : `${source}:${target}`} is left out, ${why ?? "folders of the machine are not mounted"} (${at})`,
      );
  }
  return taken;
}
