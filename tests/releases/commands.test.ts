import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import execa from "execa";
import { TestApp } from "../support/app";
import { underLoad } from "../support/load";
import { TestStack } from "../support/stack";

const SECRET = "not-for-any-log-4711";

/** What is done by name, over the connection of the stack: one stack for all of it. */
describe("the commands of every day", () => {
  let app: TestApp;
  let stack: TestStack;

  beforeAll(async () => {
    app = await TestApp.create();
    const backend = {
      env: { PLACE: "here" },
      secretEnv: { TOKEN: { env: "COMMANDS_TEST_TOKEN" } },
      volumes: { data: "/data" },
      sharedVolume: true,
      startSeconds: 5,
    };
    process.env.COMMANDS_TEST_TOKEN = SECRET;
    stack = await TestStack.create({ source: app.folder });
    await stack.configure({ services: { frontend: {}, backend } });
    const outcome = await stack.up();
    if (!outcome.ok) throw new Error(outcome.said);
  });
  afterAll(async () => {
    await stack?.remove();
    app?.remove();
    delete process.env.COMMANDS_TEST_TOKEN;
  });

  const command = (...words: [string, ...string[]]) => stack.command(...words);
  /** Writes into the log of a service, as its program would. */
  const print = (service: string, text: string) =>
    command("exec", service, "--", "sh", "-c", `echo "${text}" > /proc/1/fd/1`);
  const begin = (name: string, ...args: string[]) => {
    const { file, args: all, options } = stack.commandLine(name, ...args);
    const child = execa(file, all, { ...options, reject: false });
    let said = "";
    const hear = (chunk: unknown) => {
      said += String(chunk);
    };
    child.stdout?.on("data", hear);
    child.stderr?.on("data", hear);
    const says = async (words: RegExp) => {
      while (!words.test(said)) {
        if (child.exitCode !== null) throw new Error(`${name} has ended without ${words}: ${said}`);
        await pause();
      }
    };
    return { child, says, said: () => said };
  };
  const docker = async (...words: string[][]) => (await execa("docker", words.flat())).stdout;
  const pause = () => new Promise((resume) => setTimeout(resume, 50));
  const page = () => fetch(`${stack.url}/api/hello`);
  const runs = async () => {
    const filter = `label=watch-party.run=${stack.name}/backend`;
    const { stdout } = await execa("docker", ["ps", "--all", "--quiet", "--filter", filter]);
    return stdout.split("\n").filter((id) => id !== "");
  };

  it("status lists what runs", async () => {
    const { status, stdout } = await command("status", "--json");
    const found = JSON.parse(stdout) as {
      services: { service: string; state: string }[];
      maintenance: boolean;
    };
    expect(found).toMatchObject({ stack: stack.name, maintenance: false, lock: null });
    expect(found.services.map(({ service, state }) => `${service} ${state}`)).toEqual([
      "frontend running",
      "backend running",
      "edge running",
    ]);
    expect(found.services[1]).toMatchObject({ restarts: 0, replicas: { running: 1, wanted: 1 } });
    expect(status).toBe(0);
  });

  it("exec passes input, output and the exit status on", async () => {
    const { file, args, options } = stack.commandLine("exec", "backend", "--", "sh", "-c", "cat; exit 7");
    const { exitCode, stdout } = await execa(file, args, { ...options, input: "line\n", reject: false });
    expect({ exitCode, stdout }).toEqual({ exitCode: 7, stdout: "line" });
    const unknown = await command("exec", "nothing", "--", "true");
    expect(unknown.stderr).toContain('has no service "nothing"; allowed: frontend, backend');
    expect(unknown.status).toBe(2);
  });

  it("exec has a terminal if its caller has one", async () => {
    const { file, args, options } = stack.commandLine("exec", "backend", "--", "sh", "-c", "tty; exit 3");
    const line = [file, ...args].map((word) => `'${word}'`).join(" ");
    const typed = ["--quiet", "--return", "--command", line, "/dev/null"];
    const { exitCode, stdout } = await execa("script", typed, { ...options, reject: false });
    expect(stdout).toMatch(/^\/dev\/pts\/\d+/m);
    expect(exitCode).toBe(3);
  });

  it("run has the environment, the volumes and the network of the service, and leaves nothing", async () => {
    const script =
      'echo "$PLACE $TOKEN"; ls -d /data; getent hosts frontend > /dev/null && echo found; exit 5';
    const { status, stdout } = await command("run", "backend", "--", "sh", "-c", script);
    expect(stdout.split("\n")).toEqual([`here ${SECRET}`, "/data", "found"]);
    expect(status).toBe(5);
    expect(await runs()).toEqual([]);
  });

  it("logs have no secret, can be searched, and tell a wrong option", async () => {
    await print("backend", `the token is ${SECRET}`);
    await print("frontend", "from the frontend");
    const both = await command("logs", "--since", "1h", "--grep", "the (token|frontend)");
    const lines = both.stdout.split("\n");
    expect(lines[0]).toMatch(/^\d{4}-\S+ backend-\w+ \| the token is \[secret\]$/);
    expect(lines[1]).toMatch(/ frontend-\w+ \| from the frontend$/);
    expect(lines).toHaveLength(2);
    const last = await command("logs", "backend", "--tail", "1", "--grep", "the token|never there");
    expect(last.stdout).toBe(lines[0]);
    const wrong = await command("logs", "--since", "yesterday");
    expect(wrong.stderr).toContain('--since is "yesterday"; allowed: such as 15m');
    expect(wrong.status).toBe(2);
  });

  it("maintenance answers 503 with a page, and verify says so", async () => {
    await app.commit({ "frontend/down.html": "<h1>Back soon</h1>\n" });
    await stack.configure({ maintenancePage: "frontend/down.html" });
    expect((await command("maintenance", "on", "--retry-after", "60")).status).toBe(0);
    const answer = await page();
    expect(answer.status).toBe(503);
    expect(answer.headers.get("retry-after")).toBe("60");
    expect(await answer.text()).toContain("Back soon");
    const { status, stderr } = await stack.verify();
    expect(stderr).toMatch(
      /freshness: served of every service: maintenance is on, and the edge answers 503; expected .*, found /,
    );
    expect(status).toBe(1);
    const [, remedy = ""] = /Run "npm run -s (maintenance -- off) --stack/.exec(stderr) ?? [];
    expect(remedy).toBe("maintenance -- off");
    expect((await command("maintenance", "off")).status).toBe(0);
    expect((await page()).status).toBe(200);
    expect((await stack.verify()).status).toBe(0);
  });

  it("a refused deploy leaves maintenance on, and its log is there", async () => {
    await command("maintenance", "on");
    await app.commit({ "backend/UNHEALTHY": "" });
    const { ok } = await stack.up();
    expect(ok).toBe(false);
    expect((await page()).status).toBe(503);
    const { stdout } = await command("logs", "backend", "--tail", "all");
    expect(stdout).toMatch(/ backend-\w+ \(stopped\) \| .*GET \/healthz/);
    expect((await command("maintenance")).stdout).toBe("on");
  });

  it("a lock stops deploys; one that waits goes on after unlock, past a run, and ends maintenance", async () => {
    expect((await command("lock", "--message", "a migration by hand")).status).toBe(0);
    const begun = String(Math.floor(Date.now() / 1000));
    // An edge of a killed deploy, which the next deploy removes before anything else.
    const left = await docker(
      ["run", "--detach", "--label", `watch-party.stack=${stack.name}`],
      ["--label", "watch-party.service=edge", "--network", "none", "caddy:2.11", "sleep", "600"],
    );
    await app.commit({ "backend/UNHEALTHY": null, "backend/message.txt": "hello v2\n" });
    const refused = await stack.up();
    expect(refused.said).toMatch(
      /deploys are locked: stack \w+ is locked by .* since .*: a migration by hand/,
    );
    const state = await docker(["container", "inspect", "--format", "{{.State.Status}}", left]);
    const until = String(Math.ceil(Date.now() / 1000));
    const locks = await docker(
      ["events", "--since", begun, "--until", until, "--filter", "event=create"],
      ["--filter", "container=watch-party-build-lock"],
    );
    expect({ state, locks }).toEqual({ state: "running", locks: "" });
    const following = begin("logs", "backend", "--follow", "--grep", "while it is followed");
    const running = begin("run", "backend", "--", "sh", "-c", "echo begun; sleep 600");
    await running.says(/begun/);
    const waiting = begin("up", "--wait-lock", "5");
    await waiting.says(/waiting: deploys are locked/);
    expect((await command("unlock")).stdout).toContain("was locked by");
    const { exitCode } = await waiting.child;
    expect({ exitCode, said: exitCode === 0 ? "" : waiting.said() }).toEqual({ exitCode: 0, said: "" });
    expect(await (await page()).text()).toBe("hello v2\n");
    await expect(docker(["container", "inspect", left])).rejects.toThrow(/no such container/i);
    // It is of no release, and of nothing that a deploy has left.
    expect(await runs()).toHaveLength(1);
    expect((await stack.verify()).status).toBe(0);
    await print("backend", "said while it is followed");
    await following.says(/ backend-\w+ \| said while it is followed\n/);
    following.child.kill("SIGINT");
    running.child.kill("SIGTERM");
    await Promise.all([following.child, running.child]);
    expect(await runs()).toEqual([]);
  });

  it("restart starts the release in new containers without a failed request", async () => {
    const before = await stack.container("backend");
    const { result, failures } = await underLoad([`${stack.url}/`, `${stack.url}/api/hello`], () =>
      command("restart", "backend"),
    );
    const { status, stderr } = result;
    expect({ status, stderr, failures }).toEqual({ status: 0, stderr: "", failures: [] });
    expect(await stack.container("backend")).not.toBe(before);
  });

  it("each has a recipe in docs/operations.md", () => {
    const text = readFileSync(join(__dirname, "..", "..", "docs", "operations.md"), "utf8");
    for (const name of ["logs", "exec", "run", "status", "restart", "maintenance", "lock", "unlock"])
      expect(text).toMatch(new RegExp(`npm run (-s )?${name} -- `));
  });
});
