import { Agent, get } from "node:http";

/**
 * Does some work while addresses are asked all the time, over connections that are kept and over new ones, and tells what went
 * wrong with the requests.
 *
 * @returns `failures`: of a new connection they say so; `outage`: the seconds from the first failure to the last
 * @throws what the work throws, with what the requests saw
 */
export async function underLoad<T>(
  urls: readonly string[],
  work: () => Promise<T>,
): Promise<{ result: T; requests: number; failures: readonly string[]; outage: number }> {
  const load = new Load(urls);
  try {
    const result = await work();
    const { requests, failures, outage } = load;
    return { result, requests, failures, outage };
  } catch (cause) {
    if (cause instanceof Error && load.failures.length > 0)
      cause.message += `\n${load.failures.length} requests failed meanwhile:\n${load.failures.slice(0, 5).join("\n")}`;
    throw cause;
  } finally {
    await load.stop();
  }
}

/** The prefix of a new visitor's failure. */
export const NEW_CONNECTION = "over a new connection: ";

const STEADY = { atOnce: 1, pauseMs: 5 };
/** As a page does with its files: more at once than an edge has connections for, after it has given those up. */
const PAGE = { atOnce: 8, pauseMs: 300 };

/** Requests addresses without a pause and records failures: a few visitors with open connections, and a new one per address. */
class Load {
  readonly failures: string[] = [];
  requests = 0;
  private failing: { since: number; until: number } | undefined;
  private stopped = false;
  private readonly agent = new Agent({ keepAlive: true, maxSockets: 16 });
  private readonly workers: Promise<void>[];

  constructor(urls: readonly string[]) {
    this.workers = urls.flatMap((url) => [
      this.work(url, this.agent),
      this.work(url, this.agent),
      this.work(url, false),
      this.work(url, this.agent, PAGE),
    ]);
  }

  get outage(): number {
    return this.failing ? (this.failing.until - this.failing.since) / 1000 : 0;
  }

  async stop(): Promise<void> {
    this.stopped = true;
    await Promise.all(this.workers);
    this.agent.destroy();
  }

  private async work(url: string, agent: Agent | false, { atOnce, pauseMs } = STEADY): Promise<void> {
    while (!this.stopped) {
      await Promise.all(Array.from({ length: atOnce }, () => this.visit(url, agent)));
      await new Promise((resume) => setTimeout(resume, pauseMs));
    }
  }

  private async visit(url: string, agent: Agent | false): Promise<void> {
    const asked = performance.now();
    const failure = await this.ask(url, agent);
    this.requests += 1;
    if (failure === undefined) return;
    this.failures.push(`${agent ? "" : NEW_CONNECTION}${url}: ${failure}`);
    this.failing = { since: this.failing?.since ?? asked, until: performance.now() };
  }

  private ask(url: string, agent: Agent | false): Promise<string | undefined> {
    return new Promise((resolve) => {
      const request = get(url, { agent, timeout: 10_000 }, (response) => {
        response.resume();
        response.on("end", () =>
          resolve(response.statusCode === 200 ? undefined : `status ${response.statusCode}`),
        );
        response.on("error", (error) => resolve(error.message));
      });
      request.on("timeout", () => request.destroy(new Error("timeout")));
      request.on("error", (error) => resolve(error.message));
    });
  }
}
