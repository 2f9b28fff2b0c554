import { posix } from "node:path";
import { textBefore } from "../../freshness/sure";
import { type Flow, flowsOf, type Script } from "./flow";
import { parseYaml, type Yaml } from "./yaml";

/** A step of a pipeline that runs an action. */
export interface ActionStep {
  readonly path: string;
  readonly line: number;
  /** Without its version, in lower case. */
  readonly action: string;
  readonly inputs: Yaml;
  /** Whether its machine is deleted after the job. */
  readonly isHosted: boolean;
  /** Whether the workflow only checks, because it runs only for pull requests. */
  readonly isCheck: boolean;
  /** The text of the job's other steps, which shows what is built before. */
  readonly before: string;
  /** The same of the steps behind it, which shows what is deployed. */
  readonly after: string;
}

export const isWorkflow = (path: string) =>
  /(^|\/)\.(github|gitea|forgejo)\/workflows\/[^/]+\.ya?ml$/.test(path);
const isAction = (path: string) => /(^|\/)action\.ya?ml$/.test(path);
const isGitlab = (path: string) =>
  /(^|\/)\.gitlab-ci([.-][\w.-]+)?\.ya?ml$|(^|\/)\.?gitlab(-ci)?\/.*\.ya?ml$/.test(path);
const isMakefile = (path: string) => /(^|\/)((GNU)?[Mm]akefile([.-]\w+)?|[^/]+\.mk)$/.test(path);
const isJustfile = (path: string) => /(^|\/)(\.?[Jj]ustfile|[^/]+\.just)$/.test(path);
const isTaskfile = (path: string) => /(^|\/)[Tt]askfile([.-][\w.-]+)?\.ya?ml$/.test(path);
const isOtherCi = (path: string) =>
  /(^|\/)(\.circleci\/[\w.-]+|bitbucket-pipelines|\.?azure-pipelines[\w.-]*|\.drone|\.woodpecker(\/[\w.-]+)?|\.travis|cloudbuild[\w.-]*|buildspec[\w.-]*|\.semaphore\/[\w.-]+|\.buildkite\/[\w.-]+|appveyor|\.appveyor|codefresh|\.cirrus)\.ya?ml$/.test(
    path,
  ) || /(^|\/)(\.azure|\.?azure-?pipelines)\/.*\.ya?ml$/.test(path);
const isJenkins = (path: string) => /(^|\/)(Jenkinsfile[\w.-]*|[\w.-]+\.jenkinsfile)$/i.test(path);
const isCrontab = (path: string) =>
  /(^|\/)(crontab(\.\w+)?|cron\.d\/[\w.-]+|[\w.-]+\.cron(tab)?)$/.test(path);
const isUnit = (path: string) => /\.service$/.test(path);
const isProcfile = (path: string) => /(^|\/)Procfile(\.\w+)?$/.test(path);
const isPackage = (path: string) => /(^|\/)package\.json$/.test(path);
const isWindowsScript = (path: string) => /\.(ps1|bat|cmd)$/i.test(path);
const isFabric = (path: string) => /(^|\/)(fabfile|tasks|deploy)\.py$/.test(path);
const isMise = (path: string) => /(^|\/)\.?mise(\.\w+)?\.toml$/.test(path);
const isShell = (path: string, text = "") =>
  /\.(sh|bash|zsh)$/.test(path) || /^#!\s*\S*(\/env\s+(-S\s+)?)?(\/|\b)(ba|da|z|k)?sh\b/.test(text);

/** Whether a file defines commands to run. */
export function isPipeline(path: string, beginning = ""): boolean {
  return (
    isWorkflow(path) ||
    isAction(path) ||
    isGitlab(path) ||
    isMakefile(path) ||
    isJustfile(path) ||
    isTaskfile(path) ||
    isOtherCi(path) ||
    isJenkins(path) ||
    isUnit(path) ||
    isCrontab(path) ||
    isProcfile(path) ||
    isPackage(path) ||
    isWindowsScript(path) ||
    isFabric(path) ||
    isMise(path) ||
    isShell(path, beginning)
  );
}

