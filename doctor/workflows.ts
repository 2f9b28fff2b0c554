import { COMMIT_ARG } from "../freshness/dockerfile/finding";
import type { Diagnosis } from "./finding";
import type { ActionStep } from "./pipelines";

/** What the steps of a workflow that build images take from a cache, or do not pass. */
export function actionFindings(
  step: ActionStep,
  isForeign: (context: string, file: string | undefined) => boolean,
): Diagnosis[] {
  if (step.action !== "docker/build-push-action" && step.action !== "docker/bake-action") return [];
  const { path, inputs } = step;
  const findings: Diagnosis[] = [];
  const add = (
    rule: string,
    severity: Diagnosis["severity"],
    line: number,
    why: string,
    found: string,
    fix: string,
  ) => findings.push({ rule, severity, path, line, why, found, fix });
  for (const key of ["cache-from", "cache-to"] as const) {
    const given = linesOf(inputs.at(key).text);
    if (given.length === 0) continue;
    const what = `${key}: ${given.join(", ")}`;
    const line = inputs.lineOf(key);
    if (key === "cache-from")
      add(
        key,
        "error",
        line,
        "cache-from gives layers of an earlier build to this one",
        what,
        `Remove ${key}.`,
      );
    else
      add(key, "warning", line, "cache-to keeps this build's layers for later ones", what, `Remove ${key}.`);
  }
  const args = linesOf(inputs.at("build-args").text);
  if (args.some((arg) => /^BUILDKIT_INLINE_CACHE(=|$)/.test(arg)))
    add(
      "inline-cache",
      "error",
      inputs.lineOf("build-args"),
      "an inline cache in the image gives old layers back to the next build",
      "BUILDKIT_INLINE_CACHE",
      "Remove BUILDKIT_INLINE_CACHE from build-args.",
    );
  const isPassed = args.some((arg) => arg.split("=")[0] === COMMIT_ARG || arg.startsWith("${{"));
  const file = inputs.at("file").text;
  if (step.action === "docker/build-push-action" && !isPassed)
    if (!isForeign(inputs.at("context").text ?? ".", file))
      add(
        "commit-not-passed",
        "error",
        step.line,
        "the build is not told its commit, so that nothing in its layers depends on it: a new commit can be given old layers",
        `build-args without ${COMMIT_ARG}`,
        `Add to its inputs build-args: ${COMMIT_ARG}=\${{ github.sha }}.`,
      );
  return findings;
}

function linesOf(text: string | undefined): string[] {
  return (text ?? "")
    .split("\n")
    .map((line) => line.trim())
    .filter((line) => line !== "");
}
