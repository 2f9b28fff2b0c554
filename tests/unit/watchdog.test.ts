import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "@jest/globals";
import execa from "execa";

const PROJECT = resolve(__dirname, "..", "..");

/** Starts a watchdog over a script that makes a file, and ends as the words say. */
const program = (file: string, end: string) => `
const { startWatchdog } = require("./engine/watchdog.ts");
const engine = { scriptLine: (script) => ["sh", ["-c", script]] };
const watchdog = startWatchdog(engine, "touch '${file}'");
${end}
`;

describe("a watchdog", () => {
  let folder: string;
  let file: string;

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "watch-party-watchdog-"));
    file = join(folder, "taken-back");
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  const run = (end: string) => {
    const node = ["--require", "@swc-node/register", "--eval", program(file, end)];
    return execa(process.execPath, node, { cwd: PROJECT, reject: false });
  };
  const made = async () => {
    for (const deadline = Date.now() + 10_000; !existsSync(file) && Date.now() < deadline; )
      await new Promise((resume) => setTimeout(resume, 20));
    return existsSync(file);
  };

  it.each([
    ["is killed", 'process.kill(process.pid, "SIGKILL");'],
    ["ends by itself", ""],
    ["fails", "process.exit(3);"],
  ])("runs its script when the program %s", async (_, end) => {
    await run(end);
    expect(await made()).toBe(true);
  });

  it("runs nothing once it is cancelled", async () => {
    const { exitCode } = await run(`
      watchdog.callOff();
      setTimeout(() => {
        // The one beside it is not called off: when it has run, this one would have too.
        startWatchdog(engine, "touch '${file}.other'");
      }, 200);
    `);
    expect(exitCode).toBe(0);
    const other = `${file}.other`;
    for (const deadline = Date.now() + 10_000; !existsSync(other) && Date.now() < deadline; )
      await new Promise((resume) => setTimeout(resume, 20));
    expect(existsSync(other)).toBe(true);
    expect(existsSync(file)).toBe(false);
  });
});
