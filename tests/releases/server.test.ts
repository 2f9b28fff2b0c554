import {
  chmodSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import execa from "execa";
import type { Certificate } from "../../freshness/chain";
import { TestApp } from "../support/app";
import { FULL } from "../support/matrix";
import { isOfficial } from "../support/plugins";
import { commandLinesDuring, descendants, isProgram, kill, seenDuring } from "../support/processes";
import { SshServer } from "../support/sshd";
import { leftovers, type Outcome, TestStack } from "../support/stack";
import { until } from "../support/swarm";

/** One story on a server reached by a real sshd: each step begins where the one before it ended. */
describe("a stack on a server", () => {
  let server: SshServer;
  let app: TestApp;
  let stack: TestStack;
  let commit: string;
  let said = "";
  let docker = "";
  /** Programs of the server's own, before those of this machine. */
  const shims = mkdtempSync(join(tmpdir(), "watch-party-shims-"));

  const served = () =>
    Promise.all(
      ["frontend", "backend"].map(async (name) => {
        const response = await fetch(`${stack.url}/.freshness/${name}`);
        return ((await response.json()) as { commit: string }).commit;
      }),
    );
  const access = (hostKey?: string) => ({
    host: "127.0.0.1",
    port: server.port,
    user: server.user,
    ...(hostKey === undefined ? {} : { hostKey }),
  });
  const agentSocket = () => {
    const [folder = ""] = readdirSync(join(stack.folder, ".work", ".ssh"));
    return join(".work", ".ssh", folder, "agent");
  };
  const agentAnswers = async () => {
    const env = { SSH_AUTH_SOCK: agentSocket() };
    return (await execa("ssh-add", ["-l"], { cwd: stack.folder, env, reject: false })).exitCode !== 2;
  };
  const heard = async (outcome: Promise<Outcome>) => {
    const done = await outcome;
    said += done.said;
    return done;
  };
  const deployed = async (outcome: Promise<Outcome>) => {
    const done = await heard(outcome);
    if (!done.ok) throw new Error(done.said);
    return done;
  };

  beforeAll(async () => {
    docker = (await execa("sh", ["-c", "command -v docker"])).stdout;
    server = await SshServer.start("NONE", { PATH: `${shims}:${process.env.PATH}` });
    app = await TestApp.create();
    const services = { frontend: { startSeconds: 10 }, backend: { startSeconds: 10 } };
    stack = await TestStack.create({ source: app.folder, services, server: access() });
    commit = await app.git("rev-parse", "HEAD");
  });
  afterAll(async () => {
    await stack?.remove();
    if (stack) await removeLeftovers(stack.name);
    await server?.remove();
    rmSync(shims, { recursive: true, force: true });
    app?.remove();
  });

  it("previews without the server, its host key and the private key", async () => {
    await server.pause();
    const { changes } = await deployed(stack.preview());
    expect(changes).toMatchObject({ "Command prune": "create", "Image backend": "create" });
    await server.resume();
  });

  it("reports missing settings before it creates a resource", async () => {
    const outcome = await heard(stack.up());
    expect(outcome.ok).toBe(false);
    expect(outcome.said).toContain("watch-party:server.hostKey is missing; allowed: the server's public key");
    expect(outcome.said).toContain("watch-party:serverKey is missing; allowed: a private ssh key");
    expect(await leftovers(stack.name)).toEqual([]);
  });

  it("prunes, builds, runs and proves on the server, with the private key in no command line and no file", async () => {
    await stack.configure({ server: access(server.hostKey) });
    await stack.configure({ serverKey: server.key }, true);
    const secret = server.key.split("\n")[2]!;
    const up = deployed(stack.up());
    const [outcome, seen, exposed] = await Promise.all([up, commandLinesDuring(up), seenDuring(up, secret)]);
    expect(exposed.filter((each) => !isProgram(each))).toEqual([]);
    expect(await served()).toEqual([commit, commit]);
    expect(outcome.said).toContain("Pruning Docker build cache…");
    expect(outcome.said).toMatch(/Total reclaimed space: /);
    expect(seen.some((line) => line.includes("ssh"))).toBe(true);
    expect(seen.filter((line) => line.includes(secret))).toEqual([]);
    expect(filesWith(join(stack.folder, ".work"), secret)).toEqual([]);
    expect(filesWith(join(stack.folder, ".state"), secret)).toEqual([]);
    expect(said).not.toContain(secret);
  });

  it("runs commands there by the name of a service, with a terminal and their exit status, and prints its logs", async () => {
    const print = "tty; echo from the server > /proc/1/fd/1; exit 3";
    const { file, args, options } = stack.commandLine("exec", "backend", "--", "sh", "-c", print);
    const line = [file, ...args].map((word) => `'${word}'`).join(" ");
    const typed = ["--quiet", "--return", "--command", line, "/dev/null"];
    const { exitCode, stdout } = await execa("script", typed, { ...options, reject: false });
    expect(stdout).toMatch(/^\/dev\/pts\/\d+/m);
    expect(exitCode).toBe(3);
    const ran = await stack.command("run", "backend", "--", "sh", "-c", "ls /app/COMMIT; exit 4");
    expect(ran).toMatchObject({ status: 4, stdout: "/app/COMMIT" });
    const logs = await stack.command("logs", "backend", "--grep", "from the");
    expect(logs.stdout).toMatch(/ backend-\w+ \| from the server$/);
  });

  it("ends the agent with the deploy", async () => {
    expect(existsSync(join(stack.folder, agentSocket()))).toBe(true);
    // It looks for its parent every ten seconds.
    for (const end = Date.now() + 30_000; await agentAnswers(); ) {
      expect(Date.now()).toBeLessThan(end);
      await new Promise((resume) => setTimeout(resume, 100));
    }
  });

  it("changes nothing on a second up, with a single login", async () => {
    const before = server.logins;
    expect((await deployed(stack.up())).changes).toEqual({});
    expect(server.logins - before).toBe(1);
  });

  it("restores resources that were removed by hand, also from a machine that has never deployed", async () => {
    rmSync(join(stack.folder, ".work"), { recursive: true });
    const container = (await leftovers(stack.name)).find((each) => each.startsWith("container backend"));
    await execa("docker", ["rm", "--force", container!.split(" ")[1]!]);
    const { status, stderr } = await stack.command("up", "--refresh");
    expect({ status, stderr: status === 0 ? "" : stderr }).toEqual({ status: 0, stderr: "" });
    expect(await served()).toEqual([commit, commit]);
    expect((await stack.verify()).status).toBe(0);
  });

  it("replaces the images for a new commit, also in a preview without the server", async () => {
    const before = commit;
    commit = await app.commit({ "frontend/message.txt": "hello v2\n" });
    const replaced = { "Image frontend": "create-replacement", "Image backend": "create-replacement" };
    await server.pause();
    expect((await deployed(stack.preview())).changes).toMatchObject(replaced);
    await server.resume();
    expect(await served()).toEqual([before, before]);
    const { changes } = await deployed(stack.up());
    expect(changes).toMatchObject({ ...replaced, "Command prune": "create-replacement" });
    expect(await served()).toEqual([commit, commit]);
  });

  it("refuses a server with another host key, and keeps serving", async () => {
    await app.commit({ "frontend/message.txt": "hello v3\n" });
    await stack.configure({ server: access(server.otherHostKey) });
    const outcome = await heard(stack.up());
    expect(outcome.ok).toBe(false);
    expect(outcome.said).toContain("another host key than watch-party:server.hostKey");
    expect(outcome.said).not.toContain("systemctl");
    expect(outcome.said).not.toContain("Pruning");
    expect(await served()).toEqual([commit, commit]);
  });

  it("reports that the server refuses the key, or does not answer", async () => {
    await stack.configure({ server: access(server.hostKey) });
    await stack.configure({ serverKey: server.otherKey }, true);
    const refused = await heard(stack.up());
    expect(refused.ok).toBe(false);
    expect(refused.said).toContain("the server refuses watch-party:serverKey");
    await stack.configure({ serverKey: server.key }, true);

    await server.pause();
    const silent = await heard(stack.up());
    expect(silent.ok).toBe(false);
    expect(silent.said).toContain("the server does not answer to ssh");
    await server.resume();
    expect(await served()).toEqual([commit, commit]);
    expect(said).not.toContain(server.key.split("\n")[2]);
  });

  it("builds locally and sends the images to the server if configured", async () => {
    await stack.configure({ buildOn: "here" });
    commit = await app.commit({ "frontend/message.txt": "built here\n" });
    const up = deployed(stack.up());
    const seen = await commandLinesDuring(up);
    expect((await up).said).toContain("Pruning Docker build cache…");
    expect(seen.filter((line) => /^docker\0image\0save\0/.test(line)).length).toBeGreaterThan(0);
    expect(seen.filter((line) => /^ssh\0.*docker image load/.test(line)).length).toBeGreaterThan(0);
    expect(await served()).toEqual([commit, commit]);
    expect((await deployed(stack.up())).changes).toEqual({});
    await stack.configure({ buildOn: "server" });
  });

  it("ends a prune within half a minute if the server stops answering, and leaves no lock", async () => {
    const before = await served();
    // The server's own docker: its prune says that it has begun, and never ends.
    const begun = join(shims, "begun");
    writeFileSync(
      join(shims, "docker"),
      `#!/bin/sh\ncase "$*" in "builder prune"*) : > ${begun}; exec sleep 120;; esac\nexec ${docker} "$@"\n`,
    );
    chmodSync(join(shims, "docker"), 0o755);
    commit = await app.commit({ "frontend/message.txt": "after the silence\n" });
    const up = heard(stack.up());
    await until("the prune", async () => existsSync(begun));
    const silent = Date.now();
    await server.freeze();
    const outcome = await up;
    expect(outcome.ok).toBe(false);
    expect(Date.now() - silent).toBeLessThan(30_000);
    expect(outcome.said).toContain("the prune on the server is given up: the server has not answered");
    await server.thaw();
    rmSync(join(shims, "docker"));
    // Without a lock, and without a remedy of its own.
    await deployed(stack.up());
    expect(await served()).toEqual([commit, commit]);
    expect(before).not.toEqual([commit, commit]);
  });

  it("reports within half a minute that a server never answers", async () => {
    await server.freeze();
    const started = Date.now();
    const outcome = await heard(stack.up());
    await server.thaw();
    expect(outcome.ok).toBe(false);
    expect(Date.now() - started).toBeLessThan(35_000);
    expect(outcome.said).toContain("the server does not answer to ssh");
    expect((await deployed(stack.up())).changes).toEqual({});
  });

  it("refuses stand-ins without the key that allows them", async () => {
    if (isOfficial()) return;
    await stack.configure({ allowStandIns: false });
    const outcome = await heard(stack.up());
    expect(outcome.ok).toBe(false);
    expect(outcome.said).toMatch(/watch-party:allowStandIns is false; allowed: true, .*docker and command/);
    await stack.configure({ allowStandIns: true });
    expect((await deployed(stack.up())).changes).toEqual({});
    const { versions } = (await stack.outputs()).freshness as Certificate;
    expect(versions.pluginOrigins).toEqual({ docker: "stand-in", command: "stand-in" });
  });

  it("fails within half a minute when the server vanishes, and continues when it returns", async () => {
    commit = await app.git("rev-parse", "HEAD");
    const before = await served();
    let vanished = 0;
    const outcome = await heard(
      stack.up({}, (text) => {
        if (vanished > 0 || !text.includes("Building from commit")) return;
        vanished = Date.now();
        void server.freeze();
      }),
    );
    expect(outcome.ok).toBe(false);
    expect(Date.now() - vanished).toBeLessThan(40_000);
    await server.thaw();
    expect(await served()).toEqual(before);
    await deployed(stack.up());
    expect(await served()).toEqual([commit, commit]);
  });

  if (FULL)
    it("loses the agent with the key soon after the deploy is killed", async () => {
      await app.commit({ "frontend/message.txt": "killed\n" });
      const { file, args, options } = stack.commandLine("up");
      const deploy = execa(file, args, { ...options, reject: false });
      let heard = "";
      deploy.stdout?.on("data", (chunk) => {
        heard += chunk;
      });
      await until("an agent", async () => heard.includes("Building from commit") && (await agentAnswers()));
      // The worst case: all that could end the agent is killed with the deploy.
      const { pid = 0 } = deploy;
      const all = [...(await descendants(pid)), { pid, args: "" }];
      kill(all.filter(({ args: line }) => !line.includes("ssh-agent")));
      const killed = Date.now();
      await deploy;
      await until("the end of the agent", async () => !(await agentAnswers()), 30_000);
      expect(Date.now() - killed).toBeLessThan(20_000);
      await stack.command("pulumi", "cancel", "--yes");
    });

  it("leaves nothing behind after destroy, which runs no program", async () => {
    rmSync(join(stack.folder, ".work"), { recursive: true });
    const { status, stderr } = await stack.command("pulumi", "destroy", "--yes");
    expect({ status, stderr: status === 0 ? "" : stderr }).toEqual({ status: 0, stderr: "" });
    expect(await leftovers(stack.name)).toEqual([]);
  });
});

/** What a failed test has left on the engine, which is this machine's. */
async function removeLeftovers(name: string): Promise<void> {
  for (const each of await leftovers(name)) {
    const [kind, id] = each.split(" ");
    await execa("docker", [kind!, "rm", ...(kind === "network" ? [] : ["--force"]), id!]);
  }
}

/** Files below a folder that hold a text. */
function filesWith(folder: string, text: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .filter((file) => readFileSync(file).includes(text));
}
