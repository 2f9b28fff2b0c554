import * as pulumi from "@pulumi/pulumi";

/** Lines within this time form one message, because each message is a call to the CLI. */
const TOGETHER_MS = 250;

/** Writes the output of a command to the deploy's log, as it arrives. */
export class CommandLog {
  private waiting: string[] = [];
  private timer: NodeJS.Timeout | undefined;

  /** @param title prefix of each message */
  constructor(private readonly title: string) {}

  readonly say = (line: string): void => {
    this.waiting.push(line);
    this.timer ??= setTimeout(() => void this.flush(), TOGETHER_MS);
  };

  /** Writes the lines that are still buffered. */
  async flush(): Promise<void> {
    clearTimeout(this.timer);
    this.timer = undefined;
    const lines = this.waiting.splice(0);
    if (lines.length > 0) await pulumi.log.info(lines.map((line) => `${this.title}: ${line}`).join("\n"));
  }
}
