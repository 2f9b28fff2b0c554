import { COMMIT_ARG } from "../freshness/dockerfile/finding";
import {
  buildContext,
  called,
  type DockerCall,
  dockerCall,
  has,
  isBuild,
  isPrune,
  passesCommit,
  valuesOf,
} from "./docker";
import type { Diagnosis } from "./finding";
import { afterFailure, type Flow, type FlowCommand } from "./flow";

/** What the rules have to know of the rest of the repository. */
export interface Surroundings {
  /** Whether a compose file builds images. */
  readonly composeBuilds: boolean;
  /** An image of a compose file that is named by a tag that moves; absent: none. */
  readonly movingImage?: string;
  /** Whether there is a Dockerfile. */
  readonly builds: boolean;
  /** Whether a `docker build` of these arguments makes an image of third-party content alone. */
  readonly isForeign: (call: DockerCall, script: string) => boolean;
}

interface Call extends DockerCall {
  readonly at: number;
  readonly command: FlowCommand;
}

const BUILT = /(^|[\s/"'{,*])(\.next|__pycache__|\.turbo|\.nuxt|\.parcel-cache)($|[\s/"'},*])/;

/** All in a flow of commands that can serve stale code. */
export function scriptFindings(flow: Flow, around: Surroundings): Diagnosis[] {
  const { commands, path } = flow;
  const calls = commands.flatMap((command, at): Call[] => {
    const call = dockerCall(command);
    return call ? [{ ...call, at, command }] : [];
  });
  const builds = calls.filter(isBuild);
  const finding = (
    command: FlowCommand,
    rule: string,
    severity: Diagnosis["severity"],
    [why, fix]: readonly [string, string],
    found = textOf(command),
  ): Diagnosis => ({ rule, severity, path, line: command.line, why, found, fix });
  return [
    ...calls.filter(isPrune).flatMap((prune) => pruneFindings(flow, prune, builds, finding)),
    ...calls.flatMap((call) => cacheFindings(call, finding)),
    ...builds.flatMap((build) => commitFindings(build, flow, around, finding)),
    ...commands.flatMap((command, at) => pullFindings(flow, command, at, finding)),
    ...runFindings(commands, calls, around, finding),
    ...clearFindings(flow, calls, around, finding),
  ];
}

type Make = (
  command: FlowCommand,
  rule: string,
  severity: Diagnosis["severity"],
  words: readonly [string, string],
  found?: string,
) => Diagnosis;

function pruneFindings(flow: Flow, prune: Call, builds: readonly Call[], finding: Make): Diagnosis[] {
  const { command, args, at } = prune;
  const findings: Diagnosis[] = [];
  // After a build it makes room on the disk, and promises nothing.
  const isHousekeeping = prune.action === "system prune" && builds.length > 0;
  if (isHousekeeping && builds.every((build) => build.at < at)) return [];
  const swallowed = afterFailure(flow.commands, at);
  const goesOn = swallowed?.by !== "no set -e" || builds.some((build) => build.at >= swallowed.from);
  if (swallowed && goesOn)
    findings.push(
      finding(
        command,
        "prune-swallowed",
        "error",
        [
          `a prune that fails goes unnoticed (${swallowed.by}): the next build takes the layers that it was to remove`,
          "Let its failure end the script: set -euo pipefail at the top, and nothing behind the prune that hides its status.",
        ],
        `${textOf(command)} (${swallowed.by})`,
      ),
    );
  const [first] = builds;
  if (first && first.at < at && !builds.some((build) => build.at > at) && !prunedBefore(flow, first.at))
    findings.push(
      finding(command, "prune-after-build", "warning", [
        `the prune comes after the build at line ${first.command.line}, which has taken from the cache what it found there`,
        `Move it before line ${first.command.line}.`,
      ]),
    );
  const filter = valuesOf(args, "--filter").find((value) => value.startsWith("until"));
  if (!has(args, "-a", "--all"))
    findings.push(
      finding(command, "prune-keeps-tagged", "warning", [
        "without -a the layers of tagged images survive this prune, so that the next build of the same files is all CACHED; what it removes are the cache mounts",
        "Use docker builder prune -af, or make each commit reach the COPY of its sources (rule commit-not-in-copy).",
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

function cacheFindings({ action, args, command }: Call, finding: Make): Diagnosis[] {
  if (action !== "build" && action !== "bake" && !action.startsWith("compose")) return [];
  const set = valuesOf(args, "--set");
  const from = [...valuesOf(args, "--cache-from"), ...set.filter((value) => /\.cache-from=/.test(value))];
  const to = [...valuesOf(args, "--cache-to"), ...set.filter((value) => /\.cache-to=/.test(value))];
  const inline = valuesOf(args, "--build-arg").some((arg) => /^BUILDKIT_INLINE_CACHE(=|$)/.test(arg));
  return [
    ...(from.length > 0
      ? [
          finding(
            command,
            "cache-from",
            "error",
            [
              "--cache-from gives layers of an earlier build to this one, whatever was pruned before",
              "Remove --cache-from.",
            ],
            `--cache-from ${from.join(", ")}`,
          ),
        ]
      : []),
    ...(to.length > 0
      ? [
          finding(
            command,
            "cache-to",
            "warning",
            ["--cache-to keeps this build's layers for later ones to take", "Remove --cache-to."],
            `--cache-to ${to.join(", ")}`,
          ),
        ]
      : []),
    ...(inline
      ? [
          finding(
            command,
            "inline-cache",
            "error",
            [
              "an inline cache in the image gives old layers back to the next build",
              "Remove --build-arg BUILDKIT_INLINE_CACHE.",
            ],
            "BUILDKIT_INLINE_CACHE",
          ),
        ]
      : []),
  ];
}

function commitFindings(build: Call, flow: Flow, around: Surroundings, finding: Make): Diagnosis[] {
  if (build.action !== "build" || passesCommit(build.command, build.args)) return [];
  // No layer is taken from the cache then, whatever it depends on.
  if (has(build.args, "--no-cache")) return [];
  // From standard input comes a Dockerfile, and no source.
  if (buildContext(build.args) === "-" || around.isForeign(build, flow.path)) return [];
  return [
    finding(build.command, "commit-not-passed", "error", [
      `the build is not told its commit, so that nothing in its layers depends on it: a new commit can be given old layers`,
      `Add --build-arg ${COMMIT_ARG}="$(git rev-parse HEAD)".`,
    ]),
  ];
}

function pullFindings(flow: Flow, command: FlowCommand, at: number, finding: Make): Diagnosis[] {
  const { program, args } = called(command);
  if (program !== "git") return [];
  const action = args.find((arg, i) => !arg.startsWith("-") && args[i - 1] !== "-C" && args[i - 1] !== "-c");
  if (!/^(pull|fetch|reset|checkout|switch|merge)$/.test(action ?? "")) return [];
  const swallowed = afterFailure(flow.commands, at);
  if (!swallowed) return [];
  const later = flow.commands.slice(swallowed.from).find((each) => {
    const call = dockerCall(each);
    return call !== undefined && (isBuild(call) || call.action === "compose up");
  });
  if (!later) return [];
  return [
    finding(
      command,
      "pull-swallowed",
      "error",
      [
        `where git ${action} fails, the script goes on (${swallowed.by}) and deploys at line ${later.line} the files of an earlier commit`,
        "Let its failure end the script: set -euo pipefail at the top, and nothing behind it that hides its status.",
      ],
      `${textOf(command)} (${swallowed.by})`,
    ),
  ];
}

function runFindings(
  commands: readonly FlowCommand[],
  calls: readonly Call[],
  around: Surroundings,
  finding: Make,
): Diagnosis[] {
  const findings: Diagnosis[] = [];
  const builds = calls.filter(isBuild);
  const ups = calls.filter(({ action }) => action === "compose up");
  const pulls = calls.filter(({ action }) => action === "compose pull" || action === "pull");
  for (const up of ups) {
    const before = builds.filter(({ at }) => at < up.at);
    const isFresh =
      has(up.args, "--build", "--force-recreate") || valuesOf(up.args, "--pull").includes("always");
    const isPulled = pulls.some(({ at }) => at < up.at);
    if (has(up.args, "--no-recreate"))
      findings.push(
        finding(up.command, "up-keeps-container", "error", [
          "--no-recreate leaves the containers of the old image running",
          "Remove --no-recreate.",
        ]),
      );
    if (isFresh || isPulled) continue;
    if (
      before.length > 0 &&
      around.movingImage !== undefined &&
      before.every(({ action }) => action === "build")
    )
      findings.push(
        finding(up.command, "up-keeps-container", "warning", [
          `${around.movingImage} is named by a tag that moves, and up neither builds nor pulls it nor makes its container anew: what ran before can run on`,
          "Add --force-recreate, with --build or --pull always, or name the image by its digest.",
        ]),
      );
    const pulled = commands.slice(0, up.at).some((command) => {
      const { program, args } = called(command);
      return program === "git" && args.includes("pull");
    });
    if (pulled && builds.length === 0 && around.composeBuilds)
      findings.push(
        finding(up.command, "up-without-build", "error", [
          "the sources are pulled and no image is built from them: up starts the image that was built before",
          `Build first, docker compose build --build-arg ${COMMIT_ARG}="$(git rev-parse HEAD)", or add --build.`,
        ]),
      );
  }
  const last = builds.at(-1);
  const restart = calls.findLast(({ action }) =>
    /^((compose |container )?(restart|start)|compose unpause)$/.test(action),
  );
  const isReplaced = calls.some(
    ({ action, at }) =>
      /^(compose up|run|container run|compose run|stack deploy|service update)$/.test(action) &&
      last !== undefined &&
      at >= last.at,
  );
  if (last && restart && restart.at > last.at && !isReplaced)
    findings.push(
      finding(restart.command, "restart-keeps-image", "error", [
        "a restarted container is the one of before, with the image that it was made from",
        "Make it anew: docker compose up -d.",
      ]),
    );
  return findings;
}

/** A script that is to clear caches and leaves the one that serves stale code. */
function clearFindings(
  flow: Flow,
  calls: readonly Call[],
  { builds }: Surroundings,
  finding: Make,
): Diagnosis[] {
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
