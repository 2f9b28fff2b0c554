import { type ComposeService, type ComposeVolume, resolvedText } from "../composeFile";
import type { Repository } from "../repository";
import { type Accepts, environmentFiles } from "./keys";

/** Remarks on a guessed layout; see `Layout`. */
export interface Notes {
  readonly guesses: string[];
  readonly decisions: string[];
  readonly left: string[];
  readonly accepts: Accepts;
}

const SECRET =
  /SECRET|TOKEN|PASSWORD|PASSWD|PRIVATE|CREDENTIAL|API_?KEY|ACCESS_?KEY|(^|_)(DSN|PASS|KEY|SALT)$/i;
const WITH_PASSWORD = /:\/\/[^/\s:@]+:[^/\s@]+@/;

/**
 * The variables of a compose service that have a value and are no secret; of the others the notes say where to set them.
 *
 * @param of its name, and the key of the configuration below which it stands, such as `services.web`
 */
export function takenEnvironment(
  repository: Repository,
  compose: ComposeService,
  { name, key }: { readonly name: string; readonly key: string },
  { guesses, decisions }: Notes,
): Record<string, string> {
  const taken: Record<string, string> = {};
  const at = (line: number) => `${compose.path}:${line}`;
  const files = environmentFiles(repository, compose);
  for (const { file, line, example } of files.missing)
    decisions.push(
      `${name}: env_file ${file} is not in the repository; set ${key}.env and ${key}.secretEnv with what it holds${example === undefined ? "" : ` (${example} names it)`} (${at(line)})`,
    );
  const listed = compose.environment.map(({ name: variable, value, line }) => ({
    variable,
    value,
    at: at(line),
    from: "environment",
  }));
  const fromFiles = files.variables
    // Values in the compose file take precedence.
    .filter((one) => !listed.some(({ variable }) => variable === one.name))
    .map(({ name: variable, value, at: place }) => ({ variable, value, at: place, from: "env_file" }));
  for (const { variable, value, at: place, from } of [...listed, ...fromFiles]) {
    if (!/^[A-Za-z_][A-Za-z0-9_]*$/.test(variable)) continue;
    const known = value === undefined ? undefined : from === "env_file" ? value : resolvedText(value);
    const isPublic = /^(NEXT_)?PUBLIC_|^VITE_/.test(variable);
    if ((SECRET.test(variable) && !isPublic) || WITH_PASSWORD.test(value ?? ""))
      decisions.push(
        `${name}: ${variable} looks secret; pulumi config set --secret --path ${key}.secretEnv.${variable} (${place})`,
      );
    else if (known === undefined)
      decisions.push(`${name}: ${variable} has no value here; set ${key}.env.${variable} (${place})`);
    else {
      taken[variable] = known;
      guesses.push(`${name}: ${from} ${variable} (${place})`);
    }
  }
  return taken;
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
