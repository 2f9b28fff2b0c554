import { posix } from "node:path";
import { parseDockerfile } from "../../freshness/dockerfile/parse";
import type { Executed } from "../../freshness/dockerfile/state";
import { textBefore } from "../../freshness/sure";
import { type BakeTarget, bakeTargets, isBakeFile } from "./bake";
import {
  type Build,
  buildsAmong,
  type Callers,
  dockerfileOf,
  isDockerfile,
  isForeign,
  stepsOf,
  type Use,
  usesOf,
} from "./builds";
import { importFinding } from "./caches";
import { caddyFindings, isCaddyfile } from "./caddy";
import {
  isKamal,
  isKustomization,
  isManifest,
  isValues,
  kamalFindings,
  kustomizationFindings,
  manifestFindings,
  valuesFindings,
} from "./cluster";
import { type ComposeSurroundings, composeFileFindings, isDevelopment } from "./compose";
import {
  BASES,
  type ComposeService,
  composeServices,
  inRepository,
  isCompose,
  looksLikeCompose,
} from "./composeFile";
import { buildContext, type DockerCall, dockerCall, has, isBuild, passesCommit, valuesOf } from "./docker";
import { dockerfileFindings } from "./dockerfiles";
import { type Diagnosis, type Finding, inOrder } from "./finding";
import type { Flow } from "./flow";
import { frameworkFindings, isFrameworkFile } from "./frameworks";
import { guarded, LIMIT_MS } from "./guard";
import { hostingFindings, isHosting } from "./hosting";
import { type Ownership, ownershipOf } from "./images";
import { infrastructureFindings, isInfrastructure } from "./infrastructure";
import { compiler, isNextConfig, nextFindings } from "./next";
import { isNginx, nginxFindings } from "./nginx";
import { actionSteps, flowsIn, isPipeline, isWorkflow } from "./pipelines";
import { isFromSource, isProven, type Judged, proofNote } from "./proof";
import { angularFindings, isAngularWorker, isPluginConfig, pluginFindings } from "./pwa";
import { bytecodeFindings } from "./python";
import { filesBelow, type Repository, type Skipped } from "./repository";
import { isForDevelopment, isLeftOut, isTemplate } from "./scope";
import { isOtherFlow, scriptFindings } from "./scripts";
import { isServerSource, serverFindings } from "./servers";
import { SETTINGS_FILES } from "./settings";
import { isWorker, workerFindings } from "./worker";
import { actionFindings, otherCacheFindings } from "./workflows";

/** Whether a rule reads a file, by its name or its beginning. */
export function isExamined(path: string, beginning: string): boolean {
  return (
    isDockerfile(path) ||
    isBakeFile(path) ||
    isPipeline(path, beginning) ||
    isNextConfig(path) ||
    isPluginConfig(path) ||
    isAngularWorker(path) ||
    isWorker(path) ||
    isCaddyfile(path) ||
    isHosting(path) ||
    isServerSource(path) ||
    isFrameworkFile(path) ||
    isInfrastructure(path) ||
    /\.conf(\.template|\.tmpl)?$|(^|\/)sites-(available|enabled)\//.test(path) ||
    // Compose files with any name, Kubernetes manifests, Ansible plays.
    /\.ya?ml$/.test(path) ||
    SETTINGS_FILES.includes(path) ||
    /(^|\/)(package\.json|tsconfig\.json|\.dockerignore|[\w.-]+\.dockerignore)$/.test(path)
  );
}

/** The result for a repository. */
export interface Study {
  /** In the order of its files. */
  readonly findings: readonly Diagnosis[];
  /** Files that should have been judged but could not be. */
  readonly skipped: readonly Skipped[];
}

/** Which parts of a repository to judge. */
export interface StudyOptions {
  /** Whether to judge tests, fixtures and examples too. Default: no. */
  readonly all?: boolean;
}

/** Everything in a repository that can serve stale code. */
export function examine(repository: Repository, options: StudyOptions = {}): Diagnosis[] {
  return [...study(repository, options).findings];
}

