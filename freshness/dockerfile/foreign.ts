import type { Finding } from "./finding";
import { isRemote } from "./replay";
import { programOf } from "./shell";
import type { Executed } from "./state";

const DIGEST = /@sha256:[0-9a-f]{64}$/;
/** A tag that names a version. Such an image is watched like the images of FROM. */
const VERSION_TAG = /:[\w.-]*\d[\w.-]*$/;

/** Whether a reference is as exact as FROM requires: a digest or a tag with a version. */
function isPinnedImage(image: string): boolean {
  return DIGEST.test(image) || VERSION_TAG.test(image);
}
const FULL_COMMIT = /\b[0-9a-f]{40}([0-9a-f]{24})?\b/;
/** Options of git that take the next word as value. */
const GIT_OPTIONS = new Set(["-C", "-c", "--git-dir", "--work-tree", "--namespace"]);
/** Archive of a branch. Its content changes with the branch. */
const MOVING_ARCHIVE =
  /https?:\/\/\S+\/(archive\/(refs\/heads\/\S+|(main|master|develop|trunk|HEAD)\.(tar\.gz|tgz|zip|tar\.bz2))|(tarball|zipball|tar\.gz|zip)\/(refs\/heads\/\S+|main|master|develop|trunk|HEAD)\b)/;

/** Finds source that enters the build past its context. No commit determines that source. */
export function foreignFindings(path: string, executed: readonly Executed[]): Finding[] {
  return executed.flatMap((one) => {
    const { step } = one;
    const place = { path, line: step.line };
    const findings: Finding[] = [];
    const from = step.keyword === "COPY" ? step.flags.find(({ name }) => name === "from")?.value : undefined;
    if (from?.includes("$"))
      return [
        {
          ...place,
          why: `COPY has a variable in --from, where BuildKit expands none`,
          expected: "the name of a stage or of an image",
          found: `--from=${from}`,
          remedy: `Make it a stage before this one in ${path}, such as FROM ${from} AS tools with the ARG before the first FROM, and write --from=tools in line ${step.line}.`,
        },
      ];
    for (const { kind, ...origin } of one.origins)
      if (kind === "image" && "image" in origin && !isPinnedImage(origin.image))
        findings.push({
          ...place,
          why: `${step.keyword === "RUN" ? "RUN --mount" : step.keyword} takes files from the image ${origin.image}, whose tag can move to another image`,
          expected: `a stage of this file, or the image with a version's tag or its digest`,
          found: origin.image,
          remedy: `Name the version of the image at line ${step.line} of ${path}, such as --from=${nameOf(origin.image)}:1.2, or its digest: --from=${origin.image}@sha256:DIGEST (docker buildx imagetools inspect ${origin.image}).`,
        });
    if (step.keyword === "ADD" && !step.flags.some(({ name }) => name === "checksum"))
      for (const source of one.sources)
        if (isRemote(source) && !FULL_COMMIT.test(source.split("#")[1] ?? ""))
          findings.push({
            ...place,
            why: `ADD fetches ${source}, which is not in the build context and can change without a commit`,
            expected: "files of the build context, or --checksum",
            found: `ADD ${source}`,
            remedy: `Put the file into the repository and COPY it, or pin it at line ${step.line} of ${path}: ADD --checksum=sha256:HASH ${source} ...`,
          });
    if (step.keyword === "RUN") {
      const fetched = fetches(one);
      if (fetched !== undefined)
        findings.push({
          ...place,
          why: `RUN fetches source from outside the build context (${fetched}), so that the image is not built from the commit alone`,
          expected: "source from the build context, or a full commit id to check out",
          found: fetched,
          remedy: `Make it part of the repository (a git submodule, or a dependency in the lockfile), or pin it in the same RUN at line ${step.line} of ${path}: git checkout COMMIT, with all 40 digits.`,
        });
    }
    return findings;
  });
}

function nameOf(image: string): string {
  return image.replace(/:[^/:]*$/, "");
}

/** The command that fetches source from the network without pinning it; undefined if there is none. */
function fetches({ commands, step }: Executed): string | undefined {
  const text = [step.text, ...step.heredocs.map(({ body }) => body)].join("\n");
  if (FULL_COMMIT.test(text)) return undefined;
  for (const command of commands) {
    const { program, args } = programOf(command);
    const whole = [program, ...args].join(" ");
    if (program === "git") {
      const action = gitAction(args);
      const isLocal = !args.some((arg) => isRemoteGit(arg));
      if (action === "pull" || action === "fetch" || (action === "clone" && !isLocal)) return whole;
    }
    if ((program === "curl" || program === "wget") && MOVING_ARCHIVE.test(whole)) return whole;
  }
  return undefined;
}

function gitAction(args: readonly string[]): string | undefined {
  let isValue = false;
  for (const arg of args) {
    if (isValue) isValue = false;
    else if (GIT_OPTIONS.has(arg)) isValue = true;
    else if (!arg.startsWith("-")) return arg;
  }
  return undefined;
}

function isRemoteGit(word: string): boolean {
  return /^(https?|git|ssh):\/\//i.test(word) || /^[\w.-]+@[\w.-]+:/.test(word);
}