/** The commands that a file runs: a shell script, the jobs of a workflow, the recipes of a Makefile. */
export function flowsIn(path: string, text: string): Flow[] {
  if (isWorkflow(path)) return workflowFlows(path, text);
  if (isAction(path)) return compositeFlows(path, text);
  if (isGitlab(path)) return gitlabFlows(path, text);
  if (isTaskfile(path)) return taskFlows(path, text);
  if (isOtherCi(path)) return otherFlows(path, text);
  if (isMakefile(path)) return makeFlows(path, text);
  if (isJustfile(path)) return justFlows(path, text);
  if (isJenkins(path)) return jenkinsFlows(path, text);
  if (isUnit(path)) return unitFlows(path, text);
  if (isCrontab(path)) return cronFlows(path, text);
  if (isPackage(path)) return packageFlows(path, text);
  if (isProcfile(path)) return [];
  if (isWindowsScript(path)) return windowsFlows(path, text);
  if (isFabric(path)) return fabricFlows(path, text);
  if (isMise(path)) return miseFlows(path, text);
  if (isAnsible(path, text)) return ansibleFlows(path, text);
  if (!isShell(path, text)) return [];
  const first = textBefore(text, "\n");
  const stops = /^#!.*\s-[a-zA-Z]*e/.test(first);
  return flowsOf(path, posix.basename(path), [{ text, line: 1, stops }]);
}

/** Labels of machines that are created for one job. */
const HOSTED =
  /^(ubuntu|windows|macos|macOS)-|-(latest|\d\d\.04)(-|$)|^(blacksmith|depot|namespace|warp|ubicloud|buildjet)-?/;

function isHostedJob(job: Yaml): boolean {
  const runner = job.at("runs-on");
  const labels = [
    runner.text,
    ...runner.items.map(({ text }) => text),
    runner.at("labels").text,
    ...runner.at("labels").items.map(({ text }) => text),
  ].filter((label) => label !== undefined);
  if (labels.some((label) => /self-hosted/i.test(label))) return false;
  // In almost all repositories, a label from a matrix is one of GitHub's.
  return labels.length === 0 || labels.some((label) => HOSTED.test(label) || label.includes("${{"));
}

function jobsOf(text: string): { name: string; job: Yaml; isHosted: boolean; steps: readonly Yaml[] }[] {
  return parseYaml(text).flatMap((document) =>
    document.at("jobs").entries.map(({ key, value }) => ({
      name: key,
      job: value,
      isHosted: isHostedJob(value),
      steps: value.at("steps").items,
    })),
  );
}

/** Whether a workflow runs only for pull requests. */
function isCheckOnly(text: string): boolean {
  const on = parseYaml(text)[0]?.at("on");
  const events =
    on === undefined
      ? []
      : [on.text, ...on.items.map((item) => item.text), ...on.entries.map(({ key }) => key)];
  const named = events.filter((event) => event !== undefined);
  return (
    named.length > 0 &&
    named.every((event) => /^(pull_request|merge_group|workflow_dispatch)$/.test(event)) &&
    named.includes("pull_request")
  );
}

/** The steps of a workflow's jobs, or of a composite action, that run actions. */
export function actionSteps(path: string, text: string): ActionStep[] {
  if (!isWorkflow(path) && !isAction(path)) return [];
  const isCheck = isWorkflow(path) && isCheckOnly(text);
  const jobs = isAction(path)
    ? parseYaml(text).map((document) => ({ isHosted: true, steps: document.at("runs", "steps").items }))
    : jobsOf(text);
  return jobs.flatMap(({ isHosted, steps }) =>
    steps.flatMap((step, at): ActionStep[] => {
      const uses = step.at("uses");
      if (uses.text === undefined) return [];
      const textOf = (some: readonly Yaml[]) =>
        some.map((each) => `${each.at("run").text ?? ""}\n${each.at("uses").text ?? ""}`).join("\n");
      const before = textOf(steps.slice(0, at));
      const after = textOf(steps.slice(at + 1));
      const action = textBefore(uses.text, "@").toLowerCase();
      return [{ path, line: uses.line, action, inputs: step.at("with"), isHosted, isCheck, before, after }];
    }),
  );
}

