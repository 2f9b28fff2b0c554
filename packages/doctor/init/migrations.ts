import { posix } from "node:path";
import { stepsOf } from "../builds";
import type { ComposeService } from "../composeFile";
import type { Repository } from "../repository";
import { scriptsOf } from "../started";
import type { Framework } from "./framework";
import type { Found } from "./image";
import { listOf } from "./keys";
import type { Candidate } from "./services";

/** Commands that bring a database to the state that the sources need. */
const MIGRATES =
  /\bmigrat(e|ions?)\b|\balembic\s+upgrade\b|\bdb:(migrate|prepare|setup)\b|\bdb\s+upgrade\b|\bprestart\b|\bprisma\s+(migrate|db)\b/i;
const ONCE = /(^|[-_])(migrat\w*|prestart|release|init-?db|db-?(init|setup|prepare))([-_]|$)/i;

/** Services that run to their end before others start, by name: those that wait for them, or that they are named after. */
export function oneOffs(services: readonly Candidate[]): ReadonlySet<string> {
  const awaited = services.flatMap(({ compose }) =>
    (compose?.section.at("depends_on").entries ?? []).flatMap(({ key, value }) =>
      value.at("condition").text === "service_completed_successfully" ? [key] : [],
    ),
  );
  const isOnce = ({ compose }: Candidate) =>
    compose !== undefined &&
    compose.ports.length === 0 &&
    (awaited.includes(compose.name) ||
      (ONCE.test(compose.name) && MIGRATES.test(compose.command?.text ?? "")));
  return new Set(services.filter(isOnce).map(({ name }) => name));
}

/** The command of a service that runs to its end; undefined if it is the image's own. */
export function commandOf(compose: ComposeService): string | string[] | undefined {
  const command = compose.section.at("command");
  return command.items.length > 0 ? listOf(command) : command.text;
}

/** The migration of a framework whose app does not migrate by itself when it starts. */
export function migrationOf(
  repository: Repository,
  { build, compose }: Candidate,
  framework: Found<Framework> | undefined,
  started: string,
): Found<string> | undefined {
  const below = (path: string) => build.context === "" || path.startsWith(`${build.context}/`);
  const find = (name: string) =>
    repository.files
      .filter((path) => below(path) && posix.basename(path) === name)
      .sort((a, b) => a.split("/").length - b.split("/").length)[0];
  const inContext = (path: string) => posix.relative(build.context, path);
  if (startsWithMigration(repository, build.context, `${compose?.command?.text ?? ""} ${started}`))
    return undefined;
  const workdir = stepsOf(repository, build).at(-1)?.stage.workdir ?? "/";
  const from = (path: string) => fromFolder(inContext(path), workdir);
  const manage = framework?.value.name === "Django" ? find("manage.py") : undefined;
  if (manage !== undefined) return { value: `python ${from(manage)} migrate --noinput`, at: `${manage}:1` };
  const prestart = find("prestart.sh");
  if (prestart !== undefined && MIGRATES.test(repository.texts.get(prestart) ?? ""))
    return { value: `bash ${from(prestart)}`, at: `${prestart}:1` };
  const alembic = find("alembic.ini");
  if (alembic !== undefined && from(alembic) === "alembic.ini")
    return { value: "alembic upgrade head", at: `${alembic}:1` };
  return undefined;
}

/** A file of the context as a program in the image's folder finds it: `src/manage.py` is `manage.py` in /app/src. */
function fromFolder(path: string, workdir: string): string {
  const parts = path.split("/");
  for (let above = parts.length - 1; above > 0; above--)
    if (workdir.endsWith(`/${parts.slice(0, above).join("/")}`)) return parts.slice(above).join("/");
  return path;
}

/**
 * Whether what starts the container migrates, by its words or by those of the scripts that it names. A migration that
 * a script runs only under a condition does not count: a second one changes nothing.
 */
function startsWithMigration(repository: Repository, context: string, command: string): boolean {
  return (
    MIGRATES.test(command) ||
    scriptsOf(repository.texts, context, command).some((text) =>
      // A line of a shell script that is indented stands in a condition, a loop or a function.
      /^#!.*sh\b/.test(text)
        ? text.split("\n").some((line) => /^[^\s#]/.test(line) && MIGRATES.test(line))
        : MIGRATES.test(text),
    )
  );
}

/** Whether a script that starts the container copies files into a folder. */
export function isFilledAtStart(
  repository: Repository,
  { build, compose }: Candidate,
  started: string,
  folder: string,
): boolean {
  const name = posix.basename(folder).replace(/[^\w-]/g, ".");
  const copies = new RegExp(`^\\s*(cp|rsync|tar|install|collectstatic)\\b.*\\b${name}\\b`, "m");
  const command = `${compose?.section.at("entrypoint").text ?? ""} ${compose?.command?.text ?? ""} ${started}`;
  return scriptsOf(repository.texts, build.context, command).some((text) => copies.test(text));
}
