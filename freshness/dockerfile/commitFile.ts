import { posix } from "node:path";
import { NAMESPACE } from "../project";
import { COMMIT_ARG, type Finding } from "./finding";
import type { DockerfileInput } from "./input";
import { reached, reaches } from "./manifests";
import type { Executed, StageState } from "./state";

/**
 * Finds an image that certainly lacks the commit file. No step of its last stage writes the file, runs a program that
 * could write it, or copies it from a stage that may have it. If the Dockerfile leaves this open, the check of the
 * image decides.
 */
export function commitFileFindings(
  { path, commitFile, service }: DockerfileInput,
  executed: readonly Executed[],
  target: StageState | undefined,
): Finding[] {
  if (commitFile === "" || target === undefined || mayHold(executed, target, commitFile, new Set()))
    return [];
  const last = executed.filter(({ stage }) => stage === target).at(-1);
  const line = last?.step.line ?? target.line;
  const owner = executed.find(({ stage }) => stage !== target && stage.files.has(commitFile))?.stage;
  const copied = owner && `COPY --from=${owner.name} ${commitFile} ${commitFile}`;
  const folder = posix.dirname(commitFile);
  const made = folder === "/" ? "" : `mkdir -p ${folder} && `;
  const lines = copied ?? `ARG ${COMMIT_ARG}\nRUN ${made}printf '%s' "$${COMMIT_ARG}" > ${commitFile}`;
  return [
    {
      path,
      line,
      why: `the stage that the image is made from has no ${commitFile}: no step of it writes or copies that file`,
      expected: `${commitFile}, written from ${COMMIT_ARG} or copied from the stage that writes it`,
      found: owner ? `${commitFile} only in stage "${owner.name}"` : "no such file",
      remedy: `Add at the end of that stage in ${path}:\n${lines}\nor name the file that it has in ${NAMESPACE}:services.${service}.commitFile.`,
    },
  ];
}

/** Whether a stage may have a file at a path. */
function mayHold(
  executed: readonly Executed[],
  stage: StageState,
  path: string,
  asked: Set<string>,
): boolean {
  const key = `${stage.index} ${path}`;
  if (asked.has(key)) return false;
  asked.add(key);
  if (stage.files.has(path)) return true;
  const own = executed.filter((one) => one.stage === stage);
  const found = own.some((one) => {
    if (one.opaque) return true;
    if (one.destination === undefined) return false;
    const places = placesOf(one.destination, one.sources, path);
    return places.some((place) => {
      const origin = one.origins[0];
      if (place === undefined || origin?.kind !== "stage") return true;
      return mayHold(executed, origin.stage, place, asked);
    });
  });
  return found || (stage.parent !== undefined && mayHold(executed, stage.parent, path, asked));
}

/** Source paths of a file that a copy puts at a path. Undefined stands for an unknown path. */
function placesOf(
  { folder, isFolder }: NonNullable<Executed["destination"]>,
  sources: readonly string[],
  path: string,
): (string | undefined)[] {
  if (path !== folder && !path.startsWith(folder === "/" ? "/" : `${folder}/`)) return [];
  const below = posix.relative(folder, path);
  return sources.flatMap((source) => {
    if (/[*?[]/.test(source)) return [undefined];
    const from = posix.resolve("/", source);
    const name = posix.basename(from);
    // A source may be a folder or a file. A folder's content goes to the target. A file keeps its name or takes the
    // target's.
    const asFolder = [posix.join(from, below)];
    const asFile = below === name || (!isFolder && below === "") ? [from] : [];
    return [...asFolder, ...asFile].filter((place) => reaches(source, place) && reached(source, place));
  });
}
