import { type ChildProcess, spawn } from "node:child_process";
import { existsSync } from "node:fs";
import type { Readable, Writable } from "node:stream";
import { setTimeout } from "node:timers/promises";

const CHROMIUM = "/usr/bin/chromium";
const FLAGS =
  "--headless=new --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking " +
  "--disable-component-update --disable-sync --disable-dev-shm-usage --remote-debugging-pipe";

export interface Message {
  readonly id?: number;
  readonly method?: string;
  readonly params?: Record<string, unknown>;
  readonly sessionId?: string;
  readonly result?: Record<string, unknown>;
  readonly error?: { readonly message: string };
}

/** Chromium with a profile that outlives it, led over its own pipe. */
export class Browser {
  readonly #process: ChildProcess;
  readonly #exited: Promise<Message>;
  readonly #listeners = new Set<(message: Message) => void>();
  #id = 0;

  /** @param profile the folder that holds what the browser keeps */
  constructor(profile: string) {
    if (!existsSync(CHROMIUM)) throw new Error(`${CHROMIUM} is missing: apt-get install -y chromium`);
    const stdio = ["ignore", "ignore", "ignore", "pipe", "pipe"] as const;
    this.#process = spawn(CHROMIUM, [...FLAGS.split(" "), `--user-data-dir=${profile}`, "about:blank"], {
      stdio: [...stdio],
    });
    this.#exited = new Promise((exited) =>
      this.#process.once("close", () => exited({ error: { message: "Chromium has ended" } })),
    );
    (this.#process.stdio[3] as Writable).on("error", () => {});
    let rest = "";
    (this.#process.stdio[4] as Readable).setEncoding("utf8").on("data", (text: string) => {
      const messages = (rest + text).split("\0");
      rest = messages.pop()!;
      for (const message of messages) for (const listener of this.#listeners) listener(JSON.parse(message));
    });
  }

  /** The first message of which this is true, from now on. */
  next(wanted: (message: Message) => boolean): Promise<Message> {
    return new Promise((resolve) => {
      const listener = (message: Message) => {
        if (!wanted(message)) return;
        this.#listeners.delete(listener);
        resolve(message);
      };
      this.#listeners.add(listener);
    });
  }

  /** All messages from now on. */
  hear(listener: (message: Message) => void): void {
    this.#listeners.add(listener);
  }

  async send(method: string, params: object = {}, sessionId?: string): Promise<Record<string, unknown>> {
    const id = ++this.#id;
    const answer = this.next((message) => message.id === id);
    (this.#process.stdio[3] as Writable).write(`${JSON.stringify({ id, method, params, sessionId })}\0`);
    const { result, error } = await Promise.race([answer, this.#exited]);
    if (error) throw new Error(`${method}: ${error.message}`);
    return result!;
  }

  async open(url: string): Promise<Tab> {
    const { targetId } = await this.send("Target.createTarget", { url: "about:blank" });
    const { sessionId } = await this.send("Target.attachToTarget", { targetId, flatten: true });
    const tab = new Tab(this, targetId as string, sessionId as string);
    await this.send("Page.enable", {}, sessionId as string);
    await tab.load("Page.navigate", { url });
    return tab;
  }

  async close(): Promise<void> {
    await this.send("Browser.close");
    await this.#exited;
  }
}

/** A tab of the browser. */
export class Tab {
  constructor(
    private readonly browser: Browser,
    private readonly target: string,
    private readonly session: string,
  ) {}

  async load(method: string, params: object = {}): Promise<void> {
    const loaded = this.browser.next(
      (message) => message.sessionId === this.session && message.method === "Page.loadEventFired",
    );
    await this.browser.send(method, params, this.session);
    await loaded;
  }

  /** What the user's plain reload does. */
  reload(): Promise<void> {
    return this.load("Page.reload", { ignoreCache: false });
  }

  /** What each load of this tab showed. */
  async loads(): Promise<unknown> {
    return this.evaluate("sessionStorage.loads");
  }

  /** The text that the tab shows. */
  async text(): Promise<unknown> {
    return this.evaluate("document.body.innerText");
  }

  /** Waits until an expression is true in the page, which may reload meanwhile. */
  async is(expression: string): Promise<void> {
    while (!(await this.evaluate(expression).catch(() => false))) await setTimeout(50);
  }

  /** A command of the DevTools protocol to this tab. */
  send(method: string, params: object = {}): Promise<Record<string, unknown>> {
    return this.browser.send(method, params, this.session);
  }

  async close(): Promise<void> {
    await this.browser.send("Target.closeTarget", { targetId: this.target });
  }

  /** The value of an expression in the page. */
  async evaluate(expression: string): Promise<unknown> {
    const params = { expression, awaitPromise: true, returnByValue: true };
    const { result } = await this.browser.send("Runtime.evaluate", params, this.session);
    return (result as { value?: unknown }).value;
  }
}
