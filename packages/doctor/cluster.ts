import { importFinding } from "./caches";
import { isCommitGiven } from "./commitArgument";
import type { Finding } from "./finding";
import { imageName, isMovingTag, isOwn, type Ownership } from "./images";
import { parseYaml, type Yaml } from "./yaml";

/** Whether a file may contain Kubernetes objects or the values of a chart. */
export function isManifest(path: string, text: string): boolean {
  return (
    /\.(ya?ml|json)$/.test(path) &&
    /^[ \t]*["']?(apiVersion|kind)["']?[ \t]*:/m.test(text) &&
    /\bimage["']?\s*:/.test(text)
  );
}
export const isValues = (path: string) => /(^|\/)values[\w.-]*\.ya?ml$/.test(path);
export const isKustomization = (path: string) => /(^|\/)kustomization\.ya?ml$/.test(path);
export const isKamal = (path: string, text: string) =>
  /(^|\/)config\/deploy[\w.-]*\.ya?ml$/.test(path) && /^image\s*:/m.test(text);

/** Finds containers whose node keeps its existing image for a moving tag. */
export function manifestFindings(
  path: string,
  text: string,
  ownership: Ownership,
  isOnlyApplied = false,
): Finding[] {
  const findings: Finding[] = [];
  const seen = new Set<Yaml>();
  const visit = (node: Yaml, depth: number): void => {
    if (depth > 16 || seen.has(node)) return;
    seen.add(node);
    for (const item of node.items) visit(item, depth + 1);
    for (const { key, value } of node.entries) {
      if (/^(containers|initContainers)$/.test(key))
        for (const container of value.items) {
          const image = container.at("image");
          const policy = container.at("imagePullPolicy").text;
          findings.push(
            ...nodeFindings(path, image.line, image.text ?? "", policy, ownership, isOnlyApplied),
          );
        }
      visit(value, depth + 1);
    }
  };
  for (const document of parseYaml(text)) visit(document, 0);
  return findings;
}

function nodeFindings(
  path: string,
  line: number,
  written: string,
  policy: string | undefined,
  ownership: Ownership,
  isOnlyApplied = false,
): Finding[] {
  const image = imageName(written);
  if (!image || !isMovingTag(image) || !isOwn(image, ownership)) return [];
  // Without a policy, only `latest` is pulled each time.
  const isPulled =
    policy === "Always" || (policy === undefined && (image.tag === undefined || image.tag === "latest"));
  if (isPulled && !isOnlyApplied) return [];
  if (isPulled)
    return [
      {
        rule: "image-not-pulled",
        severity: "warning",
        path,
        line,
        why: `${written} stays the same text: kubectl apply replaces no pod unless something else in the object changes, and no script here restarts the rollout`,
        found: `image: ${written}`,
        fix: "Name the image by its digest or by a tag of its commit (kubectl set image), or run kubectl rollout restart after the push.",
      },
    ];
  return [
    {
      rule: "image-not-pulled",
      severity: "warning",
      path,
      line,
      why: `a node that has ${written} does not ask for a newer one (imagePullPolicy: ${policy ?? "IfNotPresent, the default for this tag"}), and applying the same text replaces no pod`,
      found: `image: ${written}`,
      fix: "Name the image by its digest or by a tag of its commit.",
    },
  ];
}

/** `image: { repository, tag, pullPolicy }` of a chart's values. */
export function valuesFindings(path: string, text: string, ownership: Ownership): Finding[] {
  const findings: Finding[] = [];
  const visit = (node: Yaml, depth: number): void => {
    if (depth > 8) return;
    for (const { key, value } of node.entries) {
      const repository = value.at("repository").text;
      const tag = value.at("tag");
      if (/image$/i.test(key) && repository !== undefined && tag.text !== undefined && tag.text !== "")
        findings.push(
          ...nodeFindings(
            path,
            tag.line,
            `${repository}:${tag.text}`,
            value.at("pullPolicy").text ?? "IfNotPresent",
            ownership,
          ),
        );
      else visit(value, depth + 1);
    }
  };
  for (const document of parseYaml(text)) visit(document, 0);
  return findings;
}

export function kustomizationFindings(path: string, text: string, ownership: Ownership): Finding[] {
  return parseYaml(text).flatMap((document) =>
    document.at("images").items.flatMap((item) => {
      const tag = item.at("newTag");
      if (tag.text === undefined || tag.text === "latest") return [];
      const name = item.at("newName").text ?? item.at("name").text ?? "";
      return nodeFindings(path, tag.line, `${name}:${tag.text}`, undefined, ownership);
    }),
  );
}

/** Kamal's builder imports its cache, and does not pass the commit to the build by itself. */
export function kamalFindings(path: string, text: string, reaches: boolean): Finding[] {
  return parseYaml(text).flatMap((document) => {
    const builder = document.at("builder");
    const cache = builder.at("cache");
    if (cache.isEmpty) return [];
    const isTold = builder
      .at("args")
      .variables.some(({ name, value }) => isCommitGiven(`${name}=${value ?? "$"}`));
    return [
      importFinding(
        "cache-from",
        { path, line: builder.lineOf("cache") },
        `builder.cache: ${cache.at("type").text ?? "registry"}`,
        { isKept: true, isProven: reaches && isTold },
        "Remove cache from the builder, or pass the commit (builder.args) to a step before the sources.",
      ),
    ];
  });
}