function workflowFlows(path: string, text: string): Flow[] {
  const [document] = parseYaml(text);
  const name = document?.at("name").text ?? posix.basename(path);
  const isCheck = isCheckOnly(text);
  const outer = environmentOf(document);
  return jobsOf(text).flatMap(({ job, isHosted, steps }) => {
    const shell = job.at("defaults", "run", "shell").text ?? document?.at("defaults", "run", "shell").text;
    const variables = new Map([...outer, ...environmentOf(job)]);
    const scripts = stepScripts(steps, { isHosted, variables, shell: shell ?? "bash -e {0}" });
    return flowsOf(path, name, scripts).map((flow) => ({ ...flow, isCheck }));
  });
}

function compositeFlows(path: string, text: string): Flow[] {
  return parseYaml(text).flatMap((document) => {
    const around = { isHosted: true, variables: new Map<string, string>(), shell: "bash -e {0}" };
    const scripts = stepScripts(document.at("runs", "steps").items, around);
    return flowsOf(path, document.at("name").text ?? posix.basename(path), scripts);
  });
}

function environmentOf(node: Yaml | undefined): Map<string, string> {
  return new Map(
    (node?.at("env").variables ?? []).flatMap(({ name, value }): [string, string][] =>
      value === undefined || value.includes("$") ? [] : [[name, value]],
    ),
  );
}

function stepScripts(
  steps: readonly Yaml[],
  around: { isHosted: boolean; variables: ReadonlyMap<string, string>; shell: string },
): Script[] {
  return steps.flatMap((step): Script[] => {
    const isIgnored = step.at("continue-on-error").text === "true";
    const ignored = isIgnored ? { ignoredBy: "continue-on-error: true" } : {};
    const run = step.at("run");
    // GitHub's default shell is bash -e. A shell given as a command line sets its own options.
    const shell = step.at("shell").text ?? around.shell;
    const stops = !shell.includes("{0}") || /\s-\w*e/.test(shell);
    const pipefail = /^bash$/.test(shell) || /pipefail/.test(shell);
    const { isHosted } = around;
    const variables = new Map([...around.variables, ...environmentOf(step)]);
    if (run.text !== undefined)
      return [
        { text: masked(run.text), line: run.textLine, stops, pipefail, isHosted, variables, ...ignored },
      ];
    const uses = step.at("uses").text ?? "";
    const remote = ["script", "command", "run", "remote_script", "remoteScript"]
      .map((key) => step.at("with", key))
      .find(({ text }) => text !== undefined);
    if (!/ssh|remote|deploy/i.test(uses) || remote?.text === undefined) return [];
    const remoteStops = step.at("with", "script_stop").text === "true";
    return [{ text: masked(remote.text), line: remote.textLine, stops: remoteStops, ...ignored }];
  });
}

