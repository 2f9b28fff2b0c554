import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import execa from "execa";
import { TestApp } from "../support/app";
import { freePort } from "../support/stack";
import { Clone } from "./clone";

const DOCUMENTS = ["README.md", "CONTRIBUTING.md"];

/** The commands of a document's shell blocks, without their comments. */
function commands(document: string): string[] {
  const text = readFileSync(join(__dirname, "..", "..", document), "utf8");
  return [...text.matchAll(/```sh\n([\s\S]*?)```/g)]
    .flatMap(([, block]) => block!.split("\n"))
    .map((line) => line.replace(/\s+#.*$/, "").trim())
    .filter((line) => line !== "");
}

describe("the commands in the documents", () => {
  let clone: Clone;
  let app: TestApp;
  let port: number;

  beforeAll(async () => {
    [clone, app, port] = await Promise.all([Clone.create(), TestApp.create(), freePort()]);
  });
  afterAll(async () => {
    await clone?.remove(["mine"]);
    app?.remove();
  });

  it("are existing scripts in every document", () => {
    const { scripts } = JSON.parse(readFileSync(join(__dirname, "..", "..", "package.json"), "utf8"));
    const typed = DOCUMENTS.flatMap(commands).filter((line) => line.startsWith("npm "));
    expect(typed.length).toBeGreaterThan(10);
    const names = typed.map((line) => /^npm (?:run (?:-s )?)?([a-z:-]+)/.exec(line)![1]!);
    expect(names.filter((name) => !(name in scripts))).toEqual([]);
  });

  it("deploy an own app by configuration keys and prove it, line by line", async () => {
    const lines = commands("README.md").filter((line) => line.includes("mine"));
    expect(lines).toHaveLength(10);
    for (const line of lines) {
      // Going back takes a release to go back to.
      if (line.includes("rollback")) await again();
      const typed = line.replace("../my-app", app.folder).replace("8090", String(port));
      const { exitCode, stderr, stdout } = await execa(typed, {
        shell: true,
        cwd: clone.folder,
        env: clone.env,
        reject: false,
      });
      expect(`${typed}: ${exitCode}${exitCode === 0 ? "" : ` ${stdout}${stderr}`}`).toBe(`${typed}: 0`);
    }
    const commit = await app.git("rev-parse", "HEAD~");
    expect(await (await fetch(`http://127.0.0.1:${port}/.freshness/web`)).json()).toEqual({ commit });
  });

  /** Deploys another commit. */
  async function again(): Promise<void> {
    await app.commit({ "frontend/message.txt": "again\n" });
    const up = ["run", "-s", "pulumi", "--", "up", "--yes", "--skip-preview", "--stack", "mine"];
    await execa("npm", up, { cwd: clone.folder, env: clone.env });
  }

  it("show which tools are in use", async () => {
    const { stdout, exitCode } = await execa("npm", ["run", "-s", "doctor"], {
      cwd: clone.folder,
      env: clone.env,
    });
    expect(exitCode).toBe(0);
    expect(stdout).toMatch(/^plugin docker +5\.2\.0 +(official|stand-in)/m);
  });
});
