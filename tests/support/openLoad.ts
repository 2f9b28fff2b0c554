import { Agent, get } from "node:http";

/** One request: when it was due, how long its answer took from then, and what came. */
export interface Sample {
  /** By `performance.now()`. */
  readonly at: number;
  readonly milliseconds: number;
  /** The body of an answer with status 200; undefined for anything else. */
  readonly body: string | undefined;
  /** What went wrong; empty where nothing did. */
  readonly failure: string;
}

/** One request in so many comes over a connection of its own, as a new visitor's; the others over those that are kept. */
const NEW_CONNECTION_EACH = 2;

/** Asks an address at a steady rate, however long answers take, and keeps what came of each request. */
export class OpenLoad {
  readonly samples: Sample[] = [];
  private readonly agent = new Agent({ keepAlive: true, maxSockets: 64 });
  private readonly started = performance.now();
  private readonly open = new Set<Promise<void>>();
  private sent = 0;
  private readonly timer: NodeJS.Timeout;

  /** @param rate requests a second */
  constructor(
    private readonly url: string,
    private readonly rate: number,
    private readonly headers: Readonly<Record<string, string>> = {},
  ) {
    this.timer = setInterval(() => this.catchUp(), 5);
  }

  /** @returns all samples, in the order in which they were due */
  async stop(): Promise<readonly Sample[]> {
    clearInterval(this.timer);
    await Promise.all(this.open);
    this.agent.destroy();
    return this.samples.sort((a, b) => a.at - b.at);
  }

  /** Sends what is due: a timer that comes late must not lower the rate. */
  private catchUp(): void {
    const due = Math.floor(((performance.now() - this.started) * this.rate) / 1000);
    for (; this.sent < due; this.sent++) {
      const agent = this.sent % NEW_CONNECTION_EACH === 0 ? false : this.agent;
      const asked = this.ask(this.started + ((this.sent + 1) * 1000) / this.rate, agent);
      this.open.add(asked);
      void asked.finally(() => this.open.delete(asked));
    }
  }

  private ask(at: number, agent: Agent | false): Promise<void> {
    return new Promise((resolve) => {
      const end = (body: string | undefined, failure: string) => {
        this.samples.push({ at, milliseconds: performance.now() - at, body, failure });
        resolve();
      };
      const request = get(this.url, { agent, timeout: 15_000, headers: this.headers }, (response) => {
        let body = "";
        response.setEncoding("utf8").on("data", (text) => {
          body += text;
        });
        response.on("end", () =>
          response.statusCode === 200 ? end(body, "") : end(undefined, `status ${response.statusCode}`),
        );
        response.on("error", (error) => end(undefined, error.message));
      });
      request.on("timeout", () => request.destroy(new Error("timeout")));
      request.on("error", (error) => end(undefined, error.message));
    });
  }
}

/** The value that a share of all is not above: 0.99 for p99. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
}
