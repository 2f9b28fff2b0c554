/** The links of the freshness chain, from the commit to the browser, in order. */
export const LINKS = [
  "commit",
  "dockerfile",
  "cache",
  "image",
  "bytes",
  "container",
  "served",
  "browser",
] as const;
export type Link = (typeof LINKS)[number];

/** Result of one link for one service. */
export interface Verdict {
  readonly link: Link;
  /** Name of the service, or `every service`. */
  readonly service: string;
  readonly status: "proven" | "broken" | "not checked";
  readonly expected: string;
  readonly found: string;
  /** Source of `found`: a URL, a container, a file. */
  readonly evidence: string;
  /** A problem that does not stop a deploy; absent if there is none. */
  readonly warning?: string;
}

/** A verdict that stops a deploy, with the problem and the remedy. */
export interface Break extends Verdict {
  readonly status: "broken";
  readonly wrong: string;
  readonly remedy: string;
  /** Last lines of the service's log, without secrets; shown below the message. */
  readonly log?: readonly string[];
}

/**
 * Origin of a plugin. `stand-in` is built by this project, for machines that cannot reach the official downloads.
 * `unknown` was not installed before the deploy.
 */
export type PluginOrigin = "official" | "stand-in" | "unknown";

/** Versions of the programs that built and deployed a release. */
export interface Versions {
  /** Docker Engine. */
  readonly engine: string;
  /** Docker CLI. */
  readonly docker: string;
  /** Pulumi CLI. */
  readonly pulumi: string;
  readonly plugins: { readonly docker: string; readonly command: string };
  /** Origin of each plugin; absent in deployments of earlier versions of this program. */
  readonly pluginOrigins?: { readonly docker: PluginOrigin; readonly command: PluginOrigin };
}

/** Result of a deploy or a verification: one entry per link and service. */
export interface Certificate {
  readonly schema: "watch-party/certificate/1";
  readonly stack: string;
  readonly commit: string;
  readonly url: string;
  /** End of the verification, ISO 8601. */
  readonly time: string;
  readonly versions: Versions;
  readonly links: readonly Verdict[];
}

/** Creates the certificate: one entry per link and service, in the chain's order. */
export function certify(of: Omit<Certificate, "schema" | "time">, now = new Date()): Certificate {
  const entries = new Map<string, Verdict>();
  for (const verdict of of.links) {
    const key = `${verdict.link} ${verdict.service}`;
    const before = entries.get(key);
    entries.set(key, before ? merge(before, verdict) : verdict);
  }
  const links = [...entries.values()].sort((a, b) => LINKS.indexOf(a.link) - LINKS.indexOf(b.link));
  return { schema: "watch-party/certificate/1", ...of, links, time: now.toISOString() };
}

/** Merges two verdicts of one link and service. A broken verdict wins; others are combined. */
function merge(a: Verdict, b: Verdict): Verdict {
  if (isBroken(a) || isBroken(b)) return isBroken(a) ? a : b;
  const both = (key: "expected" | "found" | "evidence") =>
    a[key] === b[key] ? a[key] : `${a[key]}; ${b[key]}`;
  const status = a.status === "proven" && b.status === "proven" ? "proven" : "not checked";
  const warnings = [a.warning, b.warning].filter((each) => each !== undefined);
  const merged: Verdict = {
    ...a,
    status,
    expected: both("expected"),
    found: both("found"),
    evidence: both("evidence"),
  };
  return warnings.length === 0 ? merged : { ...merged, warning: [...new Set(warnings)].join("; ") };
}

export const EVERY_SERVICE = "every service";

/** Error for one broken link. Message: `freshness: LINK of SERVICE: what is wrong; expected X, found Y. REMEDY`. */
export class FreshnessError extends Error {
  override readonly name = "FreshnessError";
  constructor(readonly broken: Break) {
    super(
      `freshness: ${broken.link} of ${broken.service}: ${broken.wrong}; ` +
        `expected ${broken.expected}, found ${broken.found}. ${broken.remedy}${shownLog(broken.log)}`,
    );
  }
}

function shownLog(lines: readonly string[] | undefined): string {
  if (lines === undefined) return "";
  if (lines.length === 0) return "\nIts log is empty.";
  return `\nThe last lines of its log:\n${lines.map((line) => `  ${line}`).join("\n")}`;
}

export function broken(details: Omit<Break, "status">): Break {
  return { ...details, status: "broken" };
}

export function isBroken(verdict: Verdict): verdict is Break {
  return verdict.status === "broken";
}

/** @throws FreshnessError for the first broken link in the chain's order */
export function assertUnbroken(verdicts: readonly Verdict[]): void {
  const first = verdicts
    .filter(isBroken)
    .sort((a, b) => LINKS.indexOf(a.link) - LINKS.indexOf(b.link))
    .at(0);
  if (first) throw new FreshnessError(first);
}

/** Warnings of a certificate, one sentence each. */
export function warningsOf(verdicts: readonly Verdict[]): string[] {
  return verdicts.flatMap(({ link, service, warning }) =>
    warning === undefined ? [] : [`${link} of ${service}: ${warning}`],
  );
}
