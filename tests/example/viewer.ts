import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Browser, type Message, type Tab } from "../support/chromium";

/**
 * Notes ten times a second where the film is, from each load on: it is the page's own word, at the page's own time.
 * `resumed` is when it first ran and `stall` the longest time for which it stood still since, in milliseconds.
 */
const WATCH = `
  window.film = { stall: 0, resumed: undefined };
  let last = -1, moved = performance.now();
  setInterval(() => {
    const video = document.querySelector("video");
    const now = performance.now();
    if (!video || document.querySelector(".controls button")?.textContent !== "Pause") { moved = now; return; }
    if (video.currentTime !== last) {
      if (last >= 0 && !video.paused) film.resumed ??= now;
      moved = now;
    } else if (film.resumed !== undefined) film.stall = Math.max(film.stall, now - moved);
    last = video.currentTime;
  }, 100);
`;

/** What the page tells of its film and of its connection, in milliseconds. */
export interface Film {
  readonly stall: number;
  /** From the beginning of the load. */
  readonly resumed: number;
  /** How long the connection was lost, each time. */
  readonly away: readonly number[];
}

/**
 * Chromium ends a request that is connecting when an interface of its machine changes, as each container does that starts or
 * stops here: 1 of 6,500 while interfaces came and went all the time. A viewer has a machine without containers.
 */
const OWN_NETWORK = "net::ERR_NETWORK_CHANGED";

/** A viewer in a real browser of their own, who clicks and types. */
export class Viewer {
  /** What went wrong in the pages: console errors, exceptions, answers with an error's status. */
  readonly troubles: string[] = [];

  private constructor(
    private readonly profile: string,
    private readonly browser: Browser,
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
    if (method === "Log.entryAdded" && entry?.level === "error" && !entry.text.includes(OWN_NETWORK))
      this.troubles.push(`${entry.text} ${entry.url}`);
    const response = params?.response as { status: number; url: string } | undefined;
    if (method === "Network.responseReceived" && response && response.status >= 400)
      this.troubles.push(`${response.status} ${response.url}`);
  }

  /** Goes to a page. */
  go(url: string): Promise<void> {
    return this.tab.load("Page.navigate", { url });
  }

  /** Enters a room by its link, and gives a name if required. */
  async enter(url: string): Promise<void> {
    await this.go(url);
    await this.tab.is("document.querySelector('.door input, .party') !== null");
    if (await this.tab.evaluate("document.querySelector('.door') !== null"))
      await this.type(".door input", this.name);
    await this.tab.is("document.querySelector('.party')?.dataset.status === 'live'");
  }

  /** Types a text into a field and presses Enter, once React has the field: before, its form is plain HTML. */
  async type(field: string, text: string): Promise<void> {
    const found = `document.querySelector(${JSON.stringify(field)})`;
    await this.tab.is(`Object.keys(${found}).some((key) => key.startsWith("__react"))`);
    await this.tab.evaluate(`${found}.focus()`);
    await this.tab.send("Input.insertText", { text });
    await this.press("Enter", "\r");
  }

  async press(key: keyof typeof KEYS, text?: string): Promise<void> {
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

  say(text: string): Promise<void> {
    return this.type(".chat form input", text);
  }

  /** The messages that the page has from the backend, in order. */
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

  async film(): Promise<Film> {
    return (await this.tab.evaluate(
      "({ ...film, away: performance.getEntriesByName('watch-party:away').map((each) => each.duration) })",
    )) as Film;
  }

  async close(): Promise<void> {
    await this.browser.close();
    rmSync(this.profile, { recursive: true, force: true, maxRetries: 5 });
  }
}

const KEYS = { Enter: 13, " ": 32, ArrowRight: 39 } as const;
