/** The contract of command:remote:Command, from the series remote-*; on an ssh server of the test's own. */

import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import { setTimeout } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, it, jest } from "@jest/globals";
import execa from "execa";
import { SshServer } from "../support/sshd";
import { freePort } from "../support/stack";
import { Life, Plugin, type Props, type State } from "./client";

// Engines and servers are real, and may be slow on a small machine.
jest.setTimeout(60_000);

const type = "command:remote:Command";
const unknown = "04da6b54-80e4-46f7-96ec-b56ff0331ba9";
const hello = "echo hello $WHO; cat; echo warn >&2";
/** A well-formed key that is no server's. */
const otherKey = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIH1jXo6kyvGZ8tJ6lJ9ZzYyXJjv6C6m4oUoVbQ0cJm9c";

let plugin: Plugin;
let server: SshServer;
let generous: SshServer;

beforeAll(async () => {
  [server, generous] = await Promise.all([SshServer.start(), SshServer.start("WHO PULUMI_COMMAND_*")]);
  plugin = await Plugin.start("command");
});

afterAll(async () => {
  await plugin?.stop();
  await Promise.all([server, generous].map((each) => each?.remove()));
});

function secret(value: Props[string]): Props {
  return { "4dabf18193072939515e22adb298388d": "1b47061264138c4ac30d75fd1eb44270", value };
}

function connection(other: { [key: string]: Props[string] | undefined } = {}, to = server): Props {
  const { port, user, key: privateKey, hostKey } = to;
  const all = {
    host: "127.0.0.1",
    port,
    user,
    privateKey,
    hostKey,
    dialErrorLimit: 2,
    perDialTimeout: 3,
    ...other,
  };
  return secret(Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined)) as Props);
}

function inputs(other: Props = {}): Props {
  return { connection: connection(), create: hello, triggers: ["c1"], ...other };
}

it("Check keeps the connection secret, marks the private key, and fills in defaults", async () => {
  const bare = secret({ host: "example.invalid", privateKey: "k" });
  const found = (await plugin.check(type, "cmd", {}, inputs({ connection: bare }))).connection as Props;
  expect(found).toMatchObject(
    secret({ host: "example.invalid", privateKey: secret("k"), port: 22, user: "root" }),
  );
});

describe("a command through its life", () => {
  let cmd: Life;
  beforeAll(() => {
    cmd = new Life(plugin, type, "cmd");
  });

  it("a preview needs no server", async () => {
    const nowhere = connection({ host: "host.invalid" });
    const news = await plugin.check(type, "cmd", {}, inputs({ connection: nowhere }));
    const made = await plugin.create(type, "cmd", news, true);
    expect(made).toMatchObject({
      id: expect.stringMatching(/^cmd[0-9a-f]{8}$/),
      properties: { stdout: unknown, stderr: unknown },
    });
  });

  it("runs there, with an empty standard input, and keeps the connection as a secret", async () => {
    expect(await cmd.up(inputs())).toBe("create");
    expect(cmd.state?.properties).toMatchObject({
      stdout: "hello",
      stderr: "warn",
      connection: connection({ privateKey: secret(server.key) }),
    });
    expect(await cmd.up(inputs())).toBe("same");
  });

  it("logs in with the key of an agent, which is not in the state", async () => {
    const folder = mkdtempSync(join(tmpdir(), "watch-party-agent-"));
    const socket = join(folder, "agent");
    const agent = spawn("ssh-agent", ["-D", "-a", socket], { stdio: "ignore" });
    try {
      while (!existsSync(socket)) await setTimeout(20);
      await execa("ssh-add", ["-q", "-"], { input: server.key, env: { SSH_AUTH_SOCK: socket } });
      const agentSocketPath = relative(process.cwd(), socket);
      const other = new Life(plugin, type, "cmd");
      await other.up(inputs({ connection: connection({ privateKey: undefined, agentSocketPath }) }));
      expect(other.state?.properties.stdout).toBe("hello");
      expect(JSON.stringify(other.state)).not.toContain("PRIVATE KEY");
    } finally {
      agent.kill();
      rmSync(folder, { recursive: true });
    }
  });

  it("stdin arrives, byte for byte", async () => {
    const stdin = "line 1\nSchlüssel '$HOME' \"x\"\n";
    const other = new Life(plugin, type, "cmd");
    await other.up(inputs({ create: "cat", stdin }));
    expect(other.state?.properties.stdout).toBe(stdin.trimEnd());
  });

  const diffs: [string, () => Props, Record<string, string>][] = [
    ["a trigger", () => ({ triggers: ["c2"] }), { "triggers[0]": "UPDATE" }],
    ["an environment", () => ({ environment: { WHO: "world" } }), { environment: "ADD" }],
    [
      "another host key: the connection as a whole",
      () => ({ connection: connection({ hostKey: otherKey }) }),
      { connection: "UPDATE" },
    ],
    [
      "no host key and a delete",
      () => ({ connection: connection({ hostKey: undefined }), delete: "d" }),
      { connection: "UPDATE", delete: "ADD" },
    ],
  ];
  it.each(diffs)("Diff of %s", async (_, change, detailedDiff) => {
    const { diff } = await cmd.plan(inputs(change()));
    expect(diff).toMatchObject({ changes: "DIFF_SOME", detailedDiff, replaces: [], hasDetailedDiff: true });
  });

  it("in a preview a changed connection leaves the outputs unknown, a new input does not", async () => {
    const state = cmd.state as State;
    const preview = async (other: Props) =>
      (
        await plugin.update(
          type,
          "cmd",
          state,
          await plugin.check(type, "cmd", state.inputs, inputs(other)),
          true,
        )
      ).properties;
    expect(await preview({ environment: { WHO: "world" } })).toMatchObject({
      stdout: "hello",
      stderr: "warn",
    });
    expect(await preview({ connection: connection({ hostKey: undefined }) })).toMatchObject({
      stdout: unknown,
    });
  });

  it("an environment that the server refuses is a failure, and the command does not run", async () => {
    const failed = cmd.up(inputs({ environment: { WHO: "world" } }));
    await expect(failed).rejects.toThrow('could not set environment variable "WHO": ssh: setenv failed');
  });

  it("an accepted environment arrives", async () => {
    const other = new Life(plugin, type, "cmd");
    const news = inputs({
      connection: connection({}, generous),
      environment: { WHO: "two\nlines" },
      create: 'echo "[$WHO]"',
    });
    expect(await other.up(news)).toBe("create");
    expect(other.state?.properties.stdout).toBe("[two\nlines]");
  });

  it("the previous outputs are sent, and a refusal is no failure", async () => {
    const news = inputs({ create: "echo [$PULUMI_COMMAND_STDOUT]" });
    expect(await cmd.up(news)).toBe("update");
    expect(cmd.state?.properties.stdout).toBe("[]");
    const other = new Life(plugin, type, "cmd");
    await other.up(inputs({ connection: connection({}, generous), create: "echo first" }));
    await other.up(inputs({ connection: connection({}, generous), create: "echo [$PULUMI_COMMAND_STDOUT]" }));
    expect(other.state?.properties.stdout).toBe("[first]");
  });

  it("delete runs on destroy, and its failure fails the destroy", async () => {
    const file = `${server.folder}/bye.txt`;
    expect(await cmd.up(inputs({ create: "echo fine", delete: `echo bye > ${file}; exit 4` }))).toBe(
      "update",
    );
    await expect(cmd.destroy()).rejects.toThrow(
      `Process exited with status 4: running "echo bye > ${file}; exit 4":\n`,
    );
  });
});

