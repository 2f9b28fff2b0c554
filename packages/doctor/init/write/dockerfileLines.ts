import { posix } from "node:path";
import { COMMIT_ARG } from "../../../../freshness/dockerfile/finding";
import type { Executed, StageState } from "../../../../freshness/dockerfile/state";
import { type Build, stepsOf } from "../../builds";
import { commitLines, uncommitted } from "../../proof";
import type { Repository } from "../../repository";
import { withLines } from "./change";

export const COMMIT_FILE = "/app/COMMIT";
/** More rounds than a Dockerfile has stages. */
const ROUNDS = 20;
/** Folders that servers of static files serve by default. */
const ROOTS =
  /^\/(usr\/share\/(nginx\/html|caddy)|var\/www(\/html)?|usr\/local\/apache2\/htdocs|srv(\/\w+)?)$/;

/**
 * A Dockerfile with the lines that tie its image to a commit: the commit before the sources in each stage, and the
 * commit's file in the last one.
 */
export function withCommit(repository: Repository, build: Build, written: string): string {
  let text = written;
  const steps = () => stepsOf(holding(repository, build, text), build);
  for (let round = 0; round < ROUNDS; round++) {
    const ran = steps();
    const first = uncommitted(ran)[0];
    if (!first) break;
    const declared = first.argument === "in force" ? [] : [`ARG ${COMMIT_ARG}`];
    const next = withLines(text, first.step.line, [...declared, ...commitLines(first, ran)]);
    if (next === text) break;
    text = next;
  }
  const executed = steps();
  const last = executed.at(-1)?.stage;
  if (!last || writesCommit(executed, last)) return text;
  const owner = executed.find(({ stage }) => stage !== last && writesCommit(executed, stage))?.stage;
  // A program of the last stage may write the file.
  if (!owner && last.files.has(COMMIT_FILE)) return text;
  return withLines(
    text,
    endOf(text, executed, last),
    owner
      ? [`COPY --from=${sourceName(owner)} ${COMMIT_FILE} ${COMMIT_FILE}`]
      : [`ARG ${COMMIT_ARG}`, ...linesIn(executed, last)],
  );
}

/** The folder that a server of static files in the last stage serves; undefined if no COPY fills one. */
export function documentRoot(executed: readonly Executed[]): string | undefined {
  const last = executed.at(-1)?.stage;
  return executed
    .filter(({ stage, step }) => stage === last && step.keyword !== "RUN")
    .map(({ destination }) => destination?.folder)
    .find((folder) => folder !== undefined && ROOTS.test(folder));
}

/** A Dockerfile that writes the version's answer into the folder of its static files. */
export function withVersionFile(repository: Repository, build: Build, written: string, name: string): string {
  const executed = stepsOf(holding(repository, build, written), build);
  const last = executed.at(-1)?.stage;
  const root = documentRoot(executed);
  if (!last || root === undefined || written.includes(posix.join(root, name))) return written;
  const run = `RUN printf '{"commit":"%s"}' "$(cat ${COMMIT_FILE})" > ${posix.join(root, name)}`;
  const [user] = last.user;
  const isRoot = (user === "" || /^(root|0)(:|$)/.test(user)) && !/unprivileged/.test(last.image);
  const owner = user === "" ? "nginx" : user;
  return withLines(
    written,
    endOf(written, executed, last),
    isRoot ? [run] : ["USER root", run, `USER ${owner}`],
  );
}

/** The repository with another text of the Dockerfile. */
function holding(repository: Repository, build: Build, text: string): Repository {
  return { ...repository, texts: new Map([...repository.texts, [build.dockerfile, text]]) };
}

/** Whether a stage's commit file holds the commit, by what its steps say. */
function writesCommit(executed: readonly Executed[], { files }: StageState): boolean {
  const [commit] = executed.flatMap(({ stage }) => stage.env.get(COMMIT_ARG) ?? []);
  const [text = ""] = files.get(COMMIT_FILE) ?? [];
  return commit !== undefined && text.includes(commit);
}

const sourceName = (stage: StageState) => (/^stage-\d+$/.test(stage.name) ? String(stage.index) : stage.name);

function linesIn(executed: readonly Executed[], last: StageState): string[] {
  const one = executed.findLast(({ stage }) => stage === last);
  return one ? commitLines(one, executed) : [];
}

/** The line behind the last step of a stage that is not about how its container starts. */
function endOf(text: string, executed: readonly Executed[], stage: StageState): number {
  const own = executed.filter((one) => one.stage === stage);
  const ends = own.findLast(
    ({ step }) => !/^(CMD|ENTRYPOINT|EXPOSE|HEALTHCHECK|STOPSIGNAL|USER|LABEL|VOLUME)$/.test(step.keyword),
  );
  const after = own.find(({ step }) => step.line > (ends?.step.line ?? stage.line));
  if (after) return after.step.line;
  return text.endsWith("\n") ? text.split("\n").length : text.split("\n").length + 1;
}
