import { type Break, broken, type Verdict } from "./chain";
import { commitFileFindings } from "./dockerfile/commitFile";
import { dependencyFindings } from "./dockerfile/dependencies";
import { type Finding, summary } from "./dockerfile/finding";
import { foreignFindings } from "./dockerfile/foreign";
import type { DockerfileInput } from "./dockerfile/input";
import { type Context, visibleFiles } from "./dockerfile/manifests";
import { parseDockerfile } from "./dockerfile/parse";
import { reachFindings } from "./dockerfile/reach";
import { findTarget, replayTarget } from "./dockerfile/replay";
import type { Executed, StageState } from "./dockerfile/state";
import { swallowedFindings } from "./dockerfile/swallowed";
import { stageFindings, unprovenFindings } from "./dockerfile/unproven";
import { NAMESPACE } from "./project";
import { must } from "./sure";

/** A step that brings source into a stage that the target needs. */
export interface SourceStep {
  readonly line: number;
  readonly stage: string;
  /** The build context, or a stage that contains source. */
  readonly from: "context" | "stage";
  /** Whether BuildKit runs it again for another commit with the same files. */
  readonly reruns: boolean;
}

/**
 * Predicts for each step that brings source whether BuildKit runs it for a new commit with the same files.
 * tests/engine/dockerfileRule.test.ts compares the prediction with the engine.
 */
export function sourceSteps(input: DockerfileInput): SourceStep[] {
  const { executed } = analyse(input, false);
  return executed.flatMap(({ step, stage, brings, reruns }) =>
    brings ? [{ line: step.line, stage: stage.name, from: brings, reruns }] : [],
  );
}

/** Subjects of findings in a Dockerfile. */
type DockerfileRule = "unreadable" | "target" | "reach" | "foreign" | "swallowed" | "dependencies";

/** Finds everything that would let a build from this Dockerfile contain anything but the commit. */
export function dockerfileFindings(input: DockerfileInput): Finding[] {
  return Object.values(findingsByRule(input))
    .flat()
    .sort((a, b) => (a.line ?? 0) - (b.line ?? 0));
}

/** The same findings, by subject. */
function findingsByRule(input: DockerfileInput): Partial<Record<DockerfileRule, Finding[]>> {
  const { path } = input;
  const { file, executed } = analyse(input, true);
  if (file.problems.length > 0)
    return {
      unreadable: file.problems.map(({ line, what }) => ({
        path,
        line,
        why: `the Dockerfile cannot be read: ${what}`,
        expected: "a Dockerfile that BuildKit can read",
        found: what,
        remedy: `Correct line ${line} of ${path}.`,
      })),
    };
  if (!findTarget(file, input.target)) {
    const names = file.stages.map(({ name }) => name).filter((name) => name !== "");
    const target = [
      {
        path,
        line: must(file.stages.at(-1), "stage in a Dockerfile without problems").line,
        why: `there is no stage "${input.target}"`,
        expected: `a stage named "${input.target}" (BuildKit takes a target by name only)`,
        found: names.length > 0 ? `stages ${names.join(", ")}` : "no named stage",
        remedy: `Name the stage in ${path}, FROM ... AS ${input.target}, or set ${NAMESPACE}:services.${input.service}.target.`,
      },
    ];
    return { target };
  }
  return {
    reach: reachFindings(path, file, executed, input.commitFile),
    foreign: foreignFindings(path, executed),
    swallowed: swallowedFindings(path, executed),
    dependencies: input.dependencies ? dependencyFindings(input, input.dependencies) : [],
  };
}

/** Judges a service's Dockerfile. The commit must reach every layer that is made from source. */
export function dockerfileVerdict(input: DockerfileInput): Verdict | Break {
  const { service, path } = input;
  const findings = dockerfileFindings(input);
  if (findings.length > 0) return broken({ link: "dockerfile", service, ...summary(findings) });
  const { file, executed, last } = analyse(input, false);
  const more = [
    ...unprovenFindings(input, executed),
    ...stageFindings(input),
    ...commitFileFindings(input, executed, last),
  ];
  if (more.length > 0) return broken({ link: "dockerfile", service, ...summary(more) });
  const steps = sourceSteps(input).filter(({ from }) => from === "context");
  const stages = file.stages.length === 1 ? "1 stage" : `${file.stages.length} stages`;
  const lines = steps.map(({ line }) => line).join(", ");
  return {
    link: "dockerfile",
    service,
    status: "proven",
    expected: "the commit reaches every layer made from source",
    found: "a step that depends on GIT_COMMIT_HASH comes before each",
    evidence:
      steps.length > 0
        ? `${path}: ${stages}, source is copied at line ${lines}`
        : `${path}: ${stages}, source is written in the file itself`,
  };
}

function analyse(
  input: DockerfileInput,
  mend: boolean,
): { file: ReturnType<typeof parseDockerfile>; executed: Executed[]; last: StageState | undefined } {
  const file = parseDockerfile(input.dockerfile);
  const context: Context = input.contextFiles
    ? { files: visibleFiles(input.contextFiles, input.dockerignore) }
    : {};
  const { args, platform, commitFile } = input;
  const target = input.target === undefined ? {} : { target: input.target };
  if (file.problems.length > 0) return { file, executed: [], last: undefined };
  const replayed = replayTarget({
    dockerfile: file,
    ...target,
    args,
    platform,
    commitFile,
    mend,
    ...context,
  });
  return { file, executed: replayed.executed, last: replayed.target };
}
