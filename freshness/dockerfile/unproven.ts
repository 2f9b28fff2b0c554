import { commandLine, NAMESPACE } from "../project";
import type { Finding } from "./finding";
import type { DockerfileInput } from "./input";
import { visibleFiles } from "./manifests";
import { chainOf, readStages, type Stage, stagesToKeep, targetStage } from "./stages";
import type { Executed } from "./state";

/** Finds what this program cannot prove or build, before the first build. */
export function unprovenFindings(
  { path, service, buildSecrets = [] }: DockerfileInput,
  executed: readonly Executed[],
): Finding[] {
  return executed.flatMap((one) => {
    const { step, mounts } = one;
    if (step.keyword !== "RUN") return [];
    const place = { path, line: step.line };
    const findings: Finding[] = [];
    const mount = one.brings === "context" ? mounts.find(({ from }) => from.kind === "context") : undefined;
    if (mount)
      findings.push({
        ...place,
        why: "RUN --mount=type=bind reads source from the build context and leaves no file of it in a layer, so that nothing can be compared with the commit",
        expected: "COPY of the source",
        found: `a mount of ${mount.source === "/" ? "the build context" : mount.source} at ${mount.target}`,
        remedy: `Remove the mount from line ${step.line} of ${path}, and put before it:\nCOPY ${mount.source === "/" ? "." : mount.source.replace(/^\//, "")} ${mount.target}\nMounts of manifests and lockfiles may stay.`,
      });
    const secret = step.flags
      .filter(({ name }) => name === "mount")
      .map(({ value }) => new Map(value.split(",").map((part) => part.split("=", 2) as [string, string])))
      .find((options) => /^(secret|ssh)$/.test(options.get("type") ?? ""));
    const id = secret?.get("id") ?? secret?.get("target")?.split("/").at(-1) ?? "default";
    const named = secret?.get("type") === "ssh" ? "ssh" : id;
    if (secret && !buildSecrets.includes(named))
      findings.push({ ...place, ...unknownSecret(secret.get("type") ?? "", id, service, path, step.line) });
    return findings;
  });
}

/**
 * Finds stages that must be built separately but have no name, which BuildKit requires, and copies that cannot be
 * compared.
 */
export function stageFindings(input: DockerfileInput): Finding[] {
  const { path, dockerfile, args, platform, contextFiles, dockerignore } = input;
  const files = contextFiles && visibleFiles(contextFiles, dockerignore);
  const stages = readStages(dockerfile, args, undefined, { platform, files });
  const target = targetStage(stages, input.target);
  const kept = stagesToKeep(stages, target);
  const built = new Set([target, ...kept].flatMap((stage) => chainOf(stages, stage)));
  const refused = [...built].flatMap(({ steps }) =>
    steps.flatMap(({ line, text, copy }) =>
      copy?.refusal === undefined
        ? []
        : [
            {
              path,
              line,
              why: copy.refusal,
              expected: "copies that can be compared with the commit",
              found: text,
              remedy: copyRemedy(path, line),
            },
          ],
    ),
  );
  return [...unnamed(path, dockerfile, kept), ...refused];
}

/** What to do about a copy that cannot be compared with the commit. */
export function copyRemedy(path: string, line: number): string {
  return `Change line ${line} of ${path} as it says, commit, and deploy again.`;
}

function unnamed(path: string, dockerfile: string, kept: readonly Stage[]): Finding[] {
  const lines = dockerfile.split("\n");
  return kept
    .filter(({ name }) => name === undefined)
    .map(({ line, index }) => {
      const from = (lines[line - 1] ?? "").trim();
      return {
        path,
        line,
        why: "the stage brings sources and has no name, so that it cannot be built on its own and compared with the commit",
        expected: "FROM ... AS NAME",
        found: from,
        remedy: `Name it in line ${line} of ${path}: ${from} AS stage${index} (COPY --from=${index} may stay), commit, and deploy again.`,
      };
    });
}

function unknownSecret(type: string, id: string, service: string, path: string, line: number) {
  if (type === "ssh")
    return {
      why: `RUN --mount=type=ssh needs an ssh agent, and ${NAMESPACE}:services.${service}.buildSecrets does not name it`,
      expected: "buildSecrets.ssh",
      found: `--mount=type=ssh at line ${line} of ${path}`,
      remedy: `Pass the ssh agent of the machine that deploys: ${commandLine(`pulumi config set --path '${NAMESPACE}:services.${service}.buildSecrets.ssh.env' SSH_AUTH_SOCK`)}`,
    };
  return {
    why: `RUN --mount=type=secret needs the secret "${id}", and ${NAMESPACE}:services.${service}.buildSecrets does not name it`,
    expected: `buildSecrets.${id}`,
    found: "no such build secret",
    remedy: `Set it: ${commandLine(`pulumi config set --secret --path '${NAMESPACE}:services.${service}.buildSecrets.${id}' VALUE`)}, with "" as the value where the build does without it.`,
  };
}