/** Everything in a repository that can serve stale code, and what could not be judged. */
export function study(given: Repository, { all = false }: StudyOptions = {}): Study {
  const texts = new Map([...given.texts].filter(([path]) => all || !isLeftOut(path)));
  const repository: Repository = { ...given, texts };
  return new Reader(repository).run();
}

/** How many files share one time limit. */
const TOGETHER = 250;
/** Their time limit, in milliseconds. */
const TOGETHER_MS = 600;

class Reader {
  private readonly skipped: Skipped[];
  private readonly findings: Finding[] = [];
  /** Milliseconds that the rules have used for a file. */
  private readonly spent = new Map<string, number>();

  constructor(private readonly repository: Repository) {
    this.skipped = [...(repository.unread ?? [])].filter(({ path }) => !isLeftOut(path));
  }

  run(): Study {
    const { repository } = this;
    const pathOf = ([path]: readonly [string, string]) => path;
    // The time to load the compiler does not count for a file.
    if ([...repository.texts.keys()].some(isNextConfig)) compiler();
    const files = this.over([...repository.texts], pathOf, (file) => (isTemplate(...file) ? [] : [file]));
    const flows = withMachines(this.over(files, pathOf, ([path, text]) => flowsIn(path, text)));
    const steps = this.over(files, pathOf, ([path, text]) => actionSteps(path, text));
    const bakes = this.over(files, pathOf, ([path, text]) =>
      isBakeFile(path) ? bakeTargets(path, text) : [],
    );
    const calls = callsOf(flows);
    const named = new Set(calls.flatMap(({ flow, call }) => filesOf(repository, call, flow.path)));
    const services = this.over(files, pathOf, ([path, text]) =>
      isCompose(path) || named.has(path) || (/\.ya?ml$/.test(path) && looksLikeCompose(text))
        ? composeServices(path, text, repository.texts)
        : [],
    );
    const callers = this.callers(services, flows, steps, bakes, calls);
    const uses = usesOf(repository, callers, (items, task) => this.over(items, ({ path }) => path, task));
    const judged = this.judged(uses);
    const ownership = ownershipOf(
      [...uses.flatMap(({ tags }) => tags), ...pushed(calls)],
      repository.owners ?? [],
      uses.length > 0,
    );
    const proven = (dockerfile: string | undefined, target?: string) => {
      const found = judged.filter(
        ({ build }) => build.dockerfile === dockerfile && (target === undefined || build.target === target),
      );
      return found.length > 0 && found.every(isProven);
    };
    const around: ComposeSurroundings = {
      isPulled: (service) => isPulled(repository, service, services, calls),
      isBuilt: (image) => isBuiltLocally(image, uses),
      ownership,
      stepsOf: ({ build, image }) =>
        judged.find(({ build: one, uses: own }) =>
          build
            ? one.dockerfile === build.dockerfile && one.target === build.target
            : own.some(({ tags }) => image !== undefined && tags.includes(image.text)),
        )?.executed ?? [],
      isProven: ({ build }) => proven(build?.dockerfile, build?.target),
      isUncached: callers.isComposeUncached,
      filesBelow: (folder) => filesBelow(repository, folder),
      texts: repository.texts,
      siblingsOf: (service) => services.filter(({ path }) => path === service.path),
      isRenewed: (service) => isRenewed(repository, service, services, calls),
    };
    this.findings.push(
      ...this.over(
        judged.filter(
          ({ executed }) => executed.length > 0 && (!isForeign(executed) || isAppOfClone(executed)),
        ),
        ({ build }) => build.dockerfile,
        ({ build, executed, uses: own }) =>
          dockerfileFindings(repository, build, executed, {
            uses: own,
            ownership,
            isProven: proven(build.dockerfile, build.target),
            runBy: services
              .filter(
                (service) =>
                  service.build?.dockerfile === build.dockerfile &&
                  service.build.target === build.target &&
                  !isDevelopment(service),
              )
              .map((service) => ({
                place: `${service.path}:${service.line}`,
                isRenewed: around.isRenewed(service),
                mounted: service.volumes.map(({ target }) => posix.resolve("/", target)),
              })),
          }),
      ),
      ...this.over(
        services,
        ({ path }) => path,
        (service) => composeFileFindings(service, around),
      ),
    );
    const dockerfilesFor = (call: DockerCall, script: string) => {
      if (call.action.startsWith("compose"))
        return servicesFor(repository, services, call, script).flatMap(({ build }) =>
          build ? [build.dockerfile] : [],
        );
      const file = valuesOf(call.args, "-f", "--file")[0];
      return dockerfilesOf(script, buildContext(call.args), file)
        .filter((path) => repository.texts.has(path))
        .slice(0, 1);
    };
    const scripts = {
      servicesFor: (call: DockerCall, script: string) =>
        servicesFor(repository, services, call, script).filter((service) => !isForDevelopment(service.path)),
      builds: uses.length > 0,
      ownership,
      isProven: (call: DockerCall, script: string) => {
        const found = dockerfilesFor(call, script);
        return found.length > 0 && found.every((path) => proven(path));
      },
    };
    this.findings.push(
      ...this.over(
        flows,
        ({ path }) => path,
        (flow) => scriptFindings(flow, scripts),
      ),
    );
    for (const step of steps)
      this.add(step.path, () => {
        const own = dockerfilesOf(
          step.path,
          step.inputs.at("context").text ?? ".",
          step.inputs.at("file").text,
        );
        const found = own.filter((path) => repository.texts.has(path)).slice(0, 1);
        return actionFindings(step, found.length > 0 && found.every((path) => proven(path)));
      });
    // Who runs bake, and where, is unknown unless a script does.
    const isBakedHere = calls.some(({ call, command }) => call.action === "bake" && !command.isHosted);
    for (const target of bakes) this.add(target.path, () => bakeFindings(target, uses, proven, isBakedHere));
    const reaches = judged.some(
      ({ executed }) =>
        isFromSource(executed) && executed.every(({ brings, reruns }) => brings !== "context" || reruns),
    );
    const facts = {
      ownership,
      reaches,
      isOnlyApplied: this.whole("", () => isOnlyApplied(flows, steps)) ?? false,
    };
    this.findings.push(...this.over(files, pathOf, ([path, text]) => fileFindings(path, text, facts)));
    this.findings.push(...bytecodeFindings(repository));
    this.findings.push(...(this.whole("", () => proofNote(judged)) ?? []));
    return {
      findings: inOrder(this.findings.filter(({ path }) => !isLeftOutFinding(path, repository))),
      skipped: [...new Map(this.skipped.map((one) => [`${one.path}\0${one.why}`, one])).values()],
    };
  }

