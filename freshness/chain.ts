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

/** What one link says of one service. */
export interface Verdict {
  readonly link: Link;
  /** A service's name, or `every service`. */
  readonly service: string;
  readonly status: "proven" | "broken" | "not checked";
  readonly expected: string;
  readonly found: string;
  /** Where `found` was seen: a URL, a container, a file. */
  readonly evidence: string;
  /** A problem that does not stop a deploy; absent without one. */
  readonly warning?: string;
}

/** A verdict that stops a deploy, with what is wrong and what to do about it. */
export interface Break extends Verdict {
  readonly status: "broken";
  readonly wrong: string;
  readonly remedy: string;
  /** The last lines that the service printed, without secrets; shown below the message. */
  readonly log?: readonly string[];
}

/**
 * Where a plugin comes from: `stand-in` is one of this project's own, for machines that cannot reach the official downloads.
 * `unknown` is one that was not installed before the deploy.
 */
export type PluginOrigin = "official" | "stand-in" | "unknown";

/** The versions of what built and deployed a release. */
export interface Versions {
  /** The Docker engine. */
  readonly engine: string;
  /** The docker CLI. */
  readonly docker: string;
  /** The pulumi CLI. */
  readonly pulumi: string;
  readonly plugins: { readonly docker: string; readonly command: string };
  /** Where those plugins came from; absent in what earlier versions of this program deployed. */
  readonly pluginOrigins?: { readonly docker: PluginOrigin; readonly command: PluginOrigin };
}

/** The result of a deploy or of a verification: one entry a link and service. */
export interface Certificate {
  readonly schema: "watch-party/certificate/1";
  readonly stack: string;
  readonly commit: string;
  readonly url: string;
  /** When the proofs ended, ISO 8601. */
  readonly time: string;
  readonly versions: Versions;
  readonly links: readonly Verdict[];
}

/** Makes the certificate: one entry a link and service, in the chain's order. */
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

/** Merges two verdicts of one link and service: a broken one wins, others are combined. */
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

/** One broken link. The message reads `freshness: LINK of SERVICE: what is wrong; expected X, found Y. REMEDY`. */
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

/** Makes a broken verdict from what differs between the cases. */
export function broken(details: Omit<Break, "status">): Break {
  return { ...details, status: "broken" };
}

export function isBroken(verdict: Verdict): verdict is Break {
  return verdict.status === "broken";
}

/** @throws FreshnessError of the first broken link, in the chain's order */
export function assertUnbroken(verdicts: readonly Verdict[]): void {
  const first = verdicts
    .filter(isBroken)
    .sort((a, b) => LINKS.indexOf(a.link) - LINKS.indexOf(b.link))
    .at(0);
  if (first) throw new FreshnessError(first);
}

/** The warnings of a certificate: a sentence each. */
export function warningsOf(verdicts: readonly Verdict[]): string[] {
  return verdicts.flatMap(({ link, service, warning }) =>
    warning === undefined ? [] : [`${link} of ${service}: ${warning}`],
  );
}
