import { mkdtempSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import execa from "execa";
import { TestApp } from "../support/app";
import { TestStack } from "../support/stack";

const PROJECT = resolve(__dirname, "..", "..");
/** The last commit before resources were renamed and options added; its program made the state that has to stay good. */
const EARLIER = "0968d89c4ff4d23448ce6ad9585b6c7003712c08";

/** A stack that an earlier version of the program deployed is taken over by this one. */
describe("a new version of the program", () => {
  const commits: string[] = [];
  let program: string;
  let app: TestApp;
  let stack: TestStack;

  beforeAll(async () => {
    program = mkdtempSync(join(tmpdir(), "watch-party-program-"));
    const archive = 'git archive --format=tar "$1" | tar --extract --directory "$2"';
    await execa("sh", ["-c", archive, "sh", EARLIER, program], { cwd: PROJECT });
    symlinkSync(join(PROJECT, "node_modules"), join(program, "node_modules"));
    app = await TestApp.create();
    const services = {
      frontend: { pages: ["/"], capabilities: ["NET_BIND_SERVICE"] },
      backend: { volumes: { data: "/data" }, secretEnv: { TOKEN: "between-us" } },
      worker: { context: "backend", readOnly: true },
    };
    stack = await TestStack.create({ source: app.folder, services }, {}, program);
    for (const text of ["one", "two"]) {
      commits.push(await app.commit({ "backend/message.txt": `${text}\n` }));
      const outcome = await stack.up();
      if (!outcome.ok) throw new Error(outcome.said);
    }
    const container = await stack.container("backend");
    await execa("docker", ["exec", "--user", "0", container, "sh", "-c", "printf kept > /data/kept"]);
    stack.upgrade();
  });
  afterAll(async () => {
    await stack?.remove();
    app?.remove();
    rmSync(program, { recursive: true, force: true });
  });

  const served = async () => {
    const answer = await fetch(`${stack.url}/.freshness/backend`);
    return ((await answer.json()) as { commit: string }).commit;
  };

  it("changes no resource of a stack that an earlier version deployed, and proves it", async () => {
    const outcome = await stack.up();
    expect(outcome.said).not.toContain("error:");
    expect(outcome).toMatchObject({ ok: true, changes: {} });
    const { status, stderr } = await stack.verify();
    expect({ status, stderr }).toMatchObject({ status: 0 });
    expect(await served()).toBe(commits[1]);
  });

  it("rolls back to a release of the earlier version", async () => {
    const { status, stderr } = await stack.command("rollback");
    expect({ status, stderr }).toMatchObject({ status: 0 });
    expect(await served()).toBe(commits[0]);
  });

  it("deploys the next commit and keeps the data", async () => {
    const commit = await app.commit({ "backend/message.txt": "three\n" });
    const outcome = await stack.up();
    expect(outcome).toMatchObject({ ok: true });
    expect(await served()).toBe(commit);
    const { stdout } = await execa("docker", ["exec", await stack.container("backend"), "cat", "/data/kept"]);
    expect(stdout).toBe("kept");
  });
});