/** `${{ … }}` is replaced before the shell runs. */
function masked(script: string): string {
  return script.replace(/\$\{\{([^}]*)\}\}/g, (_, expression: string) => {
    if (/ARG|OPT|FLAG/i.test(expression)) return "$ARGS";
    return /sha|commit|rev|run_(id|number)/i.test(expression) ? "$COMMIT_SHA" : "_";
  });
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
  return parseYaml(text).flatMap((document) => {
    const variables = new Map(
      document
        .at("variables")
        .variables.flatMap(({ name, value }): [string, string][] =>
          value === undefined ? [] : [[name, value]],
        ),
    );
    return document.entries
      .filter(({ key }) => !GITLAB_KEYS.has(key))
      .flatMap(({ key, value }) => {
        const job = extended(document, value, 0);
        const before = job.at("before_script").isEmpty
          ? [document.at("default", "before_script"), document.at("before_script")]
          : [job.at("before_script")];
        const services = [...job.at("services").items, ...document.at("services").items];
        // With a separate engine for each job, no layers are kept.
        const isHosted =
          /dind/.test(services.map((item) => item.text ?? item.at("name").text ?? "").join()) ||
          /kaniko|buildah/.test(job.at("image").text ?? job.at("image", "name").text ?? "");
        const scripts = scriptsOf([...before, job.at("script"), job.at("after_script")], {
          isHosted,
          variables,
        });
        return flowsOf(path, key, scripts);
      });
  });
}

/** A job merged with its `extends`. */
function extended(document: Yaml, job: Yaml, depth: number): Yaml {
  const parent = job.at("extends").list[0]?.text;
  if (parent === undefined || depth > 5) return job;
  return job.over(extended(document, document.at(parent), depth + 1));
}

function scriptsOf(
  nodes: readonly Yaml[],
  { isHosted, variables }: { isHosted: boolean; variables?: ReadonlyMap<string, string> },
): Script[] {
  return nodes
    .flatMap(({ list }) => list.flatMap((item) => (item.items.length > 0 ? item.items : [item])))
    .flatMap((item) =>
      item.text === undefined
        ? []
        : [
            {
              text: masked(item.text),
              line: item.textLine,
              stops: true,
              isHosted,
              ...(variables && { variables }),
            },
          ],
    );
}

/** Keys for commands in the other systems. */
const COMMANDS = new Set([
  "script",
  "commands",
  "command",
  "run",
  "bash",
  "inlineScript",
  "build",
  "pre_build",
  "post_build",
  "install",
  "deploy",
  "after_success",
  "inline",
]);

/** CircleCI, Bitbucket, Azure, Drone, Woodpecker and similar systems: all commands of a job, in order. */
function otherFlows(path: string, text: string): Flow[] {
  // Of these, usually only Drone, Woodpecker and Buildkite run on self-hosted machines.
  const isHosted = !/drone|woodpecker|buildkite|semaphore/.test(path);
  return parseYaml(text).flatMap((document) => {
    const jobs = ["jobs", "pipelines", "steps", "phases", "pipeline", "stages"]
      .flatMap((key) => document.at(key).entries.map(({ key: name, value }) => ({ name, value })))
      .filter(({ value }) => value.entries.length > 0 || value.items.length > 0);
    const parts = jobs.length > 0 ? jobs : [{ name: posix.basename(path), value: document }];
    return parts.flatMap(({ name, value }) => {
      const pool = document.at("pool");
      const isOwn = pool.text !== undefined || pool.at("name").text !== undefined;
      const scripts: Script[] = [];
      collect(value, isHosted && !isOwn, scripts, 0, new Set());
      return flowsOf(path, name, scripts);
    });
  });
}

function collect(node: Yaml, isHosted: boolean, scripts: Script[], depth: number, seen: Set<Yaml>): void {
  if (depth > 12 || seen.has(node)) return;
  seen.add(node);
  for (const item of node.items) collect(item, isHosted, scripts, depth + 1, seen);
  const listed = argumentsOf(node);
  if (listed) scripts.push({ text: masked(listed.text), line: listed.line, stops: true, isHosted });
  for (const { key, value } of node.entries) {
    if (COMMANDS.has(key) && (value.text !== undefined || value.items.some(({ text }) => text !== undefined)))
      scripts.push(
        ...value.list.flatMap((item): Script[] =>
          item.text === undefined
            ? []
            : [{ text: masked(item.text), line: item.textLine, stops: true, isHosted }],
        ),
      );
    else collect(value, isHosted, scripts, depth + 1, seen);
  }
}

