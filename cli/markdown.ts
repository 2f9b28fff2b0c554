import { type Break, type Certificate, type Verdict, warningsOf } from "../freshness/chain";
import type { ListedCommit } from "../source/between";
import { shortIdentity } from "../source/checkout";
import type { ResourceChange } from "./events";

/** As many commits as a reader looks through. */
const MOST_COMMITS = 20;
/** A comment holds 65,536 characters. */
const MOST_CHANGES = 60;

/** What a pull request's comment says: what runs, what would, and what that takes. */
export interface Proposal {
  readonly stack: string;
  /** What runs; absent where nothing has been deployed yet. */
  readonly running?: { readonly commit: string; readonly time: string; readonly by: string };
  /** What would be deployed; absent where that could not be found out. */
  readonly proposed?: string;
  /** The commits that would be deployed, newest first; absent where this checkout cannot tell. */
  readonly commits?: readonly ListedCommit[];
  readonly changes: readonly ResourceChange[];
  /** What the commit's own files are refused for. */
  readonly findings: readonly Break[];
  /** What else the preview failed with. */
  readonly errors: readonly string[];
}

/** What was proven of a deployment: the chain as a table, its seconds, what is served where. */
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

/** What a command failed with; a broken link of the chain with what was expected and found. */
export function failureMarkdown(title: string, errors: readonly string[]): string {
  return blocks(
    `### ${text(title)}`,
    ...(errors.length === 0 ? ["See the log."] : errors.map(errorMarkdown)),
  );
}

/** A deploy that something newer has overtaken. */
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
  return table(["change", "resource", "name"], [...rows, ...more]);
}

function chain(links: readonly Verdict[]): string {
  const rows = links.map(({ link, service, status, expected, found }) => [
    link,
    text(service),
    status === "broken" ? "**broken**" : status,
    text(expected),
    text(found),
  ]);
  return table(["link", "service", "status", "expected", "found"], rows);
}

function stepTable(seconds: Readonly<Record<string, number>>): string {
  return table(
    ["step", "seconds"],
    Object.entries(seconds).map(([step, taken]) => [text(step), taken.toFixed(1)]),
  );
}

/** How an error of the chain reads; what is found ends where the first sentence after it begins. */
const CHAIN_ERROR =
  /freshness: (?<link>[a-z]+) of (?<service>.+?): (?<wrong>.+?); expected (?<expected>.+?), found (?<found>.+?)\. (?<remedy>[A-Z].*)$/s;

/** An error of the chain by its parts; any other as it is. */
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
    table(head, [[link, service, expected, found].map(text)]),
    // Lines are for a file: they are shown as they are to be typed.
    remedy.includes("\n") ? `Remedy:\n\n${fenced(remedy)}` : `Remedy: ${text(remedy)}`,
  ).trimEnd();
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.join(" | ")} |`;
  return [line(head), line(head.map(() => "---")), ...rows.map(line)].join("\n");
}

function blocks(...parts: readonly (string | false | undefined)[]): string {
  return `${parts.filter((part) => part !== undefined && part !== false && part !== "").join("\n\n")}\n`;
}

/**
 * Text that stands for itself wherever it is put, a table's cell included. Commit messages and answers of servers are
 * somebody else's words: they make no link, no markup, and call nobody by name.
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

/** A name in type of its own; nothing in it is markup. */
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
