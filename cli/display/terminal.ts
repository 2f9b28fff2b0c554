import type { EngineEvent } from "@pulumi/pulumi/automation";
import { chainLines } from "./chainLines";
import { columnsOf, cut, type Paint, painter, type Screen } from "./paint";
import type { News, Step, Steps } from "./steps";
import type { Deployed, Display } from "./types";
import { changes, secondsOf, totalOf } from "./words";

/** The seconds of running steps change this often. */
const DRAW_MS = 500;
/** Columns of a step's label, in a terminal of this width or less, and in a wider one. */
const LABEL_COLUMNS = { narrow: 23, width: 80, wide: 30 };

/** Shows running steps in place, below what has ended. */
export class TerminalDisplay implements Display {
  private readonly paint: Paint;
  private readonly drawing: NodeJS.Timeout;
  /** Widths of the lines that the next drawing replaces. */
  private drawn: readonly number[] = [];

  constructor(
    private readonly screen: Screen,
    private readonly steps: Steps,
    env: Readonly<Record<string, string | undefined>>,
  ) {
    this.paint = painter(screen, env);
    this.drawing = setInterval(() => this.draw(""), DRAW_MS);
    this.draw("");
  }

  hear(event: EngineEvent): void {
    this.tell(this.steps.hear(event));
  }

  close(good: boolean): void {
    clearInterval(this.drawing);
    this.tell(this.steps.close(good));
    this.draw("");
  }

  conclude(deployed: Deployed): void {
    const { links, url, commit } = deployed;
    const width = columnsOf(this.screen);
    const [full, short] = [commit, commit.slice(0, 12)].map((each) => `${url} serves ${each}`);
    const address = full !== undefined && full.length <= width ? full : short;
    const lines = ["", ...chainLines(links, width, this.paint), ""];
    lines.push(`${changes(this.steps)}; ${totalOf(deployed)}`);
    this.screen.write(`${lines.join("\n")}\n${this.paint("green", address ?? "")}\n`);
  }

  private tell(news: readonly News[]): void {
    const ended = news.flatMap((each) => (each.kind === "note" ? [] : [this.lineOf(each)]));
    if (news.length > 0) this.draw(ended.map((line) => `${line}\n`).join(""));
  }

  private lineOf(news: Exclude<News, { kind: "note" }>): string {
    if (news.kind === "line") return news.text;
    if (news.kind === "warning") return `${this.paint("yellow", "warning:")} ${news.text}`;
    const mark = news.good ? this.paint("green", "✓") : this.paint("red", "✗");
    // A build step is of interest while it runs.
    const text = news.step.speaks ? news.step.text : "";
    return `${mark} ${this.columns({ label: news.step.label, text }, news.seconds)}`;
  }

  /** Label, seconds and text of a step, in the width that is left beside its mark. */
  private columns({ label, text }: Pick<Step, "label" | "text">, seconds: number): string {
    const width = columnsOf(this.screen) - 3;
    const beside = width <= LABEL_COLUMNS.width ? LABEL_COLUMNS.narrow : LABEL_COLUMNS.wide;
    const start = `${cut(label, beside).padEnd(beside)} ${secondsOf(seconds).padStart(6)}`;
    return `${start}${this.paint("dim", cut(text === "" ? "" : `  ${text}`, width - start.length))}`.trimEnd();
  }

  /** Writes lines that stay, and the running steps below them. */
  private draw(lasting: string): void {
    const width = columnsOf(this.screen);
    // A terminal that became narrower has wrapped the lines.
    const up = this.drawn.reduce((rows, each) => rows + Math.max(1, Math.ceil(each / width)), 0);
    const most = Math.max(1, (this.screen.rows || 24) - 2);
    const now = performance.now();
    const running = this.steps.current
      .slice(-most)
      .map((step) => this.columns(step, (now - step.started) / 1000));
    this.drawn = running.map((line) => plainLength(line) + 2);
    const back = up === 0 ? "" : `\u001b[${up}A\r\u001b[J`;
    const lines = running.map((line) => `${this.paint("dim", "·")} ${line}\n`).join("");
    this.screen.write(back + lasting + lines);
  }
}

function plainLength(line: string): number {
  return cut(line, Number.POSITIVE_INFINITY).length;
}
