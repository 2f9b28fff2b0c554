import { posix } from "node:path";
import { COMMIT_ARG } from "../../freshness/dockerfile/finding";
import type { Executed } from "../../freshness/dockerfile/state";
import type { Build, Use } from "./builds";
import type { Finding } from "./finding";

/** A build, with what is known about its commit. */
export interface Judged {
  readonly build: Build;
  readonly executed: readonly Executed[];
  readonly uses: readonly Use[];
}

/** Files that configure a program and are not its source. */
const CONFIGURATION =
  /\.(conf|cnf|cfg|ini|ya?ml|json|toml|properties|env|xml|sh|bash|sql|crt|pem|cer|key|txt|lua|vcl|hcl|rules|tmpl|template|list|gpg|repo)$|(^|\/)(Caddyfile|supervisord?\S*|crontab|[\w.-]*entrypoint[\w.-]*|nginx|\.\w+rc|Procfile)$/i;

/** Whether a step only copies named configuration files. */
function isConfigurationOnly({ sources, step }: Executed): boolean {
  if (step.keyword === "RUN") return false;
  return (
    sources.length > 0 &&
    sources.every((source) => !source.endsWith("/") && !/[*?]/.test(source) && CONFIGURATION.test(source))
  );
}

/** Whether the image is made from the repository's source, and not only from third-party programs and configuration. */
export function isFromSource(executed: readonly Executed[]): boolean {
  return executed.some((one) => one.brings === "context" && !isConfigurationOnly(one));
}

/** Whether the commit is passed, and is in the cache key of each layer made from source. */
export function isProven({ executed, uses }: Judged): boolean {
  const brought = executed.filter(({ brings }) => brings === "context");
  return brought.length > 0 && brought.every(({ reruns }) => reruns) && uses.every(({ isTold }) => isTold);
}

/** Maximum number of services in the fix of one note. */
const MOST = 10;

/** One note for the repository: how it can prove which commit is served. */
export function proofNote(judged: readonly Judged[]): Finding[] {
  const open = judged.filter(
    (one) =>
      isFromSource(one.executed) &&
      !isProven(one) &&
      // A build without a cache needs no proof.
      !(one.uses.length > 0 && one.uses.every(({ noCache, isCheck }) => noCache || isCheck)),
  );
  const byFile = [...new Map(open.map((one) => [one.build.dockerfile, one])).values()].sort((a, b) =>
    a.build.dockerfile < b.build.dockerfile ? -1 : 1,
  );
  const [first] = byFile;
  if (!first) return [];
  const names = byFile.map(({ build }) => build.dockerfile);
  const untold = byFile.flatMap(({ uses }) =>
    uses.flatMap(({ via, isTold }) => (via && !isTold ? [`${via.path}:${via.line}`] : [])),
  );
  return [
    {
      rule: "commit-not-proven",
      severity: "note",
      path: first.build.dockerfile,
      line: unreached(first.executed)[0]?.step.line ?? 1,
      why: `nothing ties the layers of ${names.length === 1 ? "this image" : `${names.length} images`} to a commit (${names.slice(0, MOST).join(", ")}${names.length > MOST ? ", …" : ""}): whoever asks what is served cannot tell`,
      found:
        untold.length > 0
          ? `no commit passed at ${[...new Set(untold)].slice(0, MOST).join(", ")}`
          : `no commit in the keys of ${names.length === 1 ? "its" : "their"} layers`,
      fix: [
        `Pass the commit to each build (--build-arg ${COMMIT_ARG}="$(git rev-parse HEAD)").`,
        ...byFile.slice(0, MOST).flatMap(linesFor),
      ].join("\n"),
    },
  ];
}

/** The steps that bring files without the commit in their key. A deploy refuses them, configuration too. */
export function uncommitted(executed: readonly Executed[]): Executed[] {
  return executed.filter((one) => one.brings === "context" && !one.reruns && one.step.keyword !== "RUN");
}

/** Those of them that bring more than configuration. */
function unreached(executed: readonly Executed[]): Executed[] {
  return uncommitted(executed).filter((one) => !isConfigurationOnly(one));
}

/**
 * The lines to add to a Dockerfile. They must build with the current user, and without a shell if the image has none.
 */
function linesFor({ build, executed }: Judged): string[] {
  // From the end, so that the line numbers stay correct.
  const firsts = [
    ...new Map([...unreached(executed)].reverse().map((one) => [one.stage.index, one])).values(),
  ];
  return firsts.map((one) => {
    const declared = one.argument === "in force" ? [] : [`ARG ${COMMIT_ARG}`];
    const added = commitLines(one, executed);
    // Engines before 23 support inline files only with this line.
    const syntax = added[0]?.includes("<<EOF")
      ? [`# before Docker 23, line 1 has to be: # syntax=docker/dockerfile:1`]
      : [];
    const lines = [...declared, ...added, ...syntax];
    return [`Add before line ${one.step.line} of ${build.dockerfile}:`, ...lines].join("\n");
  });
}

const COMMIT_FILE = "/app/COMMIT";
const NO_SHELL =
  /(^|\/)(scratch|distroless|static|base-nossl|chiseled)([:/@-]|$)|distroless|^cgr\.dev\/|chiseled/i;

/** The lines that write the commit, for the current user of a stage and for an image without a shell. */
export function commitLines({ stage, shell, step }: Executed, executed: readonly Executed[]): string[] {
  // BuildKit expands it, so it needs no shell and no write permission.
  if (NO_SHELL.test(stage.image) || stage.image === "scratch" || !/sh$/.test(shell[0] ?? ""))
    return [`COPY <<EOF ${COMMIT_FILE}`, `\${${COMMIT_ARG}}`, "EOF"];
  const run = `RUN mkdir -p ${posix.dirname(COMMIT_FILE)} && printf '%s' "$${COMMIT_ARG}" > ${COMMIT_FILE}`;
  const own = executed.findLast(
    (one) => one.stage === stage && one.step.keyword === "USER" && one.step.line < step.line,
  );
  const user = own?.step.text.trim() ?? stage.parent?.user[0] ?? "";
  if (user === "" || /^(root|0)(:|$)/.test(user)) {
    if (isRootless(stage.image)) return [`COPY <<EOF ${COMMIT_FILE}`, `\${${COMMIT_ARG}}`, "EOF"];
    return [run];
  }
  return ["USER root", run, `USER ${user}`];
}

/** Images whose default user is not root. */
function isRootless(image: string): boolean {
  return /unprivileged|nonroot|rootless|bitnami|jenkins|circleci|cimg\/|sonarqube|keycloak|selenium|puppeteer|playwright-user/i.test(
    image,
  );
}
