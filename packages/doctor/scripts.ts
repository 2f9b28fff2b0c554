import { posix } from "node:path";
import { importFinding } from "./caches";
import { OUTPUT } from "./compose";
import type { ComposeService } from "./composeFile";
import { called, type DockerCall, dockerCall, has, imageRun, isBuild, isPrune, valuesOf } from "./docker";
import type { Finding, Severity } from "./finding";
import { afterFailure, type Flow, type FlowCommand } from "./flow";
import { imageName, isMovingTag, isOwn, type Ownership } from "./images";
import { isLong } from "./lifetime";
import type { RuleName } from "./rules";
import { isForDevelopment } from "./scope";
import { LEAVES } from "./workflows";

/** What the rules need from the rest of the repository. */
export interface Surroundings {
  /** The services that a compose call affects. */
  readonly servicesFor: (call: DockerCall, script: string) => readonly ComposeService[];
  /** Whether the repository has a Dockerfile. */
  readonly builds: boolean;
  readonly ownership: Ownership;
  /** Whether the commit is passed to the build of a call, and reaches its layers. */
  readonly isProven: (call: DockerCall, script: string) => boolean;
}

interface Call extends DockerCall {
  readonly at: number;
  readonly command: FlowCommand;
}

type Make = (
  command: FlowCommand,
  rule: RuleName,
  severity: Severity,
  words: readonly [string, string],
  found?: string,
) => Finding;

