import type { Finding } from "./finding";
import { type Command, programOf } from "./shell";
import type { Executed } from "./state";

const BUILDERS = new Set(
  "npm pnpm yarn bun npx bunx next nuxt nuxi tsc vite webpack rollup esbuild swc parcel ng gulp grunt turbo nx astro remix gatsby make ninja cmake meson cargo rustc javac mvn mvnw gradle gradlew sbt pip pip3 pipenv poetry uv pdm hatch bundle composer dotnet gcc g++ cc".split(
    " ",
  ),
);
/** Actions of these programs that build nothing. */
const IDLE =
  /^(-v|--version|version|cache|config|audit|fund|prune|uninstall|remove|rm|check|clean|test|t|lint|fmt|format|clippy|outdated|list|ls|info|show|get|set|why|help|completion|telemetry)$/;
const IDLE_SCRIPT = /^(lint|test|audit|clean|format|check|typecheck|type-check|prettier|eslint|coverage)/;
const CLOSERS = new Set([")", "}", "fi", "done"]);

/** Finds builds of source whose failure is swallowed. The output of an earlier build would be served as the new one. */
export function swallowedFindings(path: string, executed: readonly Executed[]): Finding[] {
  return executed.flatMap((one) => {
    const isAfterSource = one.carried || one.brings !== undefined;
    if (one.step.keyword !== "RUN" || !isAfterSource) return [];
    const swallowed = swallowedIn(one.commands, one.shell);
    if (!swallowed) return [];
    return [
      {
        path,
        line: one.step.line,
        why: `the failure of "${swallowed.build}" is swallowed by "${swallowed.by}": a failed build would be deployed with old files`,
        expected: "a build that fails when one of its commands fails",
        found: swallowed.by,
        remedy: `Remove "${swallowed.by}" from the RUN at line ${one.step.line} of ${path}.`,
      },
    ];
  });
}

/** Finds the first build command whose failure does not fail the RUN, and what swallows it. */
function swallowedIn(
  commands: readonly Command[],
  shell: readonly string[] = [],
): { readonly build: string; readonly by: string } | undefined {
  let stops = shell.some((word) => /^-[A-Za-z]*e[a-z]*$/.test(word));
  let isLax = false;
  for (const [at, command] of commands.entries()) {
    const { program, args } = programOf(command);
    if (program === "set" && args.some((arg) => /^-[A-Za-z]*e/.test(arg))) stops = true;
    if (program === "set" && args.some((arg) => /^\+[a-z]*e/.test(arg))) {
      stops = false;
      isLax = true;
    }
    if (!isBuild(program, args)) continue;
    const by = swallowedBy(commands, at, stops, isLax);
    if (by !== undefined) return { build: [program, ...args].join(" "), by };
  }
  return undefined;
}

/** Follows the exit status of one command to the end of its list. */
function swallowedBy(
  commands: readonly Command[],
  build: number,
  stops: boolean,
  isLax: boolean,
): string | undefined {
  for (let at = build; ; at++) {
    let command = commands[at];
    // `(build)`, `{ build; }` and `if …; then build; fi` have the exit status of the build.
    while (command && CLOSERS.has(commands[at + 1]?.words[0] ?? "") && /^;?$/.test(command.next))
      command = commands[++at];
    if (!command) return undefined;
    const { next } = command;
    const following = commands[at + 1];
    if (next === "||" && following && isHarmless(following) && !fails(commands[at + 2], following.next))
      return `|| ${textOf(following)}`;
    if (next === ";" && following) {
      if (stops) return undefined;
      const rest = commands.slice(at + 1);
      if (rest.some((command) => command.words.some((word) => word.includes("$?")))) return undefined;
      if (isLax) return "set +e";
      const last = rest.at(-1);
      return last && rest.every(isHarmless) ? `; ${textOf(last)}` : undefined;
    }
    if (next !== "&&" && next !== "||" && next !== "|") return undefined;
  }
}

/** Whether a command succeeds, whatever happened before it. */
export function isHarmless(command: Command): boolean {
  const { program, args } = programOf(command);
  if (program === "exit") return args[0] === "0";
  return program === "true" || program === ":" || program === "echo" || program === "printf";
}

/** Whether a command after an operator fails the list: `|| echo failed && exit 1` fails. */
export function fails(command: Command | undefined, operator: string): boolean {
  if (!command || (operator !== "&&" && operator !== ";")) return false;
  const { program, args } = programOf(command);
  return program === "false" || (program === "exit" && args[0] !== "0");
}

function isBuild(program: string, args: readonly string[]): boolean {
  const [action = "", script = ""] = args.filter((arg) => !/^--?[a-z-]+=/.test(arg));
  if (program === "go") return /^(build|install|generate|run)$/.test(action);
  if (/^python[\d.]*$/.test(program))
    return (
      (action === "-m" && /^(build|compileall|pip|poetry|pipenv|nuitka|PyInstaller)$/.test(script)) ||
      (/(^|\/)setup\.py$/.test(action) && !IDLE.test(script)) ||
      (/(^|\/)manage\.py$/.test(action) && /^(collectstatic|compilemessages)$/.test(script))
    );
  if (!BUILDERS.has(program) || IDLE.test(action)) return false;
  return !(/^(run|run-script|exec)$/.test(action) && IDLE_SCRIPT.test(script));
}

function textOf(command: Command): string {
  return command.words.join(" ");
}
