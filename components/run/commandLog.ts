import * as pulumi from "@pulumi/pulumi";

/** Lines that come within this time are one message: each costs a call of the CLI. */
const TOGETHER_MS = 250;

/** Says what a command of the deploy prints in the deploy's log, as it comes. */
export class CommandLog {
  private waiting: string[] = [];
  private timer: NodeJS.Timeout | undefined;

  /** @param title stands before each message */
  constructor(private readonly title: string) {}

  readonly say = (line: string): void => {
    this.waiting.push(line);
    this.timer ??= setTimeout(() => void this.flush(), TOGETHER_MS);
  };

  /** Says what still waits. */
  async flush(): Promise<void> {
    clearTimeout(this.timer);
    this.timer = undefined;
    const lines = this.waiting.splice(0);
    if (lines.length > 0) await pulumi.log.info(lines.map((line) => `${this.title}: ${line}`).join("\n"));
  }
}
