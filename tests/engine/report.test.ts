import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import { page } from "../../cli/report/page";
import { Browser, type Tab } from "../support/chromium";
import { goodReport } from "../support/report";

/** In a real browser, from a file. */
describe("the report's page in a browser", () => {
  const folder = mkdtempSync(join(tmpdir(), "watch-party-report-"));
  let browser: Browser;
  let tab: Tab;

  beforeAll(async () => {
    const file = join(folder, "report.html");
    writeFileSync(file, page(goodReport()));
    browser = new Browser(join(folder, "profile"));
    tab = await browser.open(pathToFileURL(file).href);
  });
  afterAll(async () => {
    await browser?.close();
    rmSync(folder, { recursive: true, force: true });
  });

  const press = async (key: string, code = key) => {
    const text = key === "Enter" ? { text: "\r" } : {};
    const virtual = { windowsVirtualKeyCode: key === "Enter" ? 13 : 9 };
    await tab.send("Input.dispatchKeyEvent", { type: "keyDown", key, code, ...text, ...virtual });
    await tab.send("Input.dispatchKeyEvent", { type: "keyUp", key, code, ...virtual });
  };
  const picture = async (scheme: "light" | "dark", width: number) => {
    await tab.send("Emulation.setEmulatedMedia", {
      features: [{ name: "prefers-color-scheme", value: scheme }],
    });
    await tab.send("Emulation.setDeviceMetricsOverride", {
      width,
      height: 900,
      deviceScaleFactor: 1,
      mobile: false,
    });
    const { data } = await tab.send("Page.captureScreenshot", { format: "png" });
    return Buffer.from(data as string, "base64");
  };

  it("works by keyboard: the first stop is the address, the next opens a proof's details", async () => {
    await press("Tab");
    expect(await tab.evaluate("document.activeElement.href")).toBe("http://127.0.0.1:8080/");
    await press("Tab");
    expect(await tab.evaluate("document.activeElement.tagName")).toBe("SUMMARY");
    await press("Enter");
    await tab.is("document.activeElement.parentElement.open");
    expect(await tab.text()).toContain("where commit is seen");
  });

  it("labels each part and each cell for a screen reader", async () => {
    const { nodes } = (await tab.send("Accessibility.getFullAXTree")) as {
      nodes: { role?: { value: string }; name?: { value: string }; ignored: boolean }[];
    };
    const names = (role: string) =>
      nodes.filter((node) => !node.ignored && node.role?.value === role).map(({ name }) => name?.value);
    expect(names("heading")).toEqual([
      "prod",
      "frontend",
      "backend",
      "Releases",
      "The last deploy, 41.9 s",
      "Engine",
    ]);
    expect(names("region")).toEqual(["frontend", "backend", "Releases", "The last deploy, 41.9 s", "Engine"]);
    expect(names("rowheader")).toContain("served");
    expect(names("status")).toHaveLength(1);
    expect(names("image")).toEqual([]);
  });

  it.each(["light", "dark"] as const)("has enough contrast in %s for every text", async (scheme) => {
    expect((await picture(scheme, 1000)).byteLength).toBeGreaterThan(10_000);
    expect(await tab.evaluate(LOW_CONTRAST)).toEqual([]);
  });

  it("looks different in light and dark, and is no wider than a phone", async () => {
    expect((await picture("light", 360)).equals(await picture("dark", 360))).toBe(false);
    expect(await tab.evaluate("document.documentElement.scrollWidth <= innerWidth")).toBe(true);
  });
});

/** The texts whose contrast with the ground is less than 4.5 to 1, as WCAG counts it. */
const LOW_CONTRAST = `(() => {
  const channels = (color) => color.match(/[\\d.]+/g).map(Number);
  const light = ([red, green, blue]) => [red, green, blue]
    .map((value) => value / 255)
    .map((value) => (value <= 0.03928 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4))
    .reduce((sum, value, at) => sum + value * [0.2126, 0.7152, 0.0722][at], 0);
  const ground = (element) => {
    for (let each = element; each; each = each.parentElement) {
      const color = channels(getComputedStyle(each).backgroundColor);
      if (color.length === 3 || color[3] > 0) return color;
    }
    return [255, 255, 255];
  };
  return [...document.querySelectorAll("body *")]
    .filter((element) => [...element.childNodes].some(({ nodeType, data }) => nodeType === 3 && data.trim()))
    .filter((element) => {
      const both = [light(channels(getComputedStyle(element).color)), light(ground(element))].sort((a, b) => b - a);
      return (both[0] + 0.05) / (both[1] + 0.05) < 4.5;
    })
    .map((element) => element.outerHTML.slice(0, 80));
})()`;