describe("a failure", () => {
  it("of the command shows the whole command and its output, without a retry", async () => {
    const witness = `${server.folder}/tries`;
    const create = `echo x >> ${witness}; echo partial; echo bad >&2; exit 3`;
    const failed = new Life(plugin, type, "cmd").up(inputs({ create }));
    await expect(failed).rejects.toThrow(`Process exited with status 3: running "${create}":\n`);
    const error = await failed.catch((thrown: Error) => thrown.message);
    for (const line of ["partial\n", "bad\n"]) expect(error).toContain(line);
    const count = new Life(plugin, type, "cmd");
    await count.up(inputs({ create: `cat ${witness}` }));
    expect(count.state?.properties.stdout).toBe("x");
  });

  it("even with the exit status of ssh itself", async () => {
    const failed = new Life(plugin, type, "cmd").up(inputs({ create: "exit 255" }));
    await expect(failed).rejects.toThrow('Process exited with status 255: running "exit 255":\n');
  });

  it("of another host key", async () => {
    const failed = new Life(plugin, type, "cmd").up(
      inputs({ connection: connection({ hostKey: otherKey }) }),
    );
    await expect(failed).rejects.toThrow(
      "after 2 failed attempts: ssh: handshake failed: ssh: host key mismatch",
    );
  });

  it("of a port without a listener", async () => {
    const port = await freePort();
    const failed = new Life(plugin, type, "cmd").up(inputs({ connection: connection({ port }) }));
    await expect(failed).rejects.toThrow(
      `after 2 failed attempts: dial tcp 127.0.0.1:${port}: connect: connection refused`,
    );
  });

  it("of a key unknown to the server", async () => {
    const failed = new Life(plugin, type, "cmd").up(
      inputs({ connection: connection({ privateKey: generous.key }) }),
    );
    await expect(failed).rejects.toThrow(
      /after 2 failed attempts: ssh: handshake failed: ssh: unable to authenticate/,
    );
  });
});

it("without a host key any host key is accepted", async () => {
  const cmd = new Life(plugin, type, "cmd");
  await cmd.up(inputs({ connection: connection({ hostKey: undefined }), create: "echo fine" }));
  expect(cmd.state?.properties).toMatchObject({ stdout: "fine", stderr: "" });
});
