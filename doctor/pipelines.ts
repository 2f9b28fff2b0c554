import { posix } from "node:path";
import { type Flow, flowsOf, type Script } from "./flow";
import { parseYaml, type Yaml } from "./yaml";

/** A step of a GitHub workflow that runs an action. */
export interface ActionStep {
  readonly path: string;
  readonly line: number;
  /** Without its version. */
  readonly action: string;
  readonly inputs: Yaml;
}

export const isWorkflow = (path: string) => /(^|\/)\.github\/workflows\/[^/]+\.ya?ml$/.test(path);
export const isGitlab = (path: string) => /(^|\/)\.gitlab-ci(\.[\w-]+)?\.ya?ml$/.test(path);
export const isMakefile = (path: string) => /(^|\/)((GNU)?[Mm]akefile|[^/]+\.mk)$/.test(path);
export const isShell = (path: string, text = "") =>
  /\.(sh|bash)$/.test(path) || /^#!\s*\S*(\/env\s+(-S\s+)?)?(\/|\b)(ba|da|z|k)?sh\b/.test(text);

/** What a file runs: a shell script, the jobs of a workflow, the recipes of a Makefile. */
export function flowsIn(path: string, text: string): Flow[] {
  if (isWorkflow(path)) return workflowFlows(path, text);
  if (isGitlab(path)) return gitlabFlows(path, text);
  if (isMakefile(path)) return makeFlows(path, text);
  if (!isShell(path, text)) return [];
  const first = text.split("\n", 1)[0]!;
  const stops = /^#!.*\s-[a-zA-Z]*e/.test(first);
  return flowsOf(path, posix.basename(path), [{ text, line: 1, stops }]);
}

/** The steps of a workflow's jobs that run actions. */
export function actionSteps(path: string, text: string): ActionStep[] {
  return jobsOf(text)
    .flatMap((job) => job.at("steps").items)
    .flatMap((step) => {
      const uses = step.at("uses");
      if (uses.text === undefined) return [];
      return [{ path, line: uses.line, action: uses.text.split("@")[0]!, inputs: step.at("with") }];
    });
}

function workflowFlows(path: string, text: string): Flow[] {
  const name = parseYaml(text)[0]?.at("name").text ?? posix.basename(path);
  return jobsOf(text).flatMap((job) => {
    const scripts = job.at("steps").items.flatMap((step): Script[] => {
      const isIgnored = step.at("continue-on-error").text === "true";
      const ignored = isIgnored ? { ignoredBy: "continue-on-error: true" } : {};
      const run = step.at("run");
      // GitHub's own shell is bash -e; one that is named by its command line is what that says.
      const shell = step.at("shell").text ?? job.at("defaults", "run", "shell").text ?? "bash -e {0}";
      const stops = !shell.includes("{0}") || /\s-\w*e/.test(shell);
      const pipefail = /^bash$/.test(shell) || /pipefail/.test(shell);
      if (run.text !== undefined)
        return [{ text: masked(run.text), line: run.textLine, stops, pipefail, ...ignored }];
      const remote = step.at("with", "script");
      if (!/ssh/i.test(step.at("uses").text ?? "") || remote.text === undefined) return [];
      const remoteStops = step.at("with", "script_stop").text === "true";
      return [{ text: masked(remote.text), line: remote.textLine, stops: remoteStops, ...ignored }];
    });
    return flowsOf(path, name, scripts);
  });
}

function jobsOf(text: string): Yaml[] {
  return parseYaml(text).flatMap((document) => document.at("jobs").entries.map(({ value }) => value));
}

/** `${{ … }}` is put in before a shell sees it. */
function masked(script: string): string {
  return script.replace(/\$\{\{[^}]*\}\}/g, (expression) =>
    /ARG|OPT|FLAG/i.test(expression) ? "$ARGS" : "_",
  );
}

const GITLAB_KEYS = new Set([
  "default",
  "variables",
  "stages",
  "include",
  "workflow",
  "image",
  "services",
  "cache",
]);

function gitlabFlows(path: string, text: string): Flow[] {
  return parseYaml(text).flatMap((document) =>
    document.entries
      .filter(({ key }) => !GITLAB_KEYS.has(key))
      .flatMap(({ key, value }) => {
        const before = value.at("before_script").isEmpty
          ? [document.at("default", "before_script"), document.at("before_script")]
          : [value.at("before_script")];
        const scripts = [...before, value.at("script"), value.at("after_script")]
          .flatMap(({ list }) => list.flatMap((item) => (item.items.length > 0 ? item.items : [item])))
          .flatMap((item) =>
            item.text === undefined ? [] : [{ text: item.text, line: item.textLine, stops: true }],
          );
        return flowsOf(path, key, scripts);
      }),
  );
}

/** A line of a recipe is a shell of its own, whose failure ends make, unless `-` stands before it. */
function makeFlows(path: string, text: string): Flow[] {
  const recipes: { name: string; scripts: Script[] }[] = [];
  const lines = text.split("\n");
  for (let at = 0; at < lines.length; at++) {
    const line = lines[at]!;
    const target = /^([^\s#:=][^:=]*):(?!=)/.exec(line)?.[1];
    if (target !== undefined) recipes.push({ name: target.trim(), scripts: [] });
    if (!line.startsWith("\t") || recipes.length === 0) continue;
    const start = at;
    const joined = [line.slice(1)];
    while (joined.at(-1)!.endsWith("\\") && at + 1 < lines.length)
      joined.push(lines[++at]!.replace(/^\t/, ""));
    const [, marks = "", script = ""] = /^\s*([@+-]*)([\s\S]*)$/.exec(joined.join("\n"))!;
    const shell = script
      .replace(/\$\$/g, "\uE002")
      .replace(/\$[({]([\w.-]*)[)}]/g, "$$$1")
      .replaceAll("\uE002", "$");
    recipes.at(-1)!.scripts.push({
      text: shell,
      line: start + 1,
      stops: true,
      ...(marks.includes("-") && { ignoredBy: '"-" before the line' }),
    });
  }
  return recipes.flatMap(({ name, scripts }) => flowsOf(path, name, scripts));
}
