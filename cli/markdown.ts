import { type Break, type Certificate, type Verdict, warningsOf } from "../freshness/chain";
import type { ListedCommit } from "../source/between";
import { shortIdentity } from "../source/checkout";
import type { ResourceChange } from "./events";
import { markdownTable } from "./table";

/** Maximum number of commits shown. */
const MOST_COMMITS = 20;
/** A comment holds 65,536 characters. */
const MOST_CHANGES = 60;

/** Content of a pull request's comment: the running release, the new one, and the changes. */
export interface Proposal {
  readonly stack: string;
  /** The running release; absent before the first deploy. */
  readonly running?: { readonly commit: string; readonly time: string; readonly by: string };
  /** The new release; absent if it could not be determined. */
  readonly proposed?: string;
  /** The commits to deploy, newest first; absent if this checkout lacks them. */
  readonly commits?: readonly ListedCommit[];
  readonly changes: readonly ResourceChange[];
  /** Broken links of the commit's own files. */
  readonly findings: readonly Break[];
  /** Other errors of the preview. */
  readonly errors: readonly string[];
}

/** The proofs of a deployment: the chain as a table, the seconds, the URL. */
export function certificateMarkdown(
  { stack, commit, url, links }: Pick<Certificate, "stack" | "commit" | "url" | "links">,
  seconds?: Readonly<Record<string, number>>,
): string {
  const isBroken = links.some(({ status }) => status === "broken");
  const says = isBroken ? "is not proven to serve" : "serves";
  return blocks(
    `### ${text(stack)}: ${text(url)} ${says} ${code(shortIdentity(commit))}`,
    chain(links),
    ...warningsOf(links).map((warning) => `Warning: ${text(warning)}`),
    seconds && stepTable(seconds),
    `Commit ${code(commit)}`,
  );
}

/** A command's errors; a broken link with its expected and found values. */
export function failureMarkdown(title: string, errors: readonly string[]): string {
  return blocks(
    `### ${text(title)}`,
    ...(errors.length === 0 ? ["See the log."] : errors.map(errorMarkdown)),
  );
}

/** A deploy that a newer one has overtaken. */
export function supersededMarkdown(stack: string, reason: string): string {
  return blocks(`### ${text(stack)}: nothing to deploy`, text(reason));
}

/** The summary of a preview. */
export function proposalMarkdown(proposal: Proposal): string {
  const { stack, running, proposed, commits, changes, findings, errors } = proposal;
  const failed = findings.length > 0 || errors.length > 0;
  const from = running ? code(shortIdentity(running.commit)) : "nothing";
  const to = proposed === undefined ? "unknown" : code(shortIdentity(proposed));
  const since = running ? `runs since ${text(running.time)}, deployed by ${text(running.by)}` : "";
  return blocks(
    `### ${text(stack)}: ${from} → ${to}${failed ? ": would fail" : ""}`,
    since && `${from} ${since}.`,
    ...findings.map(breakMarkdown),
    ...errors.map(errorMarkdown),
    running && proposed && commitList(commits),
    !failed && changeTable(changes),
  );
}

function commitList(commits: readonly ListedCommit[] | undefined): string {
  if (commits === undefined)
    return "The commits between are not in this checkout (`actions/checkout` with `fetch-depth: 0` has them).";
  if (commits.length === 0) return "No commits between the running release and this one.";
  const lines = commits
    .slice(0, MOST_COMMITS)
    .map(({ id, subject }) => `- ${code(id.slice(0, 7))} ${text(subject)}`);
  const more = commits.length > MOST_COMMITS ? [`- and ${commits.length - MOST_COMMITS} more`] : [];
  const count = commits.length === 1 ? "1 commit" : `${commits.length} commits`;
  return `**${count}:**\n\n${[...lines, ...more].join("\n")}`;
}

function changeTable(changes: readonly ResourceChange[]): string {
  if (changes.length === 0) return "No resource changes.";
  const rows = changes.slice(0, MOST_CHANGES).map(({ op, type, name }) => [op, type, code(name)]);
  const more = changes.length > MOST_CHANGES ? [["…", "", `${changes.length - MOST_CHANGES} more`]] : [];
  return markdownTable(["change", "resource", "name"], [...rows, ...more]);
}

function chain(links: readonly Verdict[]): string {
  const rows = links.map(({ link, service, status, expected, found }) => [
    link,
    text(service),
    status === "broken" ? "**broken**" : status,
    text(expected),
    text(found),
  ]);
  return markdownTable(["link", "service", "status", "expected", "found"], rows);
}

function stepTable(seconds: Readonly<Record<string, number>>): string {
  return markdownTable(
    ["step", "seconds"],
    Object.entries(seconds).map(([step, taken]) => [text(step), taken.toFixed(1)]),
  );
}

/** Form of a chain error; `found` ends at the first sentence after it. */
const CHAIN_ERROR =
  /freshness: (?<link>[a-z]+) of (?<service>.+?): (?<wrong>.+?); expected (?<expected>.+?), found (?<found>.+?)\. (?<remedy>[A-Z].*)$/s;

/** A chain error as a list of its parts; any other error unchanged. */
function errorMarkdown(error: string): string {
  const {
    link = "",
    service = "",
    wrong = "",
    expected = "",
    found = "",
    remedy = "",
  } = CHAIN_ERROR.exec(error)?.groups ?? {};
  return link === "" ? fenced(error) : breakMarkdown({ link, service, wrong, expected, found, remedy });
}

function breakMarkdown(
  broken: Record<"link" | "service" | "wrong" | "expected" | "found" | "remedy", string>,
): string {
  const { link, service, wrong, expected, found, remedy } = broken;
  const head = ["link", "service", "expected", "found"];
  return blocks(
    `**${text(link)} of ${text(service)}: ${text(wrong)}**`,
    markdownTable(head, [[link, service, expected, found].map(text)]),
    // Lines for a file are shown verbatim.
    remedy.includes("\n") ? `Remedy:\n\n${fenced(remedy)}` : `Remedy: ${text(remedy)}`,
  ).trimEnd();
}

function blocks(...parts: readonly (string | false | undefined)[]): string {
  return `${parts.filter((part) => part !== undefined && part !== false && part !== "").join("\n\n")}\n`;
}

/**
 * Escapes text for Markdown, table cells included. Commit messages and answers of servers come from others: they must
 * not create links, markup or mentions.
 */
export function text(words: string): string {
  return words
    .trim()
    .replace(/[\\`*_[\]~|]/g, "\\$&")
    .replace(/&/g, "&amp;")
    .replace(/</g, "&lt;")
    .replace(/>/g, "&gt;")
    .replace(/(?<!\w)@(?=\w)/g, "@\u200b")
    .replace(/\s*[\r\n]+\s*/g, "<br>");
}

/** Inline code without markup. */
export function code(words: string): string {
  const plain = words.replace(/\s*[\r\n]+\s*/g, " ").replace(/\|/g, "\\|");
  const longest = Math.max(0, ...[...plain.matchAll(/`+/g)].map(([ticks]) => ticks.length));
  const fence = "`".repeat(longest + 1);
  const gap = longest > 0 ? " " : "";
  return `${fence}${gap}${plain}${gap}${fence}`;
}

function fenced(words: string): string {
  const longest = Math.max(2, ...[...words.matchAll(/`+/g)].map(([ticks]) => ticks.length));
  const fence = "`".repeat(longest + 1);
  return `${fence}text\n${words.trim()}\n${fence}`;
}
