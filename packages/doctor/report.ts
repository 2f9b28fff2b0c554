import { fingerprint } from "./baseline";
import { type Diagnosis, SEVERITIES, type Severity } from "./finding";
import type { Skipped } from "./repository";
import { RULES } from "./rules";

/** The number of findings of each severity. */
export function counted(findings: readonly Diagnosis[]): { errors: number; warnings: number; notes: number } {
  const count = (level: Severity) => findings.filter(({ severity }) => severity === level).length;
  return { errors: count("error"), warnings: count("warning"), notes: count("note") };
}

const COLOURS: Readonly<Record<Severity, string>> = { error: "31", warning: "33", note: "36" };

/** The findings for a reader, by file. Each starts with its position, in the format that editors recognise. */
export function described(findings: readonly Diagnosis[], { colour = false } = {}): string {
  const paint = (text: string, code: string) => (colour ? `\u001B[${code}m${text}\u001B[0m` : text);
  return findings
    .map(({ path, line, severity, code, rule, why, found, fix }) => {
      const level = paint(severity, COLOURS[severity]);
      const label = paint(`[${code} ${rule}]`, "2");
      return `${paint(`${path}:${line}`, "1")}: ${level}: ${plain(why)} ${label}\n  found: ${plain(found)}\n  fix:   ${plain(fix).replaceAll("\n", "\n         ")}\n`;
    })
    .join("");
}

/** Removes control characters: text from a repository must not control the terminal. */
function plain(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is taken out
  return text.replace(/[\u0000-\u0009\u000B-\u001F\u007F-\u009F]/g, "?");
}

/** One line for each rule: its count and level. */
export function byRule(findings: readonly Diagnosis[]): string {
  const rules = [...new Set(findings.map(({ code }) => code))].sort();
  if (rules.length < 2) return "";
  const rows = rules.map((code) => {
    const own = findings.filter((one) => one.code === code);
    const title = RULES.find((rule) => rule.code === code)?.title ?? "";
    return `  ${code}  ${String(own.length).padStart(3)}  ${levelsOf(own)}  ${title}\n`;
  });
  return `\n${rows.join("")}`;
}

function levelsOf(findings: readonly Diagnosis[]): string {
  return SEVERITIES.filter((level) => findings.some(({ severity }) => severity === level))
    .join(", ")
    .padEnd(14);
}

/** The files that are not judged. */
export function describedSkipped(skipped: readonly Skipped[]): string {
  return skipped.map(({ path, why }) => `${plain(path)}: not judged: ${plain(why)}\n`).join("");
}

/** `2 errors, 1 warning, 1 note`. */
export function summed(findings: readonly Diagnosis[]): string {
  const { errors, warnings, notes } = counted(findings);
  const plural = (count: number, what: string) => `${count} ${what}${count === 1 ? "" : "s"}`;
  return `${plural(errors, "error")}, ${plural(warnings, "warning")}, ${plural(notes, "note")}`;
}

/** Commands for a GitHub workflow's log, which show each finding at its line in a pull request. */
export function asGithub(findings: readonly Diagnosis[]): string {
  const escaped = (text: string) =>
    text.replaceAll("%", "%25").replaceAll("\r", "%0D").replaceAll("\n", "%0A");
  const property = (text: string) => escaped(text).replaceAll(":", "%3A").replaceAll(",", "%2C");
  return findings
    .map(({ severity, path, line, code, rule, why, fix }) => {
      const command = severity === "note" ? "notice" : severity;
      return `::${command} file=${property(path)},line=${line},title=${property(`${code} ${rule}`)}::${escaped(`${why}\n${fix}`)}\n`;
    })
    .join("");
}

/** A path as a relative URI. `#` and `?` would end the path. */
function asUri(path: string): string {
  return path.split("/").map(encodeURIComponent).join("/");
}

/** SARIF 2.1.0, for code scanning. */
export function asSarif(findings: readonly Diagnosis[], version: string): object {
  return {
    $schema: "https://json.schemastore.org/sarif-2.1.0.json",
    version: "2.1.0",
    runs: [
      {
        tool: {
          driver: {
            name: "doctor",
            version,
            rules: RULES.map(({ code, name, title, why, fix, levels }) => ({
              id: code,
              name,
              shortDescription: { text: title },
              fullDescription: { text: why },
              help: { text: fix },
              defaultConfiguration: { level: levels.split(",")[0] },
            })),
          },
        },
        columnKind: "utf16CodeUnits",
        results: findings.map((one) => ({
          ruleId: one.code,
          ruleIndex: RULES.findIndex(({ code }) => code === one.code),
          level: one.severity,
          message: { text: `${one.why}. Found: ${one.found}. Fix: ${one.fix}` },
          locations: [
            {
              physicalLocation: {
                artifactLocation: { uri: asUri(one.path), uriBaseId: "%SRCROOT%" },
                region: { startLine: Math.max(1, one.line) },
              },
            },
          ],
          partialFingerprints: { "doctor/v1": fingerprint(one) },
        })),
      },
    ],
  };
}