/** A step that names a program's image or task and the arguments: Cloud Build, Azure's Docker task. */
function argumentsOf(step: Yaml): { text: string; line: number } | undefined {
  const name = step.at("name").text ?? "";
  const args = step.at("args");
  const words = args.items.map(({ text = "" }) =>
    /[\s;&|]/.test(text) ? `'${text.replaceAll("'", "")}'` : text,
  );
  if (words.length > 0 && step.at("entrypoint").isEmpty) {
    if (/cloud-builders\/docker|^docker(:|$)/.test(name))
      return { text: `docker ${words.join(" ")}`, line: args.line };
    if (/kaniko/.test(name)) return { text: `executor ${words.join(" ")}`, line: args.line };
  }
  const inputs = step.at("inputs");
  const given = inputs.at("arguments");
  if (
    /^Docker@/.test(step.at("task").text ?? "") &&
    given.text !== undefined &&
    /^build/i.test(inputs.at("command").text ?? "")
  )
    return { text: `docker build ${given.text} .`, line: given.line };
  return undefined;
}

function taskFlows(path: string, text: string): Flow[] {
  return parseYaml(text).flatMap((document) => {
    const variables = new Map(
      document
        .at("vars")
        .variables.flatMap(({ name, value }): [string, string][] =>
          value === undefined ? [] : [[name, value]],
        ),
    );
    return document.at("tasks").entries.flatMap(({ key, value }) => {
      const commands = [value.at("cmds"), value.at("cmd"), ...(value.text !== undefined ? [value] : [])];
      const listed = value.items.length > 0 ? value.items : commands.flatMap(({ list }) => list);
      const scripts = listed.flatMap((item): Script[] => {
        const command = item.text === undefined ? item.at("cmd") : item;
        if (command.text === undefined) return [];
        const isIgnored = item.at("ignore_error").text === "true" || value.at("ignore_error").text === "true";
        return [
          {
            text: command.text.replace(/\{\{-?\s*\.?([\w.]*)[^}]*\}\}/g, "$$$1"),
            line: command.textLine,
            stops: true,
            variables,
            ...(isIgnored && { ignoredBy: "ignore_error: true" }),
          },
        ];
      });
      return flowsOf(path, key, scripts);
    });
  });
}

/** The scripts of package.json, one flow each. */
function packageFlows(path: string, text: string): Flow[] {
  const scripts = parseYaml(text)[0]?.at("scripts").entries ?? [];
  return scripts.flatMap(({ key, line, value }) => {
    // A script without any of these commands has nothing to judge.
    if (value.text === undefined || !/docker|podman|compose|git |ssh|rsync/.test(value.text)) return [];
    return flowsOf(path, key, [{ text: value.text, line, stops: false }]);
  });
}

