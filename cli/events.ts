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

function shortType(type: string): string {
  return `${type.slice(0, type.indexOf(":"))} ${type.slice(type.lastIndexOf(":") + 1)}`;
}
