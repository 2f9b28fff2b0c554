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
      worker: { context: "backend", readOnly: true, volumes: { data: "/data", own: "/own" } },
    };
    stack = await TestStack.create({ source: app.folder, services }, {}, program);
    for (const text of ["one", "two"]) {
      commits.push(await app.commit({ "backend/message.txt": `${text}\n` }));
      const outcome = await stack.up();
      if (!outcome.ok) throw new Error(outcome.said);
    }
    await inside("backend", "printf kept > /data/kept");
    await inside("worker", "printf other > /data/kept && printf own > /own/kept");
    stack.upgrade();
  });
  afterAll(async () => {
    await stack?.remove();
    app?.remove();
    rmSync(program, { recursive: true, force: true });
  });

  const inside = async (service: string, script: string) => {
    const container = await stack.container(service);
    return (await execa("docker", ["exec", "--user", "0", container, "sh", "-c", script])).stdout;
  };
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
    expect(await inside("backend", "cat /data/kept")).toBe("kept");
    expect(await inside("worker", "cat /data/kept /own/kept")).toBe("otherown");
    expect(outcome.said).toContain(
      "volumes backend/data and worker/data have one name and are separate, as an earlier version made them; to share one of them, set volumesFrom.data of worker to backend/data",
    );
  });

  it("keeps the volume of a removed service", async () => {
    await stack.configure({
      source: app.folder,
      listen: `127.0.0.1:${stack.port}`,
      services: { frontend: { pages: ["/"] }, backend: { volumes: { data: "/data" } } },
    });
    const outcome = await stack.up();
    expect(outcome).toMatchObject({ ok: true });
    expect(Object.keys(outcome.changes).filter((name) => name.startsWith("Volume"))).toEqual([]);
    expect(outcome.said).toMatch(/volume worker\/data \(worker-data-[0-9a-f]{7}\) is kept/);
    expect(outcome.said).toMatch(/volume own \(worker-own-[0-9a-f]{7}\) is kept/);
    expect(await inside("backend", "cat /data/kept")).toBe("kept");
  });
});
