import { Agent, get } from "node:http";

/** Does some work while addresses are asked all the time, and tells what went wrong with the requests. */
export async function underLoad<T>(
  urls: readonly string[],
  work: () => Promise<T>,
): Promise<{ result: T; requests: number; failures: readonly string[] }> {
  const load = new Load(urls);
  try {
    const result = await work();
    return { result, requests: load.requests, failures: load.failures };
  } finally {
    await load.stop();
  }
}

/** Asks an address all the time over a few keep-alive connections and keeps what went wrong. */
class Load {
  readonly failures: string[] = [];
  requests = 0;
  private stopped = false;
  private readonly agent = new Agent({ keepAlive: true, maxSockets: 4 });
  private readonly workers: Promise<void>[];

  constructor(urls: readonly string[]) {
    this.workers = urls.flatMap((url) => [0, 1].map(() => this.work(url)));
  }

  async stop(): Promise<void> {
    this.stopped = true;
    await Promise.all(this.workers);
    this.agent.destroy();
  }

  private async work(url: string): Promise<void> {
    while (!this.stopped) {
      const failure = await this.ask(url);
      this.requests += 1;
      if (failure) this.failures.push(`${url}: ${failure}`);
      await new Promise((resume) => setTimeout(resume, 5));
    }
  }

  private ask(url: string): Promise<string | undefined> {
    return new Promise((resolve) => {
      const request = get(url, { agent: this.agent, timeout: 10_000 }, (response) => {
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
