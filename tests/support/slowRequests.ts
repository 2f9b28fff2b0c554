/** What of the fixture's backend becomes what. */
const RUDE = [
  ["signal.signal(signal.SIGTERM, self.stop)", "signal.signal(signal.SIGTERM, lambda *_: os._exit(1))"],
  ["MAX_DELAY_MS = 5_000", "MAX_DELAY_MS = 60_000"],
] as const;

/** The fixture's backend, which exits at once on SIGTERM despite running requests. */
export function rude(source: string): string {
  return RUDE.reduce((text, [from, to]) => {
    if (!text.includes(from)) throw new Error(`no "${from}" in the source`);
    return text.replace(from, to);
  }, source);
}

/** Requests to the fixture's backend that take their time: one more twice a second, so that some are under way at any moment. */
export class SlowRequests {
  private readonly failed: string[] = [];
  private readonly asked: Promise<void>[] = [];
  private readonly timer: NodeJS.Timeout;

  constructor(url: string, seconds: number) {
    const ask = async () => {
      const { status } = await fetch(`${url}/api/hello?delay=${seconds * 1000}`);
      if (status !== 200) this.failed.push(`status ${status}`);
    };
    this.timer = setInterval(() => {
      this.asked.push(ask().catch((cause: Error) => void this.failed.push(String(cause.cause ?? cause))));
    }, 500);
  }

  /** Waits for those that are under way. @returns how many there were, and what went wrong with any */
  async stop(): Promise<{ asked: number; failed: readonly string[] }> {
    clearInterval(this.timer);
    await Promise.all(this.asked);
    return { asked: this.asked.length, failed: this.failed };
  }
}
