import { posix } from "node:path";
import { programOf } from "../../freshness/dockerfile/shell";
import { type Executed, sideOf } from "../../freshness/dockerfile/state";
import { expand } from "../../freshness/dockerfile/words";
import type { Build } from "./builds";
import type { Finding } from "./finding";
import { imageName, isMovingTag, isOwn, type Ownership } from "./images";

const FULL_COMMIT = /\b[0-9a-f]{40}([0-9a-f]{24})?\b/;
/** A release or a commit prefix, which always refers to the same content. */
const PINNED =
  /(--branch[= ]|-b[= ]?|[-\w]*(branch|tag|ref|version|rev)[= ]|checkout (-q |--quiet |tags\/)*|reset --hard |@|#)["']?(v|release[-/]|tags\/)?(\d+\.[\w.]+|\d{4}[-.]?\d\d[-.]?\d\d\S*|[0-9a-f]{7,40})\b/i;
/** A version in a variable. */
const PINNED_BY_VARIABLE =
  /(--branch[= ]|-b |checkout |reset --hard |@|#|tags\/|archive\/(refs\/tags\/)?v?)["']?v?\$\{?\w*(VERSION|TAG|COMMIT|SHA|HASH|REV|RELEASE|REF)\w*/i;
const HOST = "(?:https?:\\/\\/|git:\\/\\/|ssh:\\/\\/|git@)[\\w.@-]+(?::\\d+)?[:/]";
/** The plain address of a repository. */
const REPOSITORY = new RegExp(
  `^(?:--?[\\w-]+=)?["']?(?:git\\+)?${HOST}[\\w.~/-]+?(?:\\.git)?\\/?(?:[#@][\\w./-]+)?["']?$`,
);
const REPOSITORY_HOST = /(github|gitlab|bitbucket|codeberg|gitea|sr\.ht|dev\.azure|git)[\w.-]*[:/]/i;
/** An archive of a branch, whose content changes. */
const BRANCH = "(?:main|master|develop|dev|trunk|HEAD|head|latest|stable|nightly)";
const MOVING_ARCHIVE = new RegExp(
  [
    `https?:\\/\\/\\S+\\/archive\\/(?:refs\\/heads\\/\\S+|${BRANCH}(?:\\.(?:tar\\.gz|tgz|zip|tar\\.bz2))?)`,
    `https?:\\/\\/\\S+\\/(?:tarball|zipball|tar\\.gz|zip|legacy\\.tar\\.gz)\\/(?:refs\\/heads\\/\\S+|${BRANCH}\\b)`,
    `https?:\\/\\/\\S+\\/-\\/archive\\/${BRANCH}\\/`,
    `https?:\\/\\/bitbucket\\.org\\/\\S+\\/get\\/${BRANCH}\\.`,
    "https?:\\/\\/api\\.github\\.com\\/repos\\/[^/\\s]+\\/[^/\\s]+\\/(?:tarball|zipball)(?:\\s|$|\\/(?:main|master))",
  ].join("|"),
);
/** Programs that only name a repository's address. */
const NAMES_ONLY = new Set(
  "echo printf export git-lfs set test sed grep awk apk apt apt-get dpkg label add-apt-repository helm yq jq gem cat".split(
    " ",
  ),
);
/** Folders for tools. Apps are not served from there. */
const TOOL_FOLDER = /^(\/tmp|\/var\/tmp|\/usr|\/root|\/home|\/opt|~|\$HOME|\$\{HOME\})(\/|$)/;
/** Images of services, which a repository extends but does not write. */
const SERVICE_IMAGE =
  /(^|\/)(postgres|postgis|mysql|mariadb|mongo|redis|rabbitmq|elasticsearch|nginx|httpd|caddy|traefik|haproxy|vault|keycloak|jenkins|grafana|prom)[\w./-]*(:|@|$)/i;

/** Findings for content that enters an image from outside its context, so that no cache key contains it. */
export function sourceFindings(
  build: Build,
  executed: readonly Executed[],
  around: { readonly ownership: Ownership; readonly isKept: boolean; readonly noCache: boolean },
): Finding[] {
  const path = build.dockerfile;
  const isApp = !executed.some(({ brings }) => brings === "context");
  return executed.flatMap((one): Finding[] => {
    const { step } = one;
    const findings: Finding[] = [];
    const add = (severity: Finding["severity"], why: string, found: string, fix: string) =>
      findings.push({ rule: "source-past-context", severity, path, line: step.line, why, found, fix });
    for (const origin of one.origins)
      if (origin.kind === "image" && !build.contexts?.includes(origin.image)) {
        const image = imageName(origin.image);
        if (image && isMovingTag(image) && isOwn(image, around.ownership))
          add(
            "warning",
            `the files come from the image ${origin.image}, whose tag moves: a builder that has an image of this name takes it as it is`,
            origin.image,
            `Build with --pull, or name the image at line ${step.line} by its digest.`,
          );
      }
    if (step.keyword === "ADD" && !step.flags.some(({ name }) => name === "checksum"))
      for (const source of one.sources.filter((each) => isMovingSource(each)))
        add(
          "warning",
          `${source} is another thing after each push to its branch, without a commit of this repository`,
          `ADD ${source}`,
          `Name a tag or a commit at line ${step.line}, or give a checksum: ADD --checksum=sha256:HASH.`,
        );
    if (step.keyword !== "RUN" || one.reruns || around.noCache) return findings;
    const fetched = fetchedBy(one) ?? (isApp ? latestOf(one) : undefined);
    if (fetched === undefined || SERVICE_IMAGE.test(one.stage.image)) return findings;
    const isTest = /(^|[-_])(dev|test|ci|pr|debug)/.test(one.stage.name);
    const isWhole =
      /\s\.(\/)?$/.test(fetched) ||
      fetched.endsWith(` ${one.workdir}`) ||
      /\s\/(app|srv|code)(\/\S*)?$/.test(fetched);
    const isError = isApp && !isTest && isWhole && around.isKept && /^git clone/.test(fetched);
    add(
      isError ? "error" : "warning",
      isError
        ? "the app itself is fetched in this step, whose cache key is its text: while the builder has the layer, no new commit comes in"
        : "the cache key of this step is its text: while a builder has the layer, what was fetched first is served",
      fetched,
      `COPY the sources, or name a commit, a tag or a release at line ${step.line}.`,
    );
    return findings;
  });
}

function isMovingSource(source: string): boolean {
  if (MOVING_ARCHIVE.test(source)) return true;
  const isGit = /\.git([#/]|$)|^git@|^git:/.test(source);
  const reference = source.split("#")[1]?.split(":")[0] ?? "";
  return isGit && !FULL_COMMIT.test(reference) && !/\d/.test(reference);
}

/** The command that fetches source without a fixed version, or undefined. */
function fetchedBy({ commands, step, stage, workdir }: Executed): string | undefined {
  const text = [step.text, ...step.heredocs.map(({ body }) => body)].join("\n");
  if (FULL_COMMIT.test(text) || PINNED_BY_VARIABLE.test(text)) return undefined;
  const environment = sideOf(stage.env, 0);
  let folder = workdir;
  for (const command of commands) {
    const { program, args } = programOf(command);
    // With the values that the build sets for its variables.
    const filled =
      args.length === 0 ? [] : command.words.slice(-args.length).map((word) => expand(word, environment));
    const whole = [program, ...filled].join(" ");
    if (program === "cd" && filled[0] !== undefined)
      folder = /^[~$]/.test(filled[0]) ? filled[0] : posix.resolve(folder, filled[0]);
    if (whole.length > 2000 || PINNED.test(whole)) continue;
    const rest = text.slice(text.indexOf(args[0] ?? ""));
    if (program === "git" || program === "gh" || program === "hg" || program === "svn") {
      const words = filled.filter(
        (arg, at) =>
          !arg.startsWith("-") && !/^(-C|-c|-b|--branch|--depth|-j|-o|--origin)$/.test(filled[at - 1] ?? ""),
      );
      const [action, ...operands] = program === "gh" ? words.slice(1) : words;
      if (!/^(clone|pull|fetch|checkout|co|export)$/.test(action ?? "")) continue;
      if (action === "checkout" && program === "git") continue;
      if (program === "git" && action === "clone" && !operands.some((word) => isRemote(word))) continue;
      if (
        /(^|\s|&&|;)git(\s+-\S+(\s+\S+)?)*\s+(checkout|reset --hard|switch)\s/.test(rest) &&
        PINNED.test(text)
      )
        continue;
      const target = operands[1] ?? ".";
      const place = /^[~$]/.test(target) ? target : posix.resolve(folder, target);
      const isTool =
        TOOL_FOLDER.test(place) && (!isBelow(place, workdir) || /^\.\w/.test(posix.basename(place)));
      if (action === "clone" && isTool) continue;
      return whole.slice(0, 200);
    }
    if (program === "curl" || program === "wget" || program === "aria2c") {
      if (MOVING_ARCHIVE.test(whole) && !TOOL_FOLDER.test(folder)) return whole.slice(0, 200);
      continue;
    }
    if (NAMES_ONLY.has(program)) continue;
    if (isUnnamedDefault(program, filled)) return whole.slice(0, 200);
    const named = filled.find(
      (arg) =>
        REPOSITORY.test(arg) &&
        REPOSITORY_HOST.test(arg) &&
        !/\.(sh|py|zip|whl|tar\.gz|tgz|deb|rpm|txt|json|jar)$/.test(arg),
    );
    // An installer that gets a repository without a branch uses the default branch.
    if (named !== undefined && isProgramOfClones(program, filled)) return whole.slice(0, 200);
  }
  return undefined;
}

function isProgramOfClones(program: string, args: readonly string[]): boolean {
  const text = args.join(" ");
  if (/^(pip\d?|uv|pipx|poetry)$/.test(program)) return /git\+/.test(text);
  if (/^(npm|yarn|pnpm|bun|npx)$/.test(program)) return /git\+|\.git\b|degit/.test(text);
  if (program === "cargo") return /--git\b/.test(text);
  if (program === "go") return false;
  return /\b(init|clone|create|new|install|get|get-app|download|fetch|path|repo|source|checkout|update)\b|(-path|-repo|-url|-branch|-source)/.test(
    text,
  );
}

/** The newest release as the app itself, in an image that copies nothing from its context. */
function latestOf({ commands, workdir }: Executed): string | undefined {
  for (const command of commands) {
    const { program, args } = programOf(command);
    const whole = [program, ...args].join(" ");
    if (whole.length > 2000) continue;
    const isFetch =
      /^(curl|wget)$/.test(program) &&
      /\/releases\/latest\/download\//.test(whole) &&
      !TOOL_FOLDER.test(workdir);
    const isInstall =
      program === "go" && args[0] === "install" && args.some((arg) => /@(latest|main|master)$/.test(arg));
    if (isFetch || isInstall) return whole.slice(0, 200);
  }
  return undefined;
}

/** `npx degit me/app .` and `npm install github:me/lib` take the default branch. */
function isUnnamedDefault(program: string, args: readonly string[]): boolean {
  if (!/^(npx|pnpx|bunx|npm|yarn|pnpm|bun|degit|tiged|giget)$/.test(program)) return false;
  const words = [program, ...args];
  const at = words.findIndex((word) => /^(degit|tiged|giget)(@[\w.]+)?$/.test(word));
  if (at >= 0) return words.slice(at + 1).some((word) => /^([a-z]+:)?[\w.-]+\/[\w./-]+$/.test(word));
  return args.some((word) => /^(github|gitlab|bitbucket):[\w.-]+\/[\w.-]+$/.test(word));
}

function isRemote(word: string): boolean {
  return (
    /^(https?|git|ssh):\/\//i.test(word) ||
    /^[\w.-]+@[\w.-]+:/.test(word) ||
    /\$/.test(word) ||
    /^[\w-]+\/[\w.-]+$/.test(word)
  );
}

function isBelow(path: string, folder: string): boolean {
  return folder !== "/" && (path === folder || path.startsWith(`${folder}/`));
}
