import { BUILD_ACTIONS, linesOf } from "./builds";
import { importFinding } from "./caches";
import type { Finding } from "./finding";
import type { ActionStep } from "./pipelines";
import { parseYaml, type Yaml } from "./yaml";

/** Actions that keep an engine's layers between jobs. */
const LAYER_ACTIONS =
  /^(satackey|jpribyl)\/action-docker-layer-caching|^whoan\/docker-build-with-cache-action|^scribemd\/docker-cache/;
/** A framework's build cache, or the output itself. */
const KEPT =
  /(^|\/|\*)(\.next(\/cache)?|\.nuxt|\.output|\.svelte-kit|\.turbo|\.parcel-cache|\.angular\/cache|\.astro|\.docusaurus|\.cache|node_modules\/\.cache|dist|build|out|public\/(assets|packs)|_site|resources\/_gen|tmp\/cache|__pycache__|\.webpack|\.gatsby)(\/|\/\*+)?$/;

/** Findings for the caches that a workflow's steps use to build images. */
export function actionFindings(step: ActionStep, isProven: boolean): Finding[] {
  const { path, inputs, action, line } = step;
  if (step.isCheck) return [];
  if (action === "actions/cache" || action === "actions/cache/restore") return restoreFindings(step);
  if (LAYER_ACTIONS.test(action))
    return [
      importFinding("cache-from", { path, line }, action, { isKept: false, isProven }, "Remove this step."),
    ];
  const isBake = /^(docker|depot)\/bake-action$/.test(action);
  if (!isBake && !BUILD_ACTIONS.test(action)) return [];
  if (inputs.at("no-cache").text === "true") return [];
  // An image that is built for inspection is not deployed.
  if (inputs.at("push").text === "false" || (!isBake && isOnlyTested(step))) return [];
  const findings: Finding[] = [];
  const use = { isKept: !step.isHosted, isProven };
  const set = linesOf(inputs.at("set").text);
  const given = (key: "cache-from" | "cache-to") => [
    ...linesOf(inputs.at(key).text),
    ...set.filter((one) => new RegExp(`\\.${key}\\+?=`).test(one)),
  ];
  const lineOf = (key: string) => inputs.lineOf(key) || inputs.lineOf("set") || line;
  const from = given("cache-from");
  const to = given("cache-to");
  if (from.length > 0)
    findings.push(
      importFinding(
        "cache-from",
        { path, line: lineOf("cache-from") },
        `cache-from: ${from.join(", ")}`,
        use,
        "Remove cache-from and cache-to from the builds that are deployed.",
      ),
    );
  else if (to.length > 0 && !to.every((one) => /type=inline/.test(one)))
    findings.push({
      rule: "cache-to",
      severity: "warning",
      path,
      line: lineOf("cache-to"),
      why: "cache-to keeps this build's layers: a later build that imports them takes them",
      found: `cache-to: ${to.join(", ")}`,
      fix: "Remove cache-to.",
    });
  const args = [...linesOf(inputs.at("build-args").text), ...set];
  const inline =
    args.find((arg) => /BUILDKIT_INLINE_CACHE(=(?!0)|$)/.test(arg)) ??
    to.find((one) => /type=inline/.test(one));
  if (inline !== undefined)
    findings.push(
      importFinding(
        "inline-cache",
        { path, line: lineOf(to.includes(inline) ? "cache-to" : "build-args") },
        to.includes(inline) ? inline : "BUILDKIT_INLINE_CACHE",
        use,
        "Remove the inline cache.",
      ),
    );
  return findings;
}

/** Whether an image leaves its job neither by the action itself nor by a later step. */
function isOnlyTested({ inputs, after }: ActionStep): boolean {
  const outputs = inputs.at("outputs").text ?? "";
  if (inputs.at("push").text !== undefined || /push|type=(registry|image)/.test(outputs)) return false;
  if (outputs !== "" && !/type=(docker|cacheonly)/.test(outputs)) return false;
  // Without a later step, the action's own settings may come from elsewhere.
  if (inputs.at("load").text !== "true" && after.trim() === "") return false;
  return !LEAVES.test(after);
}

/** Commands and actions that take an image out of a job. */
export const LEAVES =
  /docker (image )?(push|save|tag)|skopeo|crane|regctl|imagetools|\bssh\b|\bscp\b|rsync|deploy|kubectl|helm|upload-artifact/i;

function restoreFindings({ path, inputs, line }: ActionStep): Finding[] {
  const kept = linesOf(inputs.at("path").text).filter(
    (one) => !/^["']?(~|\$HOME|\/)/.test(one) && KEPT.test(one.replace(/\$\{\{[^}]*\}\}/g, "x")),
  );
  if (kept.length === 0) return [];
  const key = inputs.at("key").text ?? "";
  const restores = linesOf(inputs.at("restore-keys").text);
  // With the commit as the only key, the cache only restores what was built from that commit.
  if (restores.length === 0 && /sha/i.test(key)) return [];
  return [restored(path, inputs.lineOf("path") || line, kept, key)];
}

function restored(path: string, line: number, kept: readonly string[], key: string): Finding {
  return {
    rule: "build-cache-restored",
    severity: "warning",
    path,
    line,
    why: `a job begins with what the build of another commit has left (${kept.join(", ")}): where the build trusts it, old pages or modules are deployed`,
    found: `path: ${kept.join(", ")}${key === "" ? "" : `, key: ${key.slice(0, 100)}`}`,
    fix: "Cache what the package manager downloads alone, or delete it before a build that is deployed.",
  };
}

/** Caches of GitLab, CircleCI, Bitbucket, Azure and similar systems. */
export function otherCacheFindings(path: string, text: string): Finding[] {
  const findings: Finding[] = [];
  const seen = new Set<Yaml>();
  const visit = (node: Yaml, isCache: boolean, depth: number): void => {
    if (depth > 12 || seen.has(node)) return;
    seen.add(node);
    for (const item of node.items) visit(item, isCache, depth + 1);
    for (const { key, line, value } of node.entries) {
      if (key === "docker_layer_caching" && value.text === "true")
        findings.push(layers(path, line, "docker_layer_caching: true"));
      if (key === "caches" && value.list.some((item) => item.text === "docker"))
        findings.push(layers(path, line, "caches: docker"));
      if (/^cache[-_]?(from|images)$/.test(key) && !value.isEmpty)
        findings.push(layers(path, line, `${key}: ${value.list.map((item) => item.text ?? "").join(", ")}`));
      const isPaths =
        /^(paths?|directories|folders?)$/.test(key) ||
        (isCache && key !== "key" && value.text !== undefined && KEPT.test(value.text));
      if (isCache && isPaths) {
        const kept = value.list.flatMap((item) =>
          item.text !== undefined && KEPT.test(item.text) ? [item.text] : [],
        );
        if (kept.length > 0) findings.push(restored(path, line, kept, ""));
      }
      const isInside =
        /^(cache|caches|save_cache|restore_cache|definitions)$/i.test(key) ||
        (isCache && key !== "artifacts");
      const isTask = /^Cache@/.test(node.at("task").text ?? "");
      visit(value, isInside || isTask, depth + 1);
    }
  };
  for (const document of parseYaml(text)) visit(document, false, 0);
  return findings;
}

function layers(path: string, line: number, found: string): Finding {
  return importFinding(
    "cache-from",
    { path, line },
    found,
    { isKept: false, isProven: false },
    `Remove it from the jobs that build what is deployed.`,
  );
}