  private callers(
    services: readonly ComposeService[],
    flows: readonly Flow[],
    steps: Callers["steps"],
    bakes: Callers["bakes"],
    calls: readonly Called[],
  ): Callers {
    const composeBuilds = calls.filter(({ call }) => call.action.startsWith("compose") && isBuild(call));
    return {
      services: services.filter(({ path }) => !isForDevelopment(path)),
      flows: flows.filter((flow) => !isForDevelopment(flow.path)),
      steps,
      bakes,
      isComposeTold:
        composeBuilds.length > 0 &&
        composeBuilds.every(({ command, call }) => passesCommit(command, call.args)),
      isComposeUncached:
        composeBuilds.length > 0 && composeBuilds.every(({ call }) => has(call.args, "--no-cache")),
    };
  }

  private judged(uses: readonly Use[]): Judged[] {
    const { repository } = this;
    const builds = this.over(
      buildsAmong(uses),
      ({ dockerfile }) => dockerfile,
      (build) => [{ build, problems: problemsOf(repository, build), executed: stepsOf(repository, build) }],
    );
    return builds.flatMap(({ build, problems, executed }): Judged[] => {
      const [problem] = problems;
      if (problem) {
        this.skipped.push({
          path: build.dockerfile,
          why: `line ${problem.line}: ${problem.what.slice(0, 100)}`,
        });
        return [];
      }
      const own = uses.filter(
        ({ dockerfile, target }) => dockerfile === build.dockerfile && target === build.target,
      );
      return [{ build, executed, uses: own }];
    });
  }

  private add(path: string, rule: () => readonly Finding[]): void {
    this.findings.push(...this.each(path, rule));
  }

