import { buildFailed, hideArgs, lastLines } from "../engine/buildLog";

/** A change of a resource in a deploy. */
export interface ResourceChange {
  readonly op: "create" | "update" | "replace" | "delete";
  /** `docker Image` for docker:index/image:Image. */
  readonly type: string;
  readonly name: string;
}

/** For a replacement the CLI also reports the creation and the deletion: count only `replace`. */
const OPS = ["create", "update", "replace", "delete"] as const;

/** The changed resources of an event log, in its order, without components and providers. */
export function changesOf(events: string): ResourceChange[] {
  return events
    .split("\n")
    .filter((line) => line.includes('"resourcePreEvent"'))
    .map((line) => JSON.parse(line).resourcePreEvent.metadata as { op: string; urn: string; type: string })
    .filter(({ type }) => !/^(watch-party:|pulumi:)/.test(type))
    .flatMap(({ op, urn, type }) => {
      const known = OPS.find((each) => each === op);
      return known ? [{ op: known, type: shortType(type), name: nameIn(urn) }] : [];
    });
}

/** The resource's name, the last part of its URN. */
function nameIn(urn: string): string {
  return urn.slice(urn.lastIndexOf("::") + 2);
}

/** The errors of an event log, each with its resource, without the summary at the end. */
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
 * The output of failed builds: the docker plugin reports it only as ephemeral status.
 *
 * @returns nothing for a build whose error contains its log
 */
export function buildLogsOf(events: string): string[] {
  const lines = events.split("\n");
  const told = lines
    .filter((line) => line.includes('"diagnosticEvent"') && line.includes(IMAGE))
    .map((line) => JSON.parse(line).diagnosticEvent as Diagnostic);
  const failed = told.filter(({ severity, message }) => severity === "error" && !message.includes(HAS_LOG));
  return failed.flatMap(({ urn }) => {
    const name = nameIn(urn);
    // A hook of the program has already read the log.
    if (events.includes(buildFailed(name))) return [];
    const status = told.filter((each) => each.ephemeral === true && each.urn === urn);
    const log = lastLines(stepsOf(status.map(({ message }) => message)));
    return log === "" ? [] : [`${buildFailed(name)}\n${hideArgs(log, argsOf(lines, urn))}`];
  });
}

const IMAGE = "docker:index/image:Image";
/** Text before the log in the stand-in's error. */
const HAS_LOG = "the last lines of the build:";

interface Diagnostic {
  readonly urn: string;
  readonly message: string;
  readonly severity: string;
  readonly ephemeral?: boolean;
}

/** Leaves out the steps' digests, and repeats of a step's name. */
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

/** The build args of an image. */
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
