import { posix } from "node:path";
import { COMMIT_ARG, type Finding } from "./finding";
import type { ParsedDockerfile, Step } from "./parse";
import type { Executed, StageState } from "./state";
import { assignments } from "./words";

/**
 * Finds source copied from the build context that the commit does not reach.
 * A copy from another stage need not run again. BuildKit's cache key is the copied content, and the image's files are
 * compared with those of that stage.
 */
export function reachFindings(
  path: string,
  dockerfile: ParsedDockerfile,
  executed: readonly Executed[],
  commitFile: string,
): Finding[] {
  const unreached = executed.filter((one) => one.brings === "context" && !one.reruns);
  const findings = unreached.map((one) => {
    const { step, stage } = one;
    const place = { path, line: step.line };
    const what = nameOf(one);
    if (one.linked)
      return {
        ...place,
        why: `${what} has --link, so that its cache key ignores the steps before it and the commit`,
        expected: `${step.keyword} without --link, after a RUN that depends on ${COMMIT_ARG}`,
        found: `--link at line ${step.line}`,
        remedy: `Remove --link from line ${step.line} of ${path}, with a RUN that depends on ${COMMIT_ARG} before it.`,
      };
    const found = reasonOf(one, dockerfile, executed);
    return {
      ...place,
      why: `no commit reaches ${what} in ${labelOf(stage)}, its cache key holds the files and no ARG: ${found}`,
      expected: `a step of ${labelOf(stage)} that depends on ${COMMIT_ARG} before line ${step.line}`,
      found,
      remedy: `Add before line ${step.line} of ${path}:\n${linesFor(one, commitFile).join("\n")}`,
    };
  });
  const brought = executed.some((one) => one.brings !== undefined);
  const isInline = executed.some(({ step }) => step.heredocs.length > 0);
  if (brought || isInline) return findings;
  const last = executed.at(-1)?.stage;
  return [
    ...findings,
    {
      path,
      line: last?.line ?? dockerfile.stages.at(-1)?.line ?? 1,
      why: "no stage that the image needs copies source from the build context: the image holds no source of the commit",
      expected: "a COPY from the build context of more than dependency manifests",
      found: "none",
      remedy: `Add to ${path}:\n${[...commitLines(commitFile, "absent"), "COPY . ."].join("\n")}`,
    },
  ];
}

/** Label of a stage in messages: its name, or its number. */
function labelOf(stage: Pick<StageState, "name">): string {
  return /^stage-\d+$/.test(stage.name) ? stage.name : `stage "${stage.name}"`;
}

function nameOf({ step }: Executed): string {
  return step.keyword === "RUN" ? "RUN --mount of the build context" : step.keyword;
}

/** Explains why the commit does not reach a step, by what the file does instead. */
function reasonOf(
  { step, stage, argument }: Executed,
  file: ParsedDockerfile,
  executed: readonly Executed[],
): string {
  const here = executed.filter((one) => isWithin(one.stage, stage));
  if (argument === "in force") {
    const line = here.findLast((one) => one.step.line < step.line && declares(one.step))?.step.line;
    return line === undefined
      ? `${COMMIT_ARG} is declared, no RUN stands between`
      : `${COMMIT_ARG} is declared at line ${line}, no RUN stands between`;
  }
  if (argument === "hidden") {
    const line = here.findLast((one) => one.step.keyword === "ENV" && sets(one.step))?.step.line;
    return `ENV ${COMMIT_ARG}${line === undefined ? "" : ` at line ${line}`} hides the build argument`;
  }
  const late = here.find((one) => one.stage === stage && declares(one.step) && one.step.line > step.line);
  if (late) return `ARG ${COMMIT_ARG} comes only after it, at line ${late.step.line}`;
  const other = file.stages.find(({ steps }) => steps.some(declares));
  if (other)
    return `ARG ${COMMIT_ARG} is declared in ${labelOf({ name: other.name || `stage-${other.index}` })} only, and each stage needs its own`;
  const global = file.globals.find(declares);
  return global
    ? `ARG ${COMMIT_ARG} at line ${global.line}, before the first FROM, does not reach into a stage`
    : `ARG ${COMMIT_ARG} is not declared`;
}

function declares(step: Step): boolean {
  const inner = step.trigger ?? step;
  return inner.keyword === "ARG" && assignments(inner.text, "ARG").some(({ name }) => name === COMMIT_ARG);
}

function sets(step: Step): boolean {
  return assignments(step.text, "ENV").some(({ name }) => name === COMMIT_ARG);
}

function isWithin(ancestor: StageState, stage: StageState): boolean {
  for (let at: StageState | undefined = stage; at; at = at.parent) if (at === ancestor) return true;
  return false;
}

/** Lines for the Dockerfile that make the commit reach a step. */
function linesFor(one: Executed, commitFile: string): string[] {
  if (one.stage.image === "scratch")
    return [
      `# in a stage that has a shell, since scratch has none`,
      ...commitLines(commitFile, one.argument),
    ];
  return commitLines(commitFile, one.argument);
}

function commitLines(commitFile: string, argument: Executed["argument"]): string[] {
  // A test that expands the argument is enough to run the next steps again.
  if (commitFile === "") {
    const test = `RUN test -n "$${COMMIT_ARG}"`;
    return argument === "in force" ? [test] : [`ARG ${COMMIT_ARG}`, test];
  }
  const folder = posix.dirname(commitFile);
  const make = folder === "/" ? "" : `mkdir -p ${folder} && `;
  const run = `RUN test -n "$${COMMIT_ARG}" && ${make}printf '%s' "$${COMMIT_ARG}" > ${commitFile}`;
  return argument === "in force" ? [run] : [`ARG ${COMMIT_ARG}`, run];
}