/** Each line of a recipe runs in its own shell. Its failure ends make, unless it starts with `-`. */
function makeFlows(path: string, text: string): Flow[] {
  const recipes: { name: string; scripts: Script[] }[] = [];
  const variables = new Map<string, string>();
  const lines = text.split("\n");
  let at = 0;
  for (let line = lines[at]; line !== undefined; line = lines[++at]) {
    const [, name, value] = /^(?:export\s+)?([A-Za-z_]\w*)\s*(?::{1,3}|\?|\+)?=\s*(.*)$/.exec(line) ?? [];
    if (name !== undefined && value !== undefined) variables.set(name, makeText(value).trim());
    const target = /^([^\s#:=][^:=]*):(?!=)/.exec(line)?.[1];
    if (target !== undefined) recipes.push({ name: target.trim(), scripts: [] });
    const recipe = recipes.at(-1);
    if (!line.startsWith("\t") || !recipe) continue;
    const start = at;
    const joined = [line.slice(1)];
    for (
      let next = lines[at + 1];
      joined.at(-1)?.endsWith("\\") && next !== undefined;
      next = lines[at + 1]
    ) {
      joined.push(next.replace(/^\t/, ""));
      at++;
    }
    const [, marks = "", script = ""] = /^\s*([@+-]*)([\s\S]*)$/.exec(joined.join("\n")) ?? [];
    recipe.scripts.push({
      text: makeText(script),
      line: start + 1,
      stops: true,
      variables,
      ...(marks.includes("-") && { ignoredBy: '"-" before the line' }),
    });
  }
  return recipes.flatMap(({ name, scripts }) => flowsOf(path, name, scripts));
}

/** A recipe as its shell receives it. `$(shell …)` is a command's output. */
function makeText(script: string): string {
  return script
    .replace(/\$\$/g, "\uE002")
    .replace(/\$[({]shell\s/g, "\uE002(")
    .replace(/\$[({]([\w.-]*)[)}]/g, "${$1}")
    .replaceAll("\uE002", "$");
}

/** Each line of a recipe runs in its own shell. A recipe that starts with `#!` is a script. */
function justFlows(path: string, text: string): Flow[] {
  const recipes: { name: string; scripts: Script[] }[] = [];
  const variables = new Map<string, string>();
  const lines = text.split("\n");
  lines.forEach((line, at) => {
    const [, name, value] = /^(?:export\s+)?([A-Za-z_][\w-]*)\s*:=\s*["'`]?(.*?)["'`]?\s*$/.exec(line) ?? [];
    if (name !== undefined && value !== undefined) {
      variables.set(name, value);
      return;
    }
    const recipe = /^@?([A-Za-z_][\w-]*)(\s[^:]*)?:(?!=)/.exec(line)?.[1];
    if (recipe !== undefined) {
      recipes.push({ name: recipe, scripts: [] });
      return;
    }
    const own = recipes.at(-1);
    if (!own || !/^\s+\S/.test(line)) return;
    const filled = line
      .trim()
      .replace(/\{\{\s*([\w-]+)\s*\}\}/g, (_, inner: string) => variables.get(inner) ?? `$${inner}`);
    const script = own.scripts.at(-1);
    if (script?.text.startsWith("#!")) {
      own.scripts[own.scripts.length - 1] = { ...script, text: `${script.text}\n${filled}` };
      return;
    }
    const [, marks = "", command = ""] = /^([@-]*)(.*)$/.exec(filled) ?? [];
    own.scripts.push({
      text: command,
      line: at + 1,
      stops: !command.startsWith("#!"),
      variables,
      ...(marks.includes("-") && { ignoredBy: '"-" before the line' }),
    });
  });
  return recipes.flatMap(({ name, scripts }) => flowsOf(path, name, scripts));
}

/** The `sh` steps of a Jenkinsfile, in order. Its agents are usually self-hosted. */
function jenkinsFlows(path: string, text: string): Flow[] {
  const steps = /\b(?:sh|bash)\b\s*\(?\s*(?:script\s*:\s*)?("""|'''|"|')/g;
  const scripts: Script[] = [];
  for (let found = steps.exec(text); found; found = steps.exec(text)) {
    const [opening, quote] = found;
    if (quote === undefined) break;
    const start = found.index + opening.length;
    const end = text.indexOf(quote, start);
    if (end < 0) break;
    const shell = text.slice(start, end).replace(/\$\{?env\.(\w+)\}?/g, "$$$1");
    scripts.push({ text: shell, line: text.slice(0, start).split("\n").length, stops: true });
    steps.lastIndex = end + quote.length;
  }
  for (const match of text.matchAll(/\bdocker\.build\s*\(\s*["']([^"'\n]*)["']\s*,\s*["']([^"'\n]*)["']/g))
    scripts.push({
      text: `docker build -t ${match[1]} ${match[2]}`.replace(/\$\{?env\.(\w+)\}?/g, "$$$1"),
      line: text.slice(0, match.index).split("\n").length,
      stops: true,
    });
  return flowsOf(path, posix.basename(path), scripts);
}

/** The commands of a systemd unit. A `-` prefix ignores a failure. */
function unitFlows(path: string, text: string): Flow[] {
  const scripts = text
    .replace(/\\\n/g, "  ")
    .split("\n")
    .flatMap((line, at): Script[] => {
      const [, marks, command] =
        /^\s*Exec(?:StartPre|Start|StartPost|Reload)\s*=\s*([-@:+!]*)(.*)$/.exec(line) ?? [];
      if (command === undefined) return [];
      return [
        {
          text: command,
          line: at + 1,
          stops: true,
          ...(marks?.includes("-") && { ignoredBy: '"-" before the command' }),
        },
      ];
    });
  return flowsOf(path, posix.basename(path), scripts);
}

/** The commands of a crontab, one flow a line. Files in cron.d name a user before the command. */
function cronFlows(path: string, text: string): Flow[] {
  const isSystem = /(^|\/)cron\.d\//.test(path);
  const fields = `(?:@\\w+|(?:[\\w*,/-]+\\s+){4}[\\w*,/-]+)\\s+${isSystem ? "\\S+\\s+" : ""}`;
  const row = new RegExp(`^\\s*${fields}(\\S.*)$`);
  return text.split("\n").flatMap((line, at): Flow[] => {
    const command = line.length > 2000 ? undefined : row.exec(line)?.[1];
    return command === undefined
      ? []
      : flowsOf(path, posix.basename(path), [{ text: command, line: at + 1, stops: false }]);
  });
}

/** Whether a file contains Ansible tasks. */
function isAnsible(path: string, text: string): boolean {
  return (
    /\.ya?ml$/.test(path) &&
    /^[ \t]*-?[ \t]*(hosts|tasks|become|ansible\.builtin\.\w+|community\.(docker|general)\.\w+|docker_\w+|shell|command|git|systemd):/m.test(
      text,
    ) &&
    (/(^|\/)(ansible|playbooks?|roles|tasks|handlers)(\/|$)/.test(path) ||
      /^[ \t]*-?[ \t]*(hosts|ansible\.builtin\.\w+|community\.docker\.\w+):/m.test(text))
  );
}

/** The tasks of a play. Converts modules of git and docker to the equivalent commands. */
function ansibleFlows(path: string, text: string): Flow[] {
  const plays = parseYaml(text).flatMap(({ items }) => items);
  const tasks = plays.flatMap((play) => {
    const inner = ["pre_tasks", "tasks", "post_tasks", "block"].flatMap((key) => play.at(key).items);
    return inner.length > 0
      ? inner.flatMap((task) => (task.at("block").items.length > 0 ? task.at("block").items : [task]))
      : [play];
  });
  const scripts = tasks.flatMap((task): Script[] => {
    const isIgnored =
      /^(true|yes)$/i.test(task.at("ignore_errors").text ?? "") || task.at("failed_when").text === "false";
    return task.entries.flatMap(({ key, line, value }): Script[] => {
      const name = key.slice(key.lastIndexOf(".") + 1);
      const command = ansibleCommand(name, value);
      if (command === undefined) return [];
      return [
        {
          text: command.replace(/\{\{[^}]*\}\}/g, "_"),
          line: value.text === undefined ? line : value.textLine,
          stops: true,
          ...(isIgnored && { ignoredBy: "ignore_errors: true" }),
        },
      ];
    });
  });
  return flowsOf(path, posix.basename(path), scripts);
}

function ansibleCommand(module: string, value: Yaml): string | undefined {
  const text = (key: string) => value.at(key).text;
  const isOn = (key: string) => /^(true|yes|always|1)$/i.test(text(key) ?? "");
  if (/^(shell|command|raw)$/.test(module)) return value.text ?? text("cmd");
  if (module === "git") return "git pull";
  if (/^docker_compose(_v2)?$/.test(module)) {
    if (text("state") === "absent") return undefined;
    if (text("state") === "restarted" || isOn("restarted")) return "docker compose restart";
    const flags = [
      ...(/^(always|yes|true)$/i.test(text("build") ?? "") ? ["--build"] : []),
      ...(/^(always|yes|true)$/i.test(text("pull") ?? "") ? ["--pull always"] : []),
      ...(text("recreate") === "never" ? ["--no-recreate"] : []),
    ];
    const files = value
      .at("files")
      .list.flatMap((item) => (item.text === undefined ? [] : [`-f ${item.text}`]));
    return ["docker compose", ...files, "up -d", ...flags].join(" ");
  }
  if (module === "docker_compose_v2_pull") return "docker compose pull";
  if (module === "docker_container" && text("image") !== undefined && text("state") !== "absent")
    return `docker run -d ${isOn("pull") ? "--pull always " : ""}${text("image")}`;
  if (module === "docker_image_pull") return `docker pull ${text("name") ?? ""}`;
  if (module === "docker_image" && text("source") === "pull")
    return isOn("force_source") ? `docker pull ${text("name") ?? ""}` : undefined;
  if (module === "docker_image" && text("source") === "build")
    return `docker build -t ${text("name") ?? "x"} ${value.at("build").at("path").text ?? "."}`;
  return undefined;
}

/** A script of PowerShell or of cmd, as far as it starts programs line by line. */
function windowsFlows(path: string, text: string): Flow[] {
  const stops = /ErrorActionPreference\s*=\s*["']?Stop[\s\S]*PSNativeCommandUseErrorActionPreference/i.test(
    text,
  );
  const plain = text.replace(/^[ \t]*(::|@?rem\b|@?echo off)[^\n]*/gim, "").replaceAll("\r", "");
  // Blocks and quotes that a shell does not have.
  const commands = plain
    .split("\n")
    .map((line) =>
      /^\s*@?&?\s*(git|docker|docker-compose|ssh|podman)\b|LASTEXITCODE|ERRORLEVEL/i.test(line)
        ? line.replace(/^\s*[@&]\s*/, "")
        : "",
    );
  return flowsOf(path, posix.basename(path), [{ text: commands.join("\n"), line: 1, stops }]);
}

/** The commands of a Fabric or Invoke task. A command that fails ends it. */
function fabricFlows(path: string, text: string): Flow[] {
  if (!/\b(fabric|invoke|Connection|run|local)\b/.test(text)) return [];
  const scripts = [...text.matchAll(/\b(?:run|sudo|local)\(\s*f?(["'])([^"'\n]*)\1/g)].map(
    (match): Script => ({
      text: (match[2] ?? "").replace(/\{[^}]*\}/g, "_"),
      line: text.slice(0, match.index).split("\n").length,
      stops: true,
    }),
  );
  return flowsOf(path, posix.basename(path), scripts);
}

function miseFlows(path: string, text: string): Flow[] {
  return [...text.matchAll(/^\[tasks\.["']?([\w:-]+)["']?\]([\s\S]*?)(?=^\[|(?![\s\S]))/gm)].flatMap(
    (match) => {
      const [, name = "", body = ""] = match;
      const run = /^run\s*=\s*(\[[^\]]*\]|"""[\s\S]*?"""|'''[\s\S]*?'''|"[^"\n]*"|'[^'\n]*')/m.exec(body);
      if (!run) return [];
      const line = text.slice(0, match.index + match[0].indexOf(run[0])).split("\n").length;
      const written = run[1] ?? "";
      const commands = written.startsWith("[")
        ? [...written.matchAll(/"([^"\n]*)"|'([^'\n]*)'/g)].map((one) => one[1] ?? one[2] ?? "")
        : [written.replace(/^("""|'''|["'])|("""|'''|["'])$/g, "")];
      return flowsOf(
        path,
        name,
        commands.map((command): Script => ({ text: command, line, stops: true })),
      );
    },
  );
}
