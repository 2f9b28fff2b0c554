import type { EngineEvent } from "@pulumi/pulumi/automation";
import { table } from "../table";
import type { Screen } from "./paint";
import type { News, Steps } from "./steps";
import type { Deployed, Display } from "./types";
import { changes, closing, secondsOf } from "./words";

interface PlainOptions {
  /** Whether to fold the steps and the certificate, as GitHub Actions does. */
  readonly groups: boolean;
  /** Milliseconds without a line after which the display says what runs. Default: 30 s. */
  readonly aliveMs?: number;
}

const ALIVE_MS = 30_000;

/** Prints one line a step, for a log. */
export class PlainDisplay implements Display {
  private alive: NodeJS.Timeout;
  private isOpen = false;

  constructor(
    private readonly screen: Screen,
    private readonly steps: Steps,
    private readonly options: PlainOptions,
  ) {
    this.alive = setInterval(() => this.beat(), options.aliveMs ?? ALIVE_MS);
  }

  hear(event: EngineEvent): void {
    for (const news of this.steps.hear(event)) this.tell(news);
  }

  close(good: boolean): void {
    for (const news of this.steps.close(good)) this.tell(news);
    clearInterval(this.alive);
    this.endGroup();
  }

  conclude(deployed: Deployed): void {
    const { links } = deployed;
    this.print("");
    this.beginGroup(`Certificate: ${links.length} links`);
    this.print(table(links));
    this.endGroup();
    this.screen.write(`\n${changes(this.steps)}\n\n${closing(deployed)}`);
  }

  private tell(news: News): void {
    if (news.kind === "note" && !news.step.speaks) return;
    this.beginGroup("Deploy");
    this.print(lineOf(news));
  }

  private beat(): void {
    const current = this.steps.current.map((step) => {
      const seconds = secondsOf((performance.now() - step.started) / 1000);
      return `${step.label} ${seconds}${step.text === "" ? "" : `, ${step.text}`}`;
    });
    this.print(`running: ${current.length === 0 ? "clean-up" : current.join("; ")}`);
  }

  private print(text: string): void {
    this.alive.refresh();
    const lines = text.split("\n");
    // Output of others must not contain a command for the runner.
    const shown = this.options.groups ? lines.map((line) => line.replace(/^(?=\s*(::|##\[))/, "| ")) : lines;
    this.screen.write(`${shown.join("\n")}\n`);
  }

  private beginGroup(title: string): void {
    if (!this.options.groups || this.isOpen) return;
    this.isOpen = true;
    this.screen.write(`::group::${title}\n`);
  }

  private endGroup(): void {
    if (this.isOpen) this.screen.write("::endgroup::\n");
    this.isOpen = false;
  }
}

function lineOf(news: News): string {
  if (news.kind === "line") return news.text;
  if (news.kind === "warning") return `warning: ${news.text}`;
  const { label, text } = news.step;
  if (news.kind === "note") return `${label}: ${text}`;
  return `${label}: ${news.good ? "done in" : "failed after"} ${secondsOf(news.seconds)}`;
}
