import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import execa from "execa";
import { TestApp } from "../support/app";
import { inMatrix, ofThisForm, timed } from "../support/matrix";
import { type Outcome, TestStack } from "../support/stack";

const SETTLE_SECONDS = 4;
const MEMORY_MB = 48;
const SLOW_SECONDS = 9;

/** What a program does instead of its work, or beside it. */
interface Fault {
  /** Injected in the full form alone: another row, or a unit test of the rule, stands for it in CI. */
  readonly onlyInFull?: boolean;
  readonly fault: string;
  readonly service: "backend" | "worker";
  /** Python that runs before the server: `role` is the service's name. */
  readonly code: string;
  readonly found: RegExp;
  /** The repair, unless it is in the program. */
  readonly mend?: () => Promise<unknown>;
}

const dies = (seconds: number, code: number) =>
  `threading.Timer(${seconds}, lambda: (print("cannot go on", TOKEN, flush=True), os._exit(${code}))).start()`;

const FAULTS: Fault[] = [
  {
    fault: "a service with a port crashes again and again",
    service: "backend",
    code: `if role == "backend": ${dies(0.8, 3)}`,
    found:
      /found it ended by itself \d+ times?, with exit code 3 \(not OOM-killed\)\. See "docker logs backend-/,
  },
  {
    fault: "a service crashes after it was healthy, and after the switch",
    service: "backend",
    code: `if role == "backend": ${dies(SETTLE_SECONDS - 1, 4)}`,
    found:
      /found it ended by itself \d+ times?, with exit code 4 \(not OOM-killed\)\. See "docker logs backend-/,
  },
  {
    onlyInFull: true,
    fault: "a worker crashes again and again",
    service: "worker",
    code: `if role == "worker": ${dies(0.5, 5)}`,
    found:
      /found it ended by itself \d+ times?, with exit code 5 \(not OOM-killed\)\. See "docker logs worker-/,
  },
  {
    fault: "a program is OOM-killed again and again",
    service: "worker",
    code: `if role == "worker": print("cannot go on", TOKEN, flush=True); time.sleep(1); hog = bytearray(${MEMORY_MB * 4} << 20)`,
    found:
      /found it ended by itself \d+ times?, with exit code 137 \(OOM-killed: its limit is 48 MiB\)\. See "docker logs worker-.*raise watch-party:services\.worker\.memoryMb/,
    mend: () => configure({ memoryMb: 20 * MEMORY_MB }),
  },
  {
    onlyInFull: true,
    fault: "a child of a program is OOM-killed, and the program goes on",
    service: "worker",
    code: `if role == "worker": print("cannot go on", TOKEN, flush=True); import subprocess, sys; subprocess.run([sys.executable, "-c", "bytearray(${MEMORY_MB * 4} << 20)"])`,
    found:
      /the container runs out of memory; expected processes that keep within 48 MiB, found the kernel killed one of them, while the program went on\. See "docker logs worker-.*raise watch-party:services\.worker\.memoryMb/,
    mend: () => configure({ memoryMb: 20 * MEMORY_MB }),
  },
  {
    onlyInFull: true,
    fault: "a worker's program comes to its end without an error",
    service: "worker",
    code: `if role == "worker": print("cannot go on", TOKEN, flush=True); time.sleep(0.5); os._exit(0)`,
    found:
      /with exit code 0 \(not OOM-killed\)\. The program ended without an error.*services\.worker\.command/,
    mend: () => configure({ run: { command: ["python3", "-c", "import time; time.sleep(3600)"] } }),
  },
  {
    onlyInFull: true,
    fault: "a program has to be process 1",
    service: "worker",
    code: `if role == "worker" and os.getpid() != 1: print("cannot go on", TOKEN, flush=True); print("can only run as pid 1", flush=True); os._exit(100)`,
    found: /with exit code 100 \(not OOM-killed\)\. .*Set watch-party:services\.worker\.init to false/,
    mend: () => configure({ run: { init: false } }),
  },
  {
    fault: "one service of a release does not become healthy in time while its worker runs",
    service: "backend",
    code: `print("cannot go on", TOKEN, flush=True); role == "backend" and time.sleep(${SLOW_SECONDS})`,
    found:
      /the new container does not become healthy; .* only slow, raise watch-party:services\.backend\.startSeconds/,
    mend: () => configure({ startSeconds: 3 * SLOW_SECONDS }),
  },
];

let stack: TestStack;

async function configure({
  memoryMb = MEMORY_MB,
  startSeconds = SLOW_SECONDS - 3,
  dockerfile = "Dockerfile",
  run = {},
}): Promise<void> {
  await stack.configure({
    settleSeconds: String(SETTLE_SECONDS),
    services: {
      backend: { startSeconds, env: { ROLE: "backend" }, secretEnv: { TOKEN: "first line\nsecond line" } },
      worker: {
        memoryMb,
        dockerfile,
        ...run,
        context: "backend",
        env: { ROLE: "worker" },
        secretEnv: { TOKEN: "first line\nsecond line" },
      },
    },
  });
}