  private each<T>(path: string, task: () => readonly T[]): readonly T[] {
    return this.whole(path, task) ?? [];
  }

  /**
   * Applies a rule to many files. Runs them under one limit, because a separate limit for each takes longer than most
   * rules. If one takes too long or fails, judges each by itself.
   */
  private over<T, R>(items: readonly T[], pathOf: (item: T) => string, task: (item: T) => readonly R[]): R[] {
    const results: R[] = [];
    for (let at = 0; at < items.length; at += TOGETHER) {
      const some = items
        .slice(at, at + TOGETHER)
        .filter((item) => (this.spent.get(pathOf(item)) ?? 0) < LIMIT_MS);
      const outcome =
        some.length > 1 ? guarded(() => some.flatMap((item) => task(item)), TOGETHER_MS) : undefined;
      if (outcome && "value" in outcome) results.push(...outcome.value);
      else results.push(...some.flatMap((item) => this.each(pathOf(item), () => task(item))));
    }
    return results;
  }

  /** Applies a rule to a file. Lists a file that it cannot read. */
  private whole<T>(path: string, task: () => T): T | undefined {
    const left = LIMIT_MS - (this.spent.get(path) ?? 0);
    // A file that exceeded its limit is not judged by other rules.
    if (left <= 0) return undefined;
    const started = performance.now();
    const outcome = guarded(task, left);
    this.spent.set(path, LIMIT_MS - left + performance.now() - started);
    if ("value" in outcome) return outcome.value;
    this.spent.set(path, LIMIT_MS);
    this.skipped.push({ path: path === "" ? "." : path, why: outcome.problem });
    return undefined;
  }
}

interface Called {
  readonly flow: Flow;
  readonly at: number;
  readonly command: Flow["commands"][number];
  readonly call: DockerCall;
}

function callsOf(flows: readonly Flow[]): Called[] {
  return flows.flatMap((flow) =>
    flow.commands.flatMap((command, at): Called[] => {
      const call = dockerCall(command);
      return call ? [{ flow, at, command, call }] : [];
    }),
  );
}

/** Marks scripts as hosted if only jobs on hosted machines call them. */
function withMachines(flows: readonly Flow[]): Flow[] {
  const mentions = (flow: Flow, isHosted: boolean) =>
    flow.commands.filter((command) => command.isHosted === isHosted).map(({ words }) => words.join(" "));
  const hosted = flows.flatMap((flow) => mentions(flow, true)).join("\n");
  const others = flows.flatMap((flow) => mentions(flow, false)).join("\n");
  return flows.map((flow) => {
    const name = posix.basename(flow.path);
    const isScript = /\.(sh|bash)$/.test(name) || !name.includes(".");
    if (!isScript || name.length < 4 || !hosted.includes(name) || others.includes(name)) return flow;
    return { ...flow, commands: flow.commands.map((command) => ({ ...command, isHosted: true })) };
  });
}

