import { quantile } from "../support/openLoad";
import type { Count } from "../support/party";
import type { Film } from "./viewer";

/** What came of a deploy under people who talk; times in milliseconds. */
export interface Round {
  /** How long messages took that were sent before, during and after the deploy. */
  readonly latencies: readonly (readonly number[])[];
  readonly count: Count;
  /** How long each of the crowd was without the room. */
  readonly away: readonly number[];
  /** What the viewers' browsers had of it. */
  readonly films: readonly Film[];
}

/** The latencies of a deploy's messages, what was lost, and how long people were without the room and the film. */
export function roundTable({ latencies, count, away, films }: Round): string {
  const rows = ["before", "during", "after"].map((phase, at) => {
    const times = [0.5, 0.95, 0.99, 1].map((share) => Math.round(quantile(latencies[at]!, share)));
    return `| ${[phase, latencies[at]!.length, ...times].join(" | ")} |`;
  });
  const { said, deliveries, lost, doubled } = count;
  return `| sent | messages | p50 ms | p95 ms | p99 ms | max ms |
|---|---|---|---|---|---|
${rows.join("\n")}

${said} messages, ${deliveries} deliveries, ${lost} lost, ${doubled} doubled. Without the room for ${Math.round(quantile(away, 0.5))} ms
in the median, ${Math.round(Math.max(...away))} ms at most. Browsers: ${films.map(filmText).join("; ")}.`;
}

function filmText({ stall, away, resumed }: Film): string {
  const gone = Math.round(Math.max(...away));
  return `without the room for ${gone} ms, film still for ${Math.round(stall)} ms at most, running ${Math.round(resumed)} ms after a reload began`;
}

/** The text of docs/example.md. */
export function exampleDocument(
  rounds: readonly Round[],
  takenBack: readonly Film[],
  versions: string,
  date: string,
): string {
  const deploys = rounds.map((round, at) => `## Deploy ${at + 1}\n\n${roundTable(round)}\n`);
  return `# Users of the example app during deploys

Measured by \`WATCH_PARTY_FULL=1 npm run test:example\` on ${date}, ${versions}. Two browsers watch and chat in one room. Fifty users in
ten rooms each send a message every two seconds over WebSockets. Meanwhile the same machine builds and deploys a new version of both services,
with a migration. A message's time runs from sending until the backend has returned it to its sender, including time without a connection.
The film is checked ten times a second.

${deploys.join("\n")}
## Refused and taken back

Browsers: ${takenBack.map(filmText).join("; ")}.
`;
}