describe("a release whose program exits", () => {
  let app: TestApp;
  let server: string;
  let texts = 0;

  beforeAll(async () => {
    app = await TestApp.create();
    server = app.read("backend/server.py");
    stack = await TestStack.create({ source: app.folder });
    await configure({});
    await release();
  });
  afterAll(async () => {
    await stack?.remove();
    app?.remove();
  });

  /** Makes the next version of the program, with code that runs before the server. */
  function change(code: string): Record<string, string> {
    const before = '    Server(("0.0.0.0", PORT)).run()';
    const line = `    role, TOKEN = os.environ["ROLE"], os.environ["TOKEN"]\n    ${code}\n`;
    texts += 1;
    return {
      "backend/message.txt": `hello ${texts}\n`,
      "backend/server.py": code === "" ? server : server.replace(before, line + before),
    };
  }

  async function release(): Promise<void> {
    const commit = await app.commit(change(""));
    const outcome = await stack.up();
    expect(outcome.ok ? "" : outcome.said).toBe("");
    expect(await served()).toBe(commit);
  }

  async function served(): Promise<string> {
    const answer = await fetch(`${stack.url}/.freshness/backend`);
    return ((await answer.json()) as { commit: string }).commit;
  }

  /** The containers of this stack that run, and how the engine would start them again. */
  async function running(): Promise<string[]> {
    const filter = ["--no-trunc", "--filter", `label=watch-party.stack=${stack.name}`];
    return (await execa("docker", ["ps", "--quiet", ...filter])).stdout.split("\n").sort();
  }

  /** Nothing of a refused release runs, nor would after a restart of the engine; its logs can be read. */
  async function expectStopped(before: readonly string[]): Promise<void> {
    expect(await running()).toEqual(before);
    const filter = ["--filter", `label=watch-party.stack=${stack.name}`, "--filter", "status=exited"];
    const { stdout } = await execa("docker", ["ps", "--all", "--quiet", ...filter]);
    const stopped = stdout.split("\n");
    const format = "{{.HostConfig.RestartPolicy.Name}}";
    const policies = await execa("docker", ["inspect", "--format", format, ...stopped]);
    expect(policies.stdout.split("\n")).toEqual(stopped.map(() => "no"));
    for (const each of stopped) await execa("docker", ["logs", each]);
  }

  function expectSentence({ said }: Outcome): void {
    expect(said).not.toContain("serializing property");
    // A log is shown with its secrets masked line by line.
    const [, log = ""] = said.split("The last lines of its log:\n");
    expect(log).toMatch(/^ *cannot go on \[secret\]$/m);
    expect(said).not.toMatch(/first line|second line/);
  }

  it.each(ofThisForm(FAULTS))("is refused and stopped when $fault, and passes without it", (fault) =>
    inMatrix({ into: "deploy", link: "container", fault: fault.fault }, async (row) => {
      // What the test before has mended beside the program would keep this fault away.
      await configure({});
      const [before, commit] = [await running(), await served()];
      await app.commit(change(fault.code));
      const refused = await timed(row, () => stack.up());
      expect(refused.said).toMatch(new RegExp(`freshness: container of ${fault.service}: `));
      expect(refused.said).toMatch(fault.found);
      expect(refused.ok).toBe(false);
      expect(await served()).toBe(commit);
      expectSentence(refused);
      await expectStopped(before);
      const { status, stderr } = await stack.verify();
      expect({ status, stderr }).toMatchObject({ status: 0 });
      row.detected = true;
      row.twin = false;
      await fault.mend?.();
      // What is mended beside the program makes the same commit good.
      if (fault.mend) expect(await stack.up()).toMatchObject({ ok: true });
      else await release();
      // The stopped containers of the refused release are removed.
      expect(await running()).toHaveLength(3);
      row.twin = true;
    }),
  );

  it("is stopped if the engine refuses to start another of its containers, by a plain `pulumi up` too", async () => {
    const before = await running();
    const dockerfile = app.read("backend/Dockerfile");
    await app.commit({
      ...change(""),
      "backend/worker.Dockerfile": dockerfile.replace(/^USER .*$/m, "USER nobody-knows"),
    });
    await configure({ dockerfile: "worker.Dockerfile" });
    const refused = await stack.up();
    expect(refused.said).toContain("unable to find user nobody-knows");
    await until(async () => JSON.stringify(await running()) === JSON.stringify(before));
    await expectStopped(before);
    await configure({});
    await release();
  });

  it("passes if its program exited with the engine or by hand", async () => {
    const worker = await stack.container("worker");
    await execa("docker", ["restart", worker]);
    const { status, stderr } = await stack.verify();
    expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
  });

  it("passes during a deploy, which has two releases at once", async () => {
    await app.commit(change(""));
    const statuses: string[] = [];
    let over = false;
    const deploying = stack.up().finally(() => {
      over = true;
    });
    while (!over) {
      const { status, stderr } = await stack.verify();
      // The edge may lead to the new release before the record names it.
      if (/a container or service of this stack does not belong to the served release/.test(stderr))
        statuses.push(`${status}: ${stderr}`);
    }
    expect(await deploying).toMatchObject({ ok: true });
    expect(statuses).toEqual([]);
  });
});

async function until(good: () => Promise<boolean>): Promise<void> {
  while (!(await good())) await new Promise((resume) => setTimeout(resume, 100));
}
