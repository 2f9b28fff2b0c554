import { type Command, programOf } from "../../freshness/dockerfile/shell";
import { isCommitGiven } from "./commitArgument";

/** A call of docker in a script. */
export interface DockerCall {
  /** `build`, `bake`, `builder prune`, `system prune`, `compose up`, …: one name for all notations. */
  readonly action: string;
  /** The arguments after the action. */
  readonly args: readonly string[];
  /** The arguments before the action: `-f compose.yaml`. */
  readonly before: readonly string[];
}

/** Programs that run the program in their arguments, and have their own options. */
const CARRIERS = new Set(
  "sudo timeout retry xargs flock chronic doas command dotenv dotenvx cross-env env-cmd doppler op infisical sops wait-on time".split(
    " ",
  ),
);
/** Engines with docker's commands. */
const ENGINES = /^(docker|podman|nerdctl|finch)$/;
const COMPOSES = /^(docker-compose|podman-compose)$/;
const PROGRAMS =
  /(^|\/)(docker|podman|nerdctl|finch|docker-compose|podman-compose|git|ssh|bash|sh|npm|make)$/;
const GLOBAL_VALUES = new Set(["-H", "--host", "-c", "--context", "--config", "-l", "--log-level"]);
const COMPOSE_VALUES = new Set(
  "-f --file -p --project-name --env-file --profile --project-directory --ansi --parallel --progress".split(
    " ",
  ),
);
const GROUPS = new Set(["compose", "buildx", "builder", "image", "container", "system", "stack", "service"]);
const BUILD_VALUES = new Set(
  "-f --file -t --tag --build-arg --build-context --target --cache-from --cache-to --platform --label --network --secret --ssh --progress -o --output --builder --add-host --iidfile --metadata-file --shm-size --ulimit -m --memory --annotation --attest --allow".split(
    " ",
  ),
);

/** Functions that call each other repeat the same words thousands of times. */
const programs = new WeakMap<readonly string[], { program: string; args: readonly string[] }>();
const dockerCalls = new WeakMap<readonly string[], DockerCall | false>();

/** The program of a command, without prefixes such as `sudo -E`. */
export function called(command: Command): { program: string; args: readonly string[] } {
  const known = programs.get(command.words);
  if (known) return known;
  const found = programIn(command);
  programs.set(command.words, found);
  return found;
}

function programIn(command: Command): { program: string; args: readonly string[] } {
  const first = programOf(command);
  if (!CARRIERS.has(first.program) && !first.program.startsWith("-")) return first;
  const at = first.args.findIndex((arg) => PROGRAMS.test(arg));
  const path = first.args[at];
  return path === undefined
    ? first
    : { program: path.slice(path.lastIndexOf("/") + 1), args: first.args.slice(at + 1) };
}

/** The docker call of a command, if it is one. */
export function dockerCall(command: Command): DockerCall | undefined {
  const known = dockerCalls.get(command.words);
  if (known !== undefined) return known === false ? undefined : known;
  const found = dockerCallIn(command);
  dockerCalls.set(command.words, found ?? false);
  return found;
}

function dockerCallIn(command: Command): DockerCall | undefined {
  const { program, args } = called(command);
  if (COMPOSES.test(program)) return compose(args);
  if (!ENGINES.test(program)) return undefined;
  const at = skip(args, 0, GLOBAL_VALUES);
  const [group = ""] = args.slice(at);
  if (group === "compose") return compose(args.slice(at + 1));
  if (!GROUPS.has(group)) return { action: group, args: args.slice(at + 1), before: [] };
  const next = skip(args, at + 1, new Set(["--builder"]));
  const action = args[next] ?? "";
  return { action: named(group, action), args: args.slice(next + 1), before: args.slice(at + 1, next) };
}

function compose(args: readonly string[]): DockerCall {
  const at = skip(args, 0, COMPOSE_VALUES);
  return { action: `compose ${args[at] ?? ""}`, args: args.slice(at + 1), before: args.slice(0, at) };
}

function named(group: string, action: string): string {
  if (/^(build|b)$/.test(action) && group !== "system" && group !== "container") return "build";
  if (group === "buildx" && (action === "bake" || action === "f")) return "bake";
  if (action === "prune" && (group === "buildx" || group === "builder")) return "builder prune";
  return `${group} ${action}`;
}

function skip(args: readonly string[], start: number, values: ReadonlySet<string>): number {
  let at = start;
  for (let arg = args[at]; arg?.startsWith("-"); arg = args[++at]) if (values.has(arg)) at++;
  return at;
}

/** Whether an option is set, alone or combined with short ones: `-a` is in `-af`. */
export function has(args: readonly string[], ...names: readonly string[]): boolean {
  return args.some((arg) =>
    names.some((name) =>
      name.startsWith("--")
        ? arg === name || (arg.startsWith(`${name}=`) && !/=(false|0)$/.test(arg))
        : /^-[a-zA-Z]+$/.test(arg) && arg.includes(name.charAt(1)),
    ),
  );
}

/** The values of an option, `--name value` or `--name=value`. */
export function valuesOf(args: readonly string[], ...names: readonly string[]): string[] {
  return args.flatMap((arg, at) => {
    const next = args[at + 1];
    if (names.includes(arg)) return next === undefined ? [] : [next];
    const name = names.find((candidate) => arg.startsWith(`${candidate}=`));
    return name === undefined ? [] : [arg.slice(name.length + 1)];
  });
}

/** The folder that a `docker build` sends; empty if it is only known at run time. */
export function buildContext(args: readonly string[]): string {
  const positional = args.filter((arg, at) => !arg.startsWith("-") && !BUILD_VALUES.has(args[at - 1] ?? ""));
  return positional.at(-1) ?? (args.includes("-") ? "-" : "");
}

/** Options of `docker run` without a value. All others have one. */
const RUN_FLAGS =
  /^(-[diPt]+|--(detach|interactive|tty|rm|init|privileged|read-only|publish-all|no-healthcheck|oom-kill-disable|disable-content-trust|sig-proxy|quiet|help)|-q)$/;

/** The image that a `docker run` or `docker create` starts; undefined if it is only known at run time. */
export function imageRun(args: readonly string[]): string | undefined {
  let isValue = false;
  for (const arg of args) {
    if (isValue) {
      isValue = false;
      continue;
    }
    if (!arg.startsWith("-")) return arg === "" ? undefined : arg;
    isValue = !RUN_FLAGS.test(arg) && !arg.includes("=") && !/^-[a-zA-Z]\S/.test(arg);
  }
  return undefined;
}

/** Whether the commit is passed, or may be: the value of a variable is unknown. */
export function passesCommit(command: Command, args: readonly string[]): boolean {
  const given = valuesOf(args, "--build-arg").some((arg) => isCommitGiven(arg));
  return given || command.words.some((word) => /^"?\$(@|\*|\{?\w*(ARG|OPT|FLAG|PARAM)\w*)/i.test(word));
}

/** Whether a call builds images from source. */
export function isBuild({ action, args }: DockerCall): boolean {
  return (
    action === "build" ||
    action === "bake" ||
    action === "compose build" ||
    action === "compose watch" ||
    ((action === "compose up" || action === "compose create" || action === "compose run") &&
      has(args, "--build"))
  );
}

/** Whether a call clears the build cache. */
export function isPrune({ action }: DockerCall): boolean {
  return action === "builder prune" || action === "system prune";
}
