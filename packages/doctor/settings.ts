import { posix } from "node:path";
import { globPrefix } from "../../freshness/dockerfile/glob";
import { type Diagnosis, isAtLeast, SEVERITIES, type Severity } from "./finding";
import type { Repository, Skipped } from "./repository";
import { type RuleName, rulesMeant } from "./rules";
import { parseYaml, type Yaml } from "./yaml";

/** The names of the configuration file, in a repository's root. */
export const SETTINGS_FILES = [".doctor.yaml", ".doctor.yml"];

/** A repository's settings for how it is judged. */
export interface Settings {
  /** Patterns of paths that are not judged. Default: none. */
  readonly ignorePaths: readonly string[];
  /** Names of disabled rules. Default: none. */
  readonly off: ReadonlySet<RuleName>;
  /** Levels that replace rules' own. Default: none. */
  readonly levels: ReadonlyMap<RuleName, Severity>;
  /** The lowest level that is reported. Default: note. */
  readonly report: Severity;
  /** The lowest level that makes the command exit 1. Default: error. */
  readonly failOn: Severity;
  /** Whether to judge tests, fixtures and examples too. Default: no. */
  readonly all: boolean;
}

const DEFAULTS: Settings = {
  ignorePaths: [],
  off: new Set(),
  levels: new Map(),
  report: "note",
  failOn: "error",
  all: false,
};

const KEYS = ["ignore", "rules", "report", "fail-on", "all"];

/** Parses the configuration file. Returns all problems together. */
function parseSettings(text: string): { settings: Settings; problems: string[] } {
  const problems: string[] = [];
  const documents = parseYaml(text);
  if (text.trim() !== "" && documents.length === 0)
    return { settings: DEFAULTS, problems: ["it is not YAML"] };
  const document = documents[0];
  if (!document) return { settings: DEFAULTS, problems };
  for (const { key } of document.entries)
    if (!KEYS.includes(key)) problems.push(`unknown key "${key}"; allowed: ${KEYS.join(", ")}`);
  const level = (key: string, fallback: Severity): Severity => {
    const { text: given } = document.at(key);
    if (given === undefined) return fallback;
    if (isSeverity(given)) return given;
    problems.push(`${key} is "${given}"; allowed: ${SEVERITIES.join(", ")}`);
    return fallback;
  };
  const off = new Set<RuleName>();
  const levels = new Map<RuleName, Severity>();
  for (const { key, value } of document.at("rules").entries) readRule(key, value, { off, levels, problems });
  return {
    settings: {
      ignorePaths: document.at("ignore").list.flatMap((item) => item.text ?? []),
      off,
      levels,
      report: level("report", DEFAULTS.report),
      failOn: level("fail-on", DEFAULTS.failOn),
      all: document.at("all").text === "true",
    },
    problems,
  };
}

function readRule(
  key: string,
  value: Yaml,
  into: { off: Set<RuleName>; levels: Map<RuleName, Severity>; problems: string[] },
): void {
  const rules = rulesMeant(key);
  if (rules.length === 0) into.problems.push(`there is no rule "${key}"`);
  for (const rule of rules)
    if (value.text === "off" || value.text === "false") into.off.add(rule);
    else if (value.text !== undefined && isSeverity(value.text)) into.levels.set(rule, value.text);
    else into.problems.push(`rules.${key} is "${value.text ?? ""}"; allowed: off, ${SEVERITIES.join(", ")}`);
}

const isSeverity = (text: string): text is Severity => (SEVERITIES as readonly string[]).includes(text);

/** A repository's own settings, or the defaults if it has none. */
export function settingsOf(repository: Repository): {
  settings: Settings;
  path?: string;
  problems: string[];
} {
  for (const path of SETTINGS_FILES) {
    const text = repository.texts.get(path);
    if (text !== undefined) return { path, ...parseSettings(text) };
  }
  return { settings: DEFAULTS, problems: [] };
}

/** A finding that an inline comment suppresses. */
export interface Ignored {
  readonly finding: Diagnosis;
  readonly reason: string;
}

/** The findings that remain after the settings and the comments in the files. */
export function applied(
  findings: readonly Diagnosis[],
  repository: Repository,
  settings: Settings,
): { findings: Diagnosis[]; ignored: Ignored[]; skipped: Skipped[] } {
  const skipped: Skipped[] = [];
  const ignored: Ignored[] = [];
  const patterns = settings.ignorePaths.map((pattern) =>
    globPrefix(posix.normalize(pattern).replace(/^\/+/, "")),
  );
  const comments = new Map<string, readonly Comment[]>();
  const kept = findings.flatMap((one): Diagnosis[] => {
    const rule = one.rule;
    if (settings.off.has(rule)) return [];
    const segments = one.path.split("/");
    if (patterns.some((matches) => matches(segments) > 0)) return [];
    const own = comments.get(one.path) ?? commentsIn(repository.texts.get(one.path) ?? "");
    comments.set(one.path, own);
    const comment = own.find(
      ({ line, isFile, rules }) =>
        rules.includes(rule) && (isFile || line === one.line || line === one.line - 1),
    );
    if (comment?.reason) {
      ignored.push({ finding: one, reason: comment.reason });
      return [];
    }
    if (comment)
      skipped.push({
        path: `${one.path}:${comment.line}`,
        why: "the comment ignores a rule without a reason: write one behind the rule",
      });
    const level = settings.levels.get(rule) ?? one.severity;
    return [{ ...one, severity: level }];
  });
  return { findings: kept.filter((one) => isAtLeast(one, settings.report)), ignored, skipped };
}

interface Comment {
  readonly line: number;
  readonly isFile: boolean;
  readonly rules: readonly RuleName[];
  readonly reason: string;
}

/**
 * `# doctor: ignore FRESH005 (the folder is emptied first)`, on the same line or the line before. `ignore-file` applies
 * to the whole file.
 */
const COMMENT = /\bdoctor:\s*(ignore|ignore-file)[ \t]+([\w-]+(?:[ \t]*,[ \t]*[\w-]+)*)[ \t:(–-]*([^\n]*)/;

function commentsIn(text: string): Comment[] {
  if (!text.includes("doctor:")) return [];
  return text.split("\n").flatMap((line, at): Comment[] => {
    const found = line.length < 2000 ? COMMENT.exec(line) : null;
    if (!found) return [];
    const [, kind, names = "", reason = ""] = found;
    const rules = names.split(",").flatMap((name) => rulesMeant(name.trim()));
    return [
      {
        line: at + 1,
        isFile: kind === "ignore-file",
        rules,
        reason: reason.replace(/(\)|\*\/|-->)?\s*$/, "").trim(),
      },
    ];
  });
}