const BUILT = /(^|[\s/"'{,*])(\.next|__pycache__|\.turbo|\.nuxt|\.parcel-cache)($|[\s/"'},*])/;
/** Names of recipes that do not deploy. */
const OTHER_NAME =
  /(^|[-_:.\s])(dev|develop|development|tests?|testing|local|lint|debug|e2e|ci|bench|benchmark|example|demo)([-_:.\s]|$)/i;

/** Whether a flow is for development or tests. */
export function isOtherFlow({ path, name }: Flow): boolean {
  return (
    isForDevelopment(path) ||
    (!/(^|\/)\.(github|gitea|forgejo)\/|gitlab-ci/.test(path) && OTHER_NAME.test(name))
  );
}

/** Findings for a flow of commands that can serve stale code. */
export function scriptFindings(flow: Flow, around: Surroundings): Finding[] {
  const { commands, path } = flow;
  if (flow.isCheck) return [];
  const calls = commands.flatMap((command, at): Call[] => {
    const call = dockerCall(command);
    return call ? [{ ...call, at, command }] : [];
  });
  const builds = calls.filter(isBuild);
  const finding: Make = (command, rule, severity, [why, fix], found = textOf(command)) => ({
    rule,
    severity,
    path,
    line: command.line,
    why,
    found,
    fix,
  });
  const isOther = isOtherFlow(flow);
  return [
    ...calls.filter(isPrune).flatMap((prune) => pruneFindings(flow, prune, builds, finding)),
    ...(isOther ? [] : calls.flatMap((call) => cacheFindings(call, flow, around, finding))),
    ...(isOther ? [] : commands.flatMap((command) => kanikoFindings(command, finding))),
    ...onePull(commands.flatMap((command, at) => pullFindings(flow, command, at, around, finding))),
    ...(isOther ? [] : builds.flatMap((build) => buildFindings(flow, build, finding))),
    ...(isOther ? [] : runFindings(flow, calls, around, finding)),
    ...(isOther ? [] : commands.flatMap((command) => copyFindings(command, finding))),
    ...(isOther ? [] : uploadFindings(commands, finding)),
    ...clearFindings(flow, calls, around, finding),
  ];
}

function pruneFindings(flow: Flow, prune: Call, builds: readonly Call[], finding: Make): Finding[] {
  const { command, args, at } = prune;
  // A machine that is deleted after the job prunes only to free space.
  if (command.isHosted) return [];
  const findings: Finding[] = [];
  const after = builds.filter((build) => build.at > at);
  const later = after.filter((build) => !has(build.args, "--no-cache"));
  // A build without a cache takes nothing of what the prune leaves.
  if (after.length > 0 && later.length === 0) return [];
  const filter = valuesOf(args, "--filter").find((value) => value.startsWith("until"));
  // What keeps the newest layers, after the build, only makes room on the disk.
  if (filter !== undefined && builds.length > 0 && after.length === 0) return [];
  const isSystem = prune.action === "system prune";
  // After a build, a prune only frees disk space.
  const isHousekeeping = isSystem && later.length === 0;
  if (isHousekeeping && builds.length > 0) return [];
  const swallowed = afterFailure(flow.commands, at);
  const isExplicit = swallowed !== undefined && swallowed.by !== WITHOUT_E;
  if (swallowed && (later.some((build) => build.at >= swallowed.from) || (isExplicit && !isSystem))) {
    const [next] = later;
    // Without -a, a prune of the whole system may only make room on the disk.
    const isCache = !isSystem || has(args, "-a", "--all");
    const isBefore = next !== undefined && isCache && isExplicit;
    findings.push(
      finding(
        command,
        "prune-swallowed",
        isBefore ? "error" : "warning",
        [
          isBefore
            ? `a prune that fails goes unnoticed (${swallowed.by}): the build at line ${next.command.line} takes the layers that it was to remove`
            : `if the prune fails, no one notices (${swallowed.by}), and the next build takes the layers that it was to remove`,
          "Let its failure end the script: set -euo pipefail at the top, and nothing behind the prune that hides its status.",
        ],
        `${textOf(command)} (${swallowed.by})`,
      ),
    );
  }
  const [first] = builds;
  if (first && first.at < at && later.length === 0 && !isSystem && !prunedBefore(flow, first.at))
    findings.push(
      finding(command, "prune-after-build", "warning", [
        `the prune comes after the build at line ${first.command.line}, which has taken from the cache what it found there`,
        `Move it before line ${first.command.line}.`,
      ]),
    );
  const isMeant = !isSystem || later.length > 0 || /cache|fresh|rebuild/i.test(`${flow.name} ${flow.path}`);
  if (!isMeant) return findings;
  if (!has(args, "-a", "--all"))
    findings.push(
      finding(command, "prune-keeps-tagged", "warning", [
        "without -a the layers of tagged images survive this prune, so that the next build of the same files is all CACHED; what it removes are the cache mounts",
        "Use docker builder prune -af, or make each commit reach the COPY of its sources.",
      ]),
    );
  else if (filter !== undefined)
    findings.push(
      finding(command, "prune-keeps-tagged", "warning", [
        `the filter ${filter} keeps the layers of the last builds, which are the ones that a build takes`,
        "Leave the filter out.",
      ]),
    );
  return findings;
}

function prunedBefore({ commands }: Flow, at: number): boolean {
  return commands.slice(0, at).some((command) => {
    const call = dockerCall(command);
    return call !== undefined && isPrune(call);
  });
}

function cacheFindings(call: Call, flow: Flow, around: Surroundings, finding: Make): Finding[] {
  const { action, args, command } = call;
  if (action !== "build" && action !== "bake" && !action.startsWith("compose")) return [];
  if (action === "build" && command.isHosted && isOnlyUsedHere(call, flow)) return [];
  const place = { path: flow.path, line: command.line };
  const use = { isKept: !command.isHosted, isProven: around.isProven(call, flow.path) };
  const set = valuesOf(args, "--set");
  const from = [...valuesOf(args, "--cache-from"), ...set.filter((value) => /\.cache-from=/.test(value))];
  const to = [...valuesOf(args, "--cache-to"), ...set.filter((value) => /\.cache-to=/.test(value))];
  const inline =
    valuesOf(args, "--build-arg").some((arg) => /^BUILDKIT_INLINE_CACHE(=(?!0)|$)/.test(arg)) ||
    to.some((target) => /type=inline/.test(target));
  const findings: Finding[] = [];
  if (from.length > 0 && !has(args, "--no-cache"))
    findings.push(
      importFinding("cache-from", place, `--cache-from ${from.join(", ")}`, use, "Remove --cache-from."),
    );
  else if (to.length > 0 && !inline)
    findings.push(
      finding(
        command,
        "cache-to",
        "warning",
        [
          "--cache-to keeps this build's layers: a later build that imports them takes them",
          "Remove --cache-to.",
        ],
        `--cache-to ${to.join(", ")}`,
      ),
    );
  if (inline)
    findings.push(
      importFinding("inline-cache", place, "BUILDKIT_INLINE_CACHE", use, "Remove the inline cache."),
    );
  return findings;
}

/** Whether an image stays on a machine that is deleted after the job: built for checks, under a name that no registry has. */
function isOnlyUsedHere({ args, at }: Call, { commands }: Flow): boolean {
  const tags = valuesOf(args, "-t", "--tag");
  const isSent =
    has(args, "--push") || valuesOf(args, "-o", "--output").some((one) => /push|registry|image/.test(one));
  return (
    tags.length > 0 &&
    tags.every((tag) => /^\w[\w.-]*(:[\w.-]+)?$/.test(tag)) &&
    !isSent &&
    !commands.slice(at + 1).some((each) => LEAVES.test(each.words.join(" ")))
  );
}

/** Kaniko and Buildah have their own caches. */
function kanikoFindings(command: FlowCommand, finding: Make): Finding[] {
  const { program, args } = called(command);
  const isKaniko =
    program === "executor" &&
    args.some((arg) => arg.startsWith("--destination") || arg.startsWith("--context") || arg === "-d");
  const isBuildah = program === "buildah" && /^(bud|build|build-using-dockerfile)$/.test(args[0] ?? "");
  const isCached =
    (isKaniko && args.some((arg) => /^--cache(=true)?$/.test(arg))) ||
    (isBuildah && has(args, "--layers", "--cache-from"));
  if (!isCached) return [];
  return [
    finding(command, "cache-from", "warning", [
      "layers of an earlier build are taken for this one: a step that fetches from the network gives what it gave then",
      isKaniko ? "Remove --cache." : "Remove --layers and --cache-from.",
    ]),
  ];
}

const WITHOUT_E = "no set -e";

/** One finding for the commands that get the sources in a script without `set -e`: one line mends them all. */
function onePull(findings: readonly Finding[]): Finding[] {
  const isMeant = ({ rule, found }: Finding) => rule === "pull-swallowed" && found.endsWith(`(${WITHOUT_E})`);
  const meant = findings.filter(isMeant);
  const kept = meant.find(({ found }) => /\bgit\b.*\bpull\b/.test(found)) ?? meant.at(-1);
  return findings.filter((one) => !isMeant(one) || one === kept);
}

function pullFindings(
  flow: Flow,
  command: FlowCommand,
  at: number,
  around: Surroundings,
  finding: Make,
): Finding[] {
  const { program, args } = called(command);
  const call = dockerCall(command);
  const isImages = call !== undefined && /^(compose pull|pull|image pull)$/.test(call.action);
  const action = args.find((arg, i) => !arg.startsWith("-") && args[i - 1] !== "-C" && args[i - 1] !== "-c");
  const isSources = program === "git" && /^(pull|fetch|reset|checkout|switch|merge)$/.test(action ?? "");
  if (!isImages && !isSources) return [];
  // A machine that is deleted after the job has no earlier image.
  if (isImages && command.isHosted) return [];
  const swallowed = afterFailure(flow.commands, at);
  if (!swallowed) return [];
  // Images of others are not the code that is deployed.
  if (isImages && swallowed.by === WITHOUT_E && !isOfOwn(call, flow, around)) return [];
  if (isImages && has(call.args, "--ignore-pull-failures", "--ignore-buildable")) return [];
  const later = flow.commands.slice(swallowed.from).find((each) => {
    const next = dockerCall(each);
    if (next === undefined) return false;
    if (isImages) return /^(compose up|run|stack deploy)$/.test(next.action) && !has(next.args, "--build");
    return isBuild(next) || next.action === "compose up";
  });
  if (!later) return [];
  const said = textOf(command);
  const found = `${said} (${swallowed.by})`;
  const fix =
    "Let its failure end the script: set -euo pipefail at the top, and nothing behind it that hides its status.";
  if (isImages)
    return [
      finding(
        command,
        "image-not-pulled",
        "warning",
        [
          `if the pull fails, the script goes on (${swallowed.by}) and starts at line ${later.line} the image that is there`,
          fix,
        ],
        found,
      ),
    ];
  // A command that only checks something, or creates it if missing, does not decide about the deploy.
  const isSure = swallowed.by !== WITHOUT_E && (action === "pull" || action === "reset");
  const decides = /^(pull|reset|merge)$/.test(action ?? "");
  if (!isSure && !decides && swallowed.by !== WITHOUT_E) return [];
  return [
    finding(
      command,
      "pull-swallowed",
      isSure ? "error" : "warning",
      [
        isSure
          ? `where git ${action} fails, the script goes on (${swallowed.by}) and deploys at line ${later.line} the files of an earlier commit`
          : `if git ${action} fails, the script goes on (${swallowed.by}) and deploys at line ${later.line} the files of an earlier commit`,
        fix,
      ],
      found,
    ),
  ];
}

/** Whether a call pulls an image of the repository's own, under a tag that moves. */
function isOfOwn(call: DockerCall, flow: Flow, around: Surroundings): boolean {
  const images =
    call.action === "compose pull"
      ? namedIn(call, around.servicesFor(call, flow.path)).flatMap(({ image }) => (image ? [image.text] : []))
      : call.args.filter((arg) => !arg.startsWith("-"));
  return images.some((text) => {
    const image = imageName(text);
    return image !== undefined && isMovingTag(image) && isOwn(image, around.ownership);
  });
}

/** Findings for a build whose failure leaves the earlier image in place, which the script then starts. */
function buildFindings(flow: Flow, build: Call, finding: Make): Finding[] {
  const { action, args, command, at } = build;
  if (action === "bake" || action === "compose watch") return [];
  const swallowed = afterFailure(flow.commands, at);
  if (!swallowed) return [];
  const isExplicit = swallowed.by !== WITHOUT_E;
  // A script that gets the sources deploys them; another one may be run by a person who looks at its output.
  const isDeploy = flow.commands
    .slice(0, at)
    .some(
      (each) => called(each).program === "git" && /\b(pull|reset|checkout|fetch|clone)\b/.test(textOf(each)),
    );
  if (!isExplicit && !isDeploy) return [];
  const tags = valuesOf(args, "-t", "--tag").map((tag) => tag.replace(/:latest$/, ""));
  const starts = ({
    action: next,
    args: given,
    command: { isHosted },
  }: DockerCall & { command: FlowCommand }) => {
    if (isHosted) return false;
    if (/^compose (up|create)$/.test(next)) return !has(given, "--build");
    if (/^(stack deploy|service update)$/.test(next)) return true;
    return (
      /^(run|container run|create)$/.test(next) &&
      tags.includes((imageRun(given) ?? "").replace(/:latest$/, ""))
    );
  };
  // On a machine that is deleted after the job there is no earlier image.
  const later = flow.commands.slice(swallowed.from).find((each) => {
    const call = dockerCall(each);
    return call !== undefined && starts({ ...call, command: each });
  });
  const isUp = action.startsWith("compose up");
  if (!later || isUp || (command.isHosted && !isExplicit)) return [];
  const said = `${isExplicit ? "the failure of this build is ignored" : "nothing ends the script if this build fails"} (${swallowed.by}): line ${later.line} then starts the image of an earlier commit`;
  return [
    finding(
      command,
      "build-failure-swallowed",
      isExplicit && !command.isHosted ? "error" : "warning",
      [
        said,
        "Let its failure end the script: set -euo pipefail at the top, and nothing behind the build that hides its status.",
      ],
      `${textOf(command)} (${swallowed.by})`,
    ),
  ];
}

const UPS = /^(compose up|compose create|run|container run|compose run|stack deploy|service update)$/;

function runFindings(flow: Flow, calls: readonly Call[], around: Surroundings, finding: Make): Finding[] {
  const builds = calls.filter(isBuild);
  const findings = [
    ...upFindings(flow, calls, around, finding),
    ...restartFindings(flow, calls, around, finding),
  ];
  for (const run of calls.filter(({ action }) => /^(run|container run|create)$/.test(action)))
    findings.push(...startFindings(run, calls, builds, around, finding));
  for (const update of calls.filter(({ action }) => action === "service update"))
    if (has(update.args, "--force") && !update.args.some((arg) => arg.startsWith("--image")))
      findings.push(
        finding(update.command, "restart-keeps-image", "warning", [
          "without --image the service keeps the digest that it was created with: its tasks start again with the same image",
          "Name the image: docker service update --image NAME:TAG SERVICE.",
        ]),
      );
  for (const command of flow.commands) findings.push(...clusterFindings(command, around, finding));
  return findings;
}

/** Whether the sources are pulled, or copied to the server, before a command. */
function isPulled({ commands }: Flow, before: number): boolean {
  return commands.slice(0, before).some((command) => {
    const { program, args } = called(command);
    if (program === "git") return args.some((arg) => /^(pull|reset|checkout|merge)$/.test(arg));
    if (program !== "rsync" && program !== "scp") return false;
    const operands = args.filter((arg) => !arg.startsWith("-"));
    // A whole folder to another machine: one file may be the compose file of images from a registry.
    const isRemote = /^[^/]+:/.test(operands.at(-1) ?? "");
    return isRemote && operands.slice(0, -1).some((one) => /^(\.|\.?[\w./-]*\/|\.?[\w./-]*\*)$/.test(one));
  });
}

/** The services that a call starts whose code is in their image, not in a mounted folder. */
function bakedOf({ path }: Flow, call: DockerCall, around: Surroundings): ComposeService[] {
  return namedIn(call, around.servicesFor(call, path)).filter(
    ({ build, volumes }) =>
      build !== undefined &&
      !volumes.some(
        ({ kind, source }) =>
          kind === "bind" && /^\.{1,2}(\/|$)|^\$\{?PWD/.test(source) && !/\.\w{1,5}$/.test(source),
      ),
  );
}

function upFindings(flow: Flow, calls: readonly Call[], around: Surroundings, finding: Make): Finding[] {
  const findings: Finding[] = [];
  const builds = calls.filter(isBuild);
  const pulls = calls.filter(({ action }) => /^(compose pull|pull|image pull|load|image load)$/.test(action));
  for (const up of calls.filter(({ action }) => action === "compose up")) {
    if (has(up.args, "--no-recreate"))
      findings.push(
        finding(up.command, "up-keeps-container", "error", [
          "--no-recreate leaves the containers of the old image running",
          "Remove --no-recreate.",
        ]),
      );
    const baked = bakedOf(flow, up, around);
    // compose pull skips services that have a build section and no image.
    const isPulledIn = ({ action }: Call) =>
      action !== "compose pull" || baked.length === 0 || baked.some(({ image }) => image !== undefined);
    const isFresh =
      has(up.args, "--build") ||
      valuesOf(up.args, "--pull").includes("always") ||
      pulls.some((pull) => pull.at < up.at && isPulledIn(pull)) ||
      builds.some(({ at }) => at < up.at);
    // A machine that is deleted after the job has no earlier image.
    if (isFresh || up.command.isHosted || !isPulled(flow, up.at)) continue;
    // A command in between with an unclear name may build the images.
    const isUnknown = flow.commands
      .slice(0, up.at)
      .some(
        (command) =>
          /^(make|just|task|\.\/[\w./-]*|bash|sh|npm|yarn|pnpm)$/.test(called(command).program) &&
          /build|image/i.test(textOf(command)),
      );
    if (!isUnknown && baked.length > 0)
      findings.push(
        finding(up.command, "up-without-build", "error", [
          "the sources are pulled and no image is built from them: up starts the image that was built before",
          "Build first (docker compose build), or add --build.",
        ]),
      );
  }
  return findings;
}

function restartFindings(flow: Flow, calls: readonly Call[], around: Surroundings, finding: Make): Finding[] {
  const last = calls.findLast(isBuild);
  const restart = calls.findLast(({ action }) =>
    /^((compose |container )?(restart|start)|compose unpause)$/.test(action),
  );
  const since = (at: number) => calls.some((call) => UPS.test(call.action) && call.at >= at);
  const restarted = restart?.action.startsWith("compose") ? around.servicesFor(restart, flow.path) : [];
  // A restart of a proxy or a database deploys nothing. One of a service whose code is mounted runs the new code.
  const isOfOthers =
    restart !== undefined && restarted.length > 0 && bakedOf(flow, restart, around).length === 0;
  if (last && restart && !isOfOthers && restart.at > last.at && !since(last.at) && !restart.command.isHosted)
    return [
      finding(restart.command, "restart-keeps-image", "error", [
        "a restarted container is the one of before, with the image that it was made from",
        "Create it again: docker compose up -d.",
      ]),
    ];
  if (
    !last &&
    restart &&
    isPulled(flow, restart.at) &&
    !since(0) &&
    restart.action.startsWith("compose") &&
    bakedOf(flow, restart, around).length > 0
  )
    return [
      finding(restart.command, "restart-keeps-image", "error", [
        "the sources are pulled, and a restarted container is the one of before, with the image that it was made from",
        "Build, and create it again: docker compose up -d --build.",
      ]),
    ];
  return [];
}

/** The services that a call names; all if it names none. */
function namedIn(call: DockerCall, services: readonly ComposeService[]): readonly ComposeService[] {
  const named = services.filter(({ name }) => call.args.includes(name));
  return named.length > 0 ? named : services;
}

/** Findings for `docker run` of the repository's own image under a moving tag. */
function startFindings(
  run: Call,
  calls: readonly Call[],
  builds: readonly Call[],
  around: Surroundings,
  finding: Make,
): Finding[] {
  const written = imageRun(run.args);
  const image = written === undefined ? undefined : imageName(written);
  if (!image || written === undefined || run.command.isHosted) return [];
  const kept = keptVolume(run, isOwn(image, around.ownership));
  if (kept !== undefined)
    return [
      finding(run.command, "volume-over-image", "warning", [
        `if this volume outlives the container, ${kept} keeps the files of the first image: later images' files there are hidden`,
        "Remove the volume; a volume is for data that the app writes.",
      ]),
    ];
  if (!isMovingTag(image) || !isOwn(image, around.ownership)) return [];
  if (/^(always|newer)$/.test(valuesOf(run.args, "--pull")[0] ?? "")) return [];
  // A program that runs once is not a deployment.
  const isService =
    has(run.args, "-d", "--detach") || valuesOf(run.args, "--restart", "-p", "--publish").length > 0;
  if (!isService) return [];
  const same = (other: string) => other.replace(/:latest$/, "") === written.replace(/:latest$/, "");
  const isThere = calls.some(
    ({ action, args, at }) =>
      at < run.at &&
      /^(pull|image pull|load|image load)$/.test(action) &&
      (/load/.test(action) || args.some(same)),
  );
  const isBuiltHere =
    builds.some(({ args }) => valuesOf(args, "-t", "--tag").some(same)) ||
    (around.ownership.built.has(posix.join(image.owner, image.name)) &&
      image.owner === "" &&
      image.registry === "docker.io");
  if (isThere || isBuiltHere) return [];
  return [
    finding(run.command, "image-not-pulled", "warning", [
      `${written} is named by a tag that moves: unless somebody pulls, docker run starts the image that is there already`,
      `Add --pull always, or name the image by its digest or by a tag of its commit.`,
    ]),
  ];
}

/** A named volume over build output in the image of the app. */
function keptVolume({ args }: DockerCall, isOwnImage: boolean): string | undefined {
  if (!isOwnImage || !has(args, "-d", "--detach")) return undefined;
  return valuesOf(args, "-v", "--volume").find((volume) => {
    const [source = "", target] = volume.split(":");
    return target !== undefined && /^\w/.test(source) && OUTPUT.test(target);
  });
}

/** `kubectl set image` changes nothing if the tag is already set. */
function clusterFindings(command: FlowCommand, around: Surroundings, finding: Make): Finding[] {
  const { program, args } = called(command);
  if (!/^(kubectl|oc)$/.test(program) || args[0] !== "set" || args[1] !== "image") return [];
  const moving = args.slice(2).flatMap((arg) => {
    const written = arg.slice(arg.indexOf("=") + 1);
    const image = arg.includes("=") && !arg.startsWith("-") ? imageName(written) : undefined;
    return image && isMovingTag(image) && isOwn(image, around.ownership) ? [written] : [];
  });
  if (moving.length === 0) return [];
  return [
    finding(command, "image-not-pulled", "warning", [
      `${moving[0]} is named by a tag that moves: where the deployment has this name already nothing changes, and no pod is replaced`,
      "Set a tag of the commit or a digest.",
    ]),
  ];
}

/** Findings for output that is copied over the files of an earlier deploy. */
function copyFindings(command: FlowCommand, finding: Make): Finding[] {
  const { program, args } = called(command);
  const operands = args.filter((arg) => !arg.startsWith("-"));
  const isOutput = (path: string) =>
    /(^|\/)(dist|build|out|public|_site|\.next|\.output|www|site|html)(\/|\/\*|\/\.)?$/.test(path);
  const isSync =
    (program === "rsync" &&
      /:/.test(operands.at(-1) ?? "") &&
      !args.some((arg) => arg.startsWith("--del"))) ||
    (program === "aws" && args[0] === "s3" && args[1] === "sync" && !args.includes("--delete"));
  if (!isSync || !operands.slice(0, -1).some(isOutput)) return [];
  return [
    finding(command, "artifact-kept", "warning", [
      "pages that a commit deletes or renames stay where they were copied to, and are served",
      program === "rsync" ? "Add --delete." : "Add --delete, after the new files are there.",
    ]),
  ];
}

/** Findings for an upload to a bucket that gives its pages a lifetime. */
function uploadFindings(commands: readonly FlowCommand[], finding: Make): Finding[] {
  const uploads = commands.flatMap((command) => {
    const { program, args } = called(command);
    const whole = args.join(" ").replace(/["']/g, "");
    const isAws = program === "aws" && args[0] === "s3" && /^(sync|cp)$/.test(args[1] ?? "");
    const isGoogle = program === "gsutil" || (program === "gcloud" && args[0] === "storage");
    const control = isAws
      ? (valuesOf(args, "--cache-control")[0] ?? "").replace(/["']/g, "")
      : isGoogle
        ? (/cache-control[:=]\s*(.*?)(?=\s-\w|\s(?:cp|rsync)\b|$)/i.exec(whole)?.[1] ?? "")
        : "";
    return (isAws || isGoogle) && control !== "" ? [{ command, whole, control }] : [];
  });
  // A later command that sends pages with a lifetime of their own.
  const hasOwn = uploads.some(({ whole, control }) => /html/.test(whole) && !isLong(control));
  const long = uploads.find(
    ({ whole, control }) =>
      isLong(control) &&
      !/--exclude[= ]\S*(html|\*)|-x \S*html/.test(whole) &&
      (/\bsync\b|rsync|--recursive|-r\b/.test(whole) || /\.html/.test(whole)) &&
      !/\/(assets|static|_next|_astro|images?|img|fonts|js|css)(\/|\s|$)/.test(whole),
  );
  if (!long || hasOwn) return [];
  return [
    finding(long.command, "pages-cached", "warning", [
      "pages are uploaded with the same lifetime as scripts and styles: browsers may show them for that long without asking",
      'Upload pages by a command of their own with --cache-control no-cache, and exclude them here (--exclude "*.html").',
    ]),
  ];
}

/** Findings for a script that clears caches but not the one that serves stale code. */
function clearFindings(
  flow: Flow,
  calls: readonly Call[],
  { builds }: Surroundings,
  finding: Make,
): Finding[] {
  const isMeant = /cache/i.test(flow.name) || /cache/i.test(flow.path);
  if (!isMeant || !builds || flow.prunes) return [];
  const clears = flow.commands.find((command) => {
    const { program } = called(command);
    const removes = program === "rm" || (program === "find" && /-delete|-exec/.test(textOf(command)));
    return removes && BUILT.test(textOf(command));
  });
  if (!clears || calls.some(isBuild)) return [];
  return [
    finding(clears, "clears-not-docker", "warning", [
      "this clears the app's caches and leaves Docker's build cache, which gives the old layers back",
      "Prune the build cache as well: docker builder prune -af.",
    ]),
  ];
}

function textOf(command: FlowCommand): string {
  return command.words.join(" ").replace(/\s+/g, " ").slice(0, 200);
}
