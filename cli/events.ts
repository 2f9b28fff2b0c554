import { buildFailed, hideArgs, lastLines } from "../engine/buildLog";

/** What a deploy would do with one resource. */
export interface ResourceChange {
  readonly op: "create" | "update" | "replace" | "delete";
  /** `docker Image` for docker:index/image:Image. */
  readonly type: string;
  readonly name: string;
}

/** Of a replacement the CLI tells the creation and the deletion too: `replace` is the one that counts. */
const OPS = ["create", "update", "replace", "delete"] as const;

/** The resources that an event log says would change, in its order; components and providers are none of them. */
export function changesOf(events: string): ResourceChange[] {
  return events
    .split("\n")
    .filter((line) => line.includes('"resourcePreEvent"'))
    .map((line) => JSON.parse(line).resourcePreEvent.metadata as { op: string; urn: string; type: string })
    .filter(({ type }) => !/^(watch-party:|pulumi:)/.test(type))
    .flatMap(({ op, urn, type }) => {
      const known = OPS.find((each) => each === op);
      return known ? [{ op: known, type: shortType(type), name: urn.split("::").at(-1)! }] : [];
    });
}

/** The errors of an event log: what went wrong with which resource, without the summary that something did. */
export function errorsOf(events: string): string[] {
  return events
    .split("\n")
    .filter((line) => line.includes('"severity":"error"'))
    .map((line) => JSON.parse(line).diagnosticEvent as { urn?: string; message: string })
    .filter(({ message }) => !/^(update|preview) failed$/.test(message.trim()))
    .map(({ urn = "", message }) => {
      const [, , type = "", name] = urn.split("::");
      const words = message.replace(/\d+ errors? occurred:\s*\* /g, "").trim();
      return name === undefined || type === "pulumi:pulumi:Stack"
        ? words
        : `${type.slice(type.lastIndexOf(":") + 1)} ${name}: ${words}`;
    });
}

/**
 * What the builds printed that failed: the plugin `docker` tells it as passing status alone, which no log keeps.
 *
 * @returns nothing for a build whose error has its log already
 */
export function buildLogsOf(events: string): string[] {
  const lines = events.split("\n");
  const told = lines
    .filter((line) => line.includes('"diagnosticEvent"') && line.includes(IMAGE))
    .map((line) => JSON.parse(line).diagnosticEvent as Diagnostic);
  const failed = told.filter(({ severity, message }) => severity === "error" && !message.includes(HAS_LOG));
  return failed.flatMap(({ urn }) => {
    const name = urn.split("::").at(-1)!;
    // A hook of the program has read the log already.
    if (events.includes(buildFailed(name))) return [];
    const status = told.filter((each) => each.ephemeral === true && each.urn === urn);
    const log = lastLines(stepsOf(status.map(({ message }) => message)));
    return log === "" ? [] : [`${buildFailed(name)}\n${hideArgs(log, argsOf(lines, urn))}`];
  });
}

const IMAGE = "docker:index/image:Image";
/** What the stand-in puts before the log in its error. */
const HAS_LOG = "the last lines of the build:";

interface Diagnostic {
  readonly urn: string;
  readonly message: string;
  readonly severity: string;
  readonly ephemeral?: boolean;
}

/** Without the digests of steps, and a step's name once. */
function stepsOf(messages: readonly string[]): string {
  const seen = new Set<string>();
  const lines = messages.flatMap((message) => message.split("\n"));
  return lines
    .filter((line) => {
      if (/^digest: sha256:/.test(line)) return false;
      if (!/^\[[^\]]+\] /.test(line)) return true;
      const isNew = !seen.has(line);
      seen.add(line);
      return isNew;
    })
    .join("\n");
}

/** The build args that an image was to be built with. */
function argsOf(lines: readonly string[], urn: string): Record<string, string> {
  const line = lines.find((each) => each.includes('"resourcePreEvent"') && each.includes(`"urn":"${urn}"`));
  const args = line && JSON.parse(line).resourcePreEvent.metadata.new?.inputs?.build?.args;
  return Object.fromEntries(
    Object.entries(args ?? {}).filter(([, value]) => typeof value === "string"),
  ) as Record<string, string>;
}

function shortType(type: string): string {
  return `${type.slice(0, type.indexOf(":"))} ${type.slice(type.lastIndexOf(":") + 1)}`;
}
