/** What webhooks report: a release serves, was refused, or went back; what is served is no longer what was deployed. */
export const EVENTS = ["deployed", "refused", "rolled back", "drifted"] as const;
type EventName = (typeof EVENTS)[number];

/** What happened to a stack. */
export interface StackEvent {
  readonly event: EventName;
  readonly stack: string;
  /** The public address. */
  readonly url: string;
  /** The commit that was deployed or refused; absent if it is unknown. */
  readonly commit?: string;
  /** The commit that served before; absent before the first release. */
  readonly previous?: string;
  /** Why it was refused or has drifted. */
  readonly error?: string;
}

const LONGEST_ERROR = 1000;

/** The body of a webhook. */
export function webhookBody(format: "slack" | "json", of: StackEvent, time: Date): string {
  const error = of.error?.slice(0, LONGEST_ERROR);
  if (format === "json") return JSON.stringify({ ...of, error, time: time.toISOString() });
  const commit = of.commit === undefined ? "" : ` ${of.commit.slice(0, 12)}`;
  // Slack reads these three characters as the begin of a link or a mention.
  const escaped = (text: string) =>
    text.replace(/[&<>]/g, (each) => ({ "&": "&amp;", "<": "&lt;", ">": "&gt;" })[each] ?? each);
  const why = error === undefined ? "" : `\n${escaped(error)}`;
  return JSON.stringify({ text: `${of.stack}: ${of.event}${commit}, ${of.url}${why}` });
}

/** The format of a webhook whose configuration names none. */
export function formatOf(url: string): "slack" | "json" {
  return URL.canParse(url) && new URL(url).hostname === "hooks.slack.com" ? "slack" : "json";
}
