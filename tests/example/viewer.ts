import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Browser, type Message, type Tab } from "../support/chromium";

/** Notes ten times a second where the film is, from each load on: it is the page's own word, at the page's own time. */
const WATCH = `
  window.film = { stall: 0, resumed: undefined };
  let last = -1, moved = performance.now();
  setInterval(() => {
    const video = document.querySelector("video");
    const now = performance.now();
    if (!video || document.querySelector(".controls button")?.textContent !== "Pause") { moved = now; return; }
    if (video.currentTime !== last) {
      if (last >= 0 && !video.paused) film.resumed ??= now - performance.timing.loadEventEnd + performance.timing.navigationStart;
      if (last >= 0) film.stall = Math.max(film.stall, now - moved);
      moved = now;
    }
    last = video.currentTime;
  }, 100);
`;

/** A viewer in a real browser of their own, who clicks and types. */
export class Viewer {
  /** What went wrong in the pages: console errors, exceptions, answers with an error's status. */
  readonly troubles: string[] = [];
  /** What was said here, in order. */
  readonly said: string[] = [];

  private constructor(
    private readonly profile: string,
    readonly browser: Browser,
    readonly tab: Tab,
    private readonly name: string,
  ) {}

  static async create(name: string): Promise<Viewer> {
    const profile = mkdtempSync(join(tmpdir(), "watch-party-profile-"));
    const browser = new Browser(profile);
    const tab = await browser.open("about:blank");
    const viewer = new Viewer(profile, browser, tab, name);
    browser.hear((message) => viewer.#hear(message));
    for (const domain of ["Runtime", "Log", "Network"]) await tab.send(`${domain}.enable`);
    await tab.send("Page.addScriptToEvaluateOnNewDocument", { source: WATCH });
    return viewer;
  }

  #hear({ method, params }: Message): void {
    if (method === "Runtime.exceptionThrown") this.troubles.push(JSON.stringify(params));
    if (method === "Runtime.consoleAPICalled" && ["error", "assert"].includes(String(params?.type)))
      this.troubles.push(JSON.stringify(params?.args));
    const entry = params?.entry as { level: string; text: string; url?: string } | undefined;
    if (method === "Log.entryAdded" && entry?.level === "error")
      this.troubles.push(`${entry.text} ${entry.url}`);
    const response = params?.response as { status: number; url: string } | undefined;
    if (method === "Network.responseReceived" && response && response.status >= 400)
      this.troubles.push(`${response.status} ${response.url}`);
  }

  /** Goes to a page. */
  go(url: string): Promise<void> {
    return this.tab.load("Page.navigate", { url });
  }

  /** Enters a room by its link, and says a name where that is asked. */
  async enter(url: string): Promise<void> {
    await this.go(url);
    await this.tab.is("document.querySelector('.door input, .party')");
    if (await this.tab.evaluate("document.querySelector('.door') !== null"))
      await this.type(".door input", this.name);
    await this.tab.is("document.querySelector('.party')?.dataset.status === 'live'");
  }

  /** Types a text into a field and presses Enter. */
  async type(field: string, text: string): Promise<void> {
    await this.tab.evaluate(`document.querySelector(${JSON.stringify(field)}).focus()`);
    await this.tab.send("Input.insertText", { text });
    await this.press("Enter", "\r");
  }

  async press(key: string, text?: string): Promise<void> {
    const code = { key, code: key === " " ? "Space" : key, windowsVirtualKeyCode: KEYS[key] };
    await this.tab.send("Input.dispatchKeyEvent", { type: text ? "keyDown" : "rawKeyDown", ...code, text });
    await this.tab.send("Input.dispatchKeyEvent", { type: "keyUp", ...code });
  }

  /** Presses a button by keyboard, found by the words on it. */
  async button(words: string): Promise<void> {
    const found = `[...document.querySelectorAll("button")].find((one) => one.innerText.startsWith(${JSON.stringify(words)}))`;
    await this.tab.is(`${found} !== undefined && !${found}.disabled`);
    await this.tab.evaluate(`${found}.focus()`);
    await this.press(" ", " ");
  }

  async say(text: string): Promise<void> {
    this.said.push(text);
    await this.type(".chat form input", text);
  }

  /** The messages that the page shows, sent ones alone. */
  async messages(): Promise<string[]> {
    return (await this.tab.evaluate(
      "[...document.querySelectorAll('[data-message] p')].map((each) => each.textContent)",
    )) as string[];
  }

  /** The page's time, in milliseconds, less the film's: equal for all who see the same picture. */
  async offset(): Promise<number> {
    return (await this.tab.evaluate(
      "Date.now() - document.querySelector('video').currentTime * 1000",
    )) as number;
  }

  async film(): Promise<{ stall: number; resumed: number; away: number[] }> {
    return (await this.tab.evaluate(
      "({ ...film, away: performance.getEntriesByName('watch-party:away').map((each) => each.duration) })",
    )) as { stall: number; resumed: number; away: number[] };
  }

  async close(): Promise<void> {
    await this.browser.close();
    rmSync(this.profile, { recursive: true, force: true });
  }
}

const KEYS: Readonly<Record<string, number>> = { Enter: 13, " ": 32, ArrowRight: 39, End: 35 };
