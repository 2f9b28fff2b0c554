import { posix } from "node:path";
import { buildsOf, isDockerfile, isForeign, stepsOf } from "./builds";
import { caddyFindings, isCaddyfile } from "./caddy";
import { composeFileFindings, isMoving } from "./compose";
import { type ComposeService, composeServices, isCompose, isForDevelopment } from "./composeFile";
import { buildContext, type DockerCall, dockerCall, has, isBuild, passesCommit, valuesOf } from "./docker";
import { dockerfileFindings } from "./dockerfiles";
import { type Diagnosis, inOrder } from "./finding";
import { ignoreFindings } from "./ignore";
import { isNextConfig, nextFindings } from "./next";
import { isNginx, nginxFindings } from "./nginx";
import { actionSteps, flowsIn, isGitlab, isMakefile, isShell, isWorkflow } from "./pipelines";
import { bytecodeFindings } from "./python";
import type { Repository } from "./repository";
import { scriptFindings } from "./scripts";
import { isWorker, workerFindings } from "./worker";
import { actionFindings } from "./workflows";

/** Whether a rule reads a file, by its name or by how it begins. */
export function isExamined(path: string, beginning: string): boolean {
  return (
    isDockerfile(path) ||
    isCompose(path) ||
    isWorkflow(path) ||
    isGitlab(path) ||
    isMakefile(path) ||
    isShell(path, beginning) ||
    isNextConfig(path) ||
    isWorker(path) ||
    isCaddyfile(path) ||
    /\.conf(\.template|\.tmpl)?$|(^|\/)sites-(available|enabled)\//.test(path) ||
    /(^|\/)(package\.json|\.dockerignore|[\w.-]+\.dockerignore)$/.test(path)
  );
}

/** All in a repository that can serve stale code, in the order of its files. */
export function examine(repository: Repository): Diagnosis[] {
  const files = [...repository.texts];
  const compose = files
    .filter(([path]) => isCompose(path))
    .map(([path, text]) => ({ path, text, services: composeServices(path, text) }));
  const services = compose.flatMap((file) => file.services);
  const flows = files.flatMap(([path, text]) => flowsIn(path, text));
  const steps = files.flatMap(([path, text]) => (isWorkflow(path) ? actionSteps(path, text) : []));
  const builds = buildsOf(repository, services, flows, steps);
  const executed = new Map(builds.map((build) => [build, stepsOf(repository, build)]));
  const foreign = (dockerfile: string) => {
    const known = [...executed].filter(([build]) => build.dockerfile === dockerfile);
    return known.length > 0 && known.every(([, ran]) => ran.length > 0 && isForeign(ran));
  };
  const stepsFor = ({ build }: ComposeService) =>
    [...executed].find(
      ([one]) => one.dockerfile === build?.dockerfile && one.target === build?.target,
    )?.[1] ?? [];

  const calls = flows.flatMap(({ commands }) =>
    commands.flatMap((command) => {
      const call = dockerCall(command);
      return call ? [{ command, call }] : [];
    }),
  );
  const composeBuilds = calls.filter(({ call }) => call.action.startsWith("compose") && isBuild(call));
  const moving = services.find(({ image, path }) => image && !isForDevelopment(path) && isMoving(image.text));
  const scripts = {
    composeBuilds: services.some(({ build }) => build !== undefined),
    ...(moving?.image && { movingImage: moving.image.text }),
    builds: builds.length > 0,
    isForeign: (call: DockerCall, script: string) => {
      const file = valuesOf(call.args, "-f", "--file")[0];
      return dockerfilesOf(script, buildContext(call.args), file).some(foreign);
    },
  };
  const untagged = (image: string) => image.replace(/:latest$/, "");
  const made = new Set(
    calls
      .filter(({ call }) => call.action === "build")
      .flatMap(({ call }) => valuesOf(call.args, "-t", "--tag").map(untagged)),
  );
  const around = {
    isBuilt: (image: string) => made.has(untagged(image)),
    isCommitPassed:
      composeBuilds.length > 0 &&
      composeBuilds.every(({ command, call }) => passesCommit(command, call.args)),
    isPulled: calls.some(
      ({ call }) =>
        call.action === "compose pull" ||
        (call.action === "compose up" && valuesOf(call.args, "--pull").includes("always")) ||
        (call.action === "pull" && !has(call.args, "--help")),
    ),
    stepsOf: stepsFor,
    isForeign: ({ build }: ComposeService) => foreign(build?.dockerfile ?? ""),
  };
  return inOrder([
    ...builds.flatMap((build) => [
      ...dockerfileFindings(repository, build),
      ...ignoreFindings(repository, build, executed.get(build)!),
    ]),
    ...compose.flatMap(({ path, text, services: own }) => composeFileFindings(path, text, own, around)),
    ...flows.flatMap((flow) => scriptFindings(flow, scripts)),
    ...steps.flatMap((step) =>
      actionFindings(step, (context, file) => dockerfilesOf(step.path, context, file).some(foreign)),
    ),
    ...files.flatMap(([path, text]) => [
      ...(isNextConfig(path) ? nextFindings(path, text) : []),
      ...(isWorker(path) ? workerFindings(path, text) : []),
      ...(isNginx(path, text) ? nginxFindings(path, text) : []),
      ...(isCaddyfile(path) ? caddyFindings(path, text) : []),
    ]),
    ...bytecodeFindings(repository),
  ]);
}

/** Where a Dockerfile that a script names may lie: a script runs in the root, or beside itself. */
function dockerfilesOf(script: string, context: string, file: string | undefined): string[] {
  return ["", posix.dirname(script), posix.dirname(posix.dirname(script))].map((base) =>
    posix.join(base, file ?? posix.join(context, "Dockerfile")),
  );
}