/** The compose files that a call names. */
function filesOf(repository: Repository, call: DockerCall, script: string): string[] {
  const isStack = call.action === "stack deploy";
  if (!call.action.startsWith("compose") && !isStack) return [];
  const written = isStack
    ? valuesOf(call.args, "-c", "--compose-file")
    : valuesOf(call.before, "-f", "--file");
  return written.flatMap((file) => {
    const name = file.replace(/^.*\$\{?\w+\}?\//, "");
    return (
      ["", posix.dirname(script), posix.dirname(posix.dirname(script))]
        .map((base) => inRepository(posix.join(base, name)))
        .find((path) => path !== undefined && repository.texts.has(path)) ?? []
    );
  });
}

/** The services that a compose call affects. */
function servicesFor(
  repository: Repository,
  services: readonly ComposeService[],
  call: DockerCall,
  script: string,
): ComposeService[] {
  const named = filesOf(repository, call, script);
  if (named.length > 0) return services.filter(({ path }) => named.includes(path));
  // The file is not in the repository.
  if (valuesOf(call.before, "-f", "--file").length > 0) return [];
  const folders = [".", posix.dirname(script), posix.dirname(posix.dirname(script))];
  for (const folder of folders) {
    const found = services.filter(({ path }) => BASES.some((base) => path === posix.join(folder, base)));
    if (found.length > 0) return found;
  }
  return [];
}

/** Whether the command that starts a service pulls its image first. */
function isPulled(
  repository: Repository,
  service: ComposeService,
  services: readonly ComposeService[],
  calls: readonly Called[],
): boolean {
  const isWatched = services.some(({ image }) =>
    /watchtower|shepherd|ouroboros|diun/.test(image?.text ?? ""),
  );
  if (isWatched) return true;
  const own = calls.filter(({ flow }) => !isOtherFlow(flow) && !isLeftOut(flow.path));
  const image = service.image && textBefore(service.image.text, ":");
  const pulls = ({ call }: Called) =>
    call.action === "compose pull" ||
    (/^compose (up|create|run)$/.test(call.action) && valuesOf(call.args, "--pull").includes("always")) ||
    (/^(pull|image pull)$/.test(call.action) &&
      call.args.some((arg) => (image !== undefined && arg.includes(image)) || arg.includes("$")));
  const ups = upsOf(repository, service, services, own);
  // Swarm resolves a tag to its digest at the registry.
  const isFresh = (up: Called) =>
    (up.call.action === "stack deploy" && !valuesOf(up.call.args, "--resolve-image").includes("never")) ||
    own.some((one) => pulls(one) && one.flow.path === up.flow.path && one.at <= up.at);
  if (ups.length > 0) return ups.every(isFresh);
  return own.some(pulls);
}

/** The calls that start a service on a machine that stays. */
function upsOf(
  repository: Repository,
  service: ComposeService,
  services: readonly ComposeService[],
  calls: readonly Called[],
): Called[] {
  return calls.filter(({ call, flow, command }) => {
    if (command.isHosted || !/^(compose (up|create)|stack deploy)$/.test(call.action)) return false;
    return (
      servicesFor(repository, services, call, flow.path).includes(service) ||
      filesOf(repository, call, flow.path).includes(service.path)
    );
  });
}

/** Whether each script that starts a service gives it new anonymous volumes. */
function isRenewed(
  repository: Repository,
  service: ComposeService,
  services: readonly ComposeService[],
  calls: readonly Called[],
): boolean {
  const ups = upsOf(repository, service, services, calls);
  return (
    ups.length > 0 &&
    ups.every(
      ({ call, flow, at }) =>
        has(call.args, "-V", "--renew-anon-volumes") ||
        calls.some((one) => one.flow === flow && one.at < at && /^compose (down|rm)$/.test(one.call.action)),
    )
  );
}

/** Whether an image is built on the machine that runs it. */
function isBuiltLocally(image: string, uses: readonly Use[]): boolean {
  const untagged = (name: string) => name.replace(/:latest$/, "");
  return uses.some(({ tags, isHosted }) => !isHosted && tags.map(untagged).includes(untagged(image)));
}

function pushed(calls: readonly Called[]): string[] {
  return calls.flatMap(({ call }) => {
    if (/^(push|image push)$/.test(call.action)) return call.args.filter((arg) => !arg.startsWith("-"));
    if (/^(tag|image tag)$/.test(call.action)) return call.args.slice(1, 2);
    return [];
  });
}

/** Findings for a target's caches in a bake file. */
function bakeFindings(
  target: BakeTarget,
  uses: readonly Use[],
  proven: (dockerfile: string | undefined) => boolean,
  isKept: boolean,
): Finding[] {
  const from = target.values.get("cache-from");
  const to = target.values.get("cache-to");
  if (target.values.get("no-cache")?.texts[0] === "true") return [];
  const output = target.values.get("output")?.texts ?? [];
  if (output.length > 0 && output.every((text) => /cacheonly/.test(text))) return [];
  const own = uses.find(({ via }) => via?.path === target.path && via.line === target.line);
  const use = { isKept, isProven: own !== undefined && proven(own.dockerfile) };
  const inline = to?.texts.find((text) => /type=inline/.test(text));
  const place = (line: number) => ({ path: target.path, line });
  return [
    ...(from && from.texts.length > 0
      ? [
          importFinding(
            "cache-from",
            place(from.line),
            `cache-from: ${from.texts.join(", ")}`,
            use,
            "Remove cache-from and cache-to from the targets that are deployed.",
          ),
        ]
      : []),
    ...(to && inline !== undefined
      ? [importFinding("inline-cache", place(to.line), inline, use, "Remove the inline cache.")]
      : []),
  ];
}

/** Whether an image copies nothing, but is made of files that a step downloads. */
function isAppOfClone(executed: readonly Executed[]): boolean {
  return executed.some(({ commands }) => commands.length > 0);
}

/** Possible paths of a Dockerfile that a script names: the script runs in the root or in its own folder. */
function dockerfilesOf(script: string, context: string, file: string | undefined): string[] {
  const context_ = /^\$|^_$|^\$\{\{/.test(context) ? "." : context;
  return ["", posix.dirname(script), posix.dirname(posix.dirname(script))].flatMap((base) =>
    file === undefined
      ? ["Dockerfile", "dockerfile", "Containerfile"].map((name) => posix.join(base, context_, name))
      : [posix.join(base, file)],
  );
}

function isLeftOutFinding(path: string, repository: Repository): boolean {
  return isLeftOut(path) && !repository.texts.has(path);
}

function problemsOf(repository: Repository, build: Build): ReturnType<typeof parseDockerfile>["problems"] {
  return parseDockerfile(dockerfileOf(repository, build)).problems;
}

/** Whether scripts apply Kubernetes objects, and none changes an image or restarts a rollout. */
function isOnlyApplied(flows: readonly Flow[], steps: Callers["steps"]): boolean {
  const texts = flows
    .filter((flow) => !isOtherFlow(flow) && !flow.isCheck)
    .flatMap(({ commands }) => commands.map(({ words }) => words.join(" ")));
  const replaces =
    /rollout restart|\bset image|set-image|\bsed\b|envsubst|\bhelm|kustomize|\byq\b|\bscale\b|kubectl (delete|replace|patch|run|create)|argocd|\bflux\b|skaffold|tilt|jsonnet|ytt|cdk8s/;
  return (
    texts.some((text) => /\bkubectl\b.*\bapply\b/.test(text) && !/ -k\b/.test(text)) &&
    !texts.some((text) => replaces.test(text)) &&
    !steps.some(({ action }) => /k8s|kube|helm|argo|gke/.test(action))
  );
}

/** The rules that judge a single file. */
function fileFindings(
  path: string,
  text: string,
  {
    ownership,
    reaches,
    isOnlyApplied,
  }: { readonly ownership: Ownership; readonly reaches: boolean; readonly isOnlyApplied: boolean },
): Finding[] {
  const isDeployed = !isForDevelopment(path);
  return [
    ...(isNextConfig(path) ? nextFindings(path, text) : []),
    ...(isPluginConfig(path) ? pluginFindings(path, text) : []),
    ...(isAngularWorker(path) ? angularFindings(path, text) : []),
    ...(isWorker(path) ? workerFindings(path, text) : []),
    ...(isNginx(path, text) ? nginxFindings(path, text) : []),
    ...(isCaddyfile(path) ? caddyFindings(path, text) : []),
    ...(isHosting(path) ? hostingFindings(path, text) : []),
    ...(isServerSource(path) ? serverFindings(path, text) : []),
    ...(isDeployed && isFrameworkFile(path) ? frameworkFindings(path, text) : []),
    ...(isDeployed && isInfrastructure(path) ? infrastructureFindings(path, text, ownership) : []),
    ...(isDeployed && isManifest(path, text) ? manifestFindings(path, text, ownership, isOnlyApplied) : []),
    ...(isDeployed && isValues(path) ? valuesFindings(path, text, ownership) : []),
    ...(isDeployed && isKustomization(path) ? kustomizationFindings(path, text, ownership) : []),
    ...(isDeployed && isKamal(path, text) ? kamalFindings(path, text, reaches) : []),
    ...(isPipeline(path) && /\.ya?ml$/.test(path) && !isWorkflow(path) ? otherCacheFindings(path, text) : []),
  ];
}
