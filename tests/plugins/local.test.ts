/** The contract of command:local:Command, from the series local-*. */

import { readFile, realpath, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it, jest } from "@jest/globals";
import { Life, Plugin, type Props, type State } from "./client";
import { cleanUp, folder } from "./world";

// Engines and servers are real, and may be slow on a small machine.
jest.setTimeout(60_000);

const type = "command:local:Command";
const unknown = "04da6b54-80e4-46f7-96ec-b56ff0331ba9";
const hello = "echo hello $WHO; cat; echo warn >&2";
let plugin: Plugin;
let place: string;

beforeAll(async () => {
  place = await realpath(await folder());
  plugin = await Plugin.start("command", { cwd: place });
});

afterAll(async () => {
  await plugin?.stop();
  await cleanUp();
});

function inputs(other: Props = {}): Props {
  return { create: hello, environment: { WHO: "world" }, triggers: ["c1"], ...other };
}

it("accepts secrets, and stores the library's version in its configuration", async () => {
  expect(plugin.features).toMatchObject({
    supportspreview: true,
    acceptsecrets: true,
    acceptresources: true,
  });
  expect(await plugin.checkConfig({ version: "1.2.1" })).toMatchObject({
    "__pulumi-go-provider-version": expect.any(String),
  });
  await expect(plugin.diffConfig({}, {})).rejects.toThrow("DiffConfig is not implemented");
});

it("Check returns the inputs unchanged", async () => {
  expect(await plugin.check(type, "cmd", {}, inputs())).toEqual(inputs());
});

describe("Diff", () => {
  const cases: [string, Props, Props, Record<string, string>][] = [
    ["nothing", {}, {}, {}],
    ["a trigger", {}, { triggers: ["c2"] }, { "triggers[0]": "UPDATE" }],
    ["a further trigger", {}, { triggers: ["c1", "c2"] }, { "triggers[1]": "ADD" }],
    ["the command", {}, { create: "echo changed" }, { create: "UPDATE" }],
    [
      "a new input",
      {},
      { update: "u", delete: "d", stdin: "s" },
      { update: "ADD", delete: "ADD", stdin: "ADD" },
    ],
    ["a removed input", { update: "u" }, {}, { update: "DELETE" }],
    ["a folder and a trigger", {}, { dir: "/x", triggers: ["c2"] }, { dir: "ADD", "triggers[0]": "UPDATE" }],
  ];

  it.each(cases)("%s: never a replacement, which the SDK decides", async (_, before, after, detailedDiff) => {
    const old = inputs(before);
    const state: State = { id: "cmd1", inputs: old, properties: { ...old, stdout: "x", stderr: "" } };
    const top = Object.keys(detailedDiff).map((path) => path.split("[", 1)[0] ?? "");
    expect(await plugin.diff(type, "cmd", state, inputs(after))).toMatchObject({
      changes: top.length > 0 ? "DIFF_SOME" : "DIFF_NONE",
      detailedDiff,
      diffs: top.sort(),
      replaces: [],
      deleteBeforeReplace: false,
      hasDetailedDiff: true,
    });
  });
});

describe("a command through its life", () => {
  let cmd: Life;
  beforeAll(() => {
    cmd = new Life(plugin, type, "cmd");
  });

  it("a preview runs nothing and leaves the outputs unknown", async () => {
    const witness = join(place, "ran");
    const made = await plugin.create(type, "cmd", inputs({ create: `touch ${witness}` }), true);
    expect(made).toMatchObject({
      id: expect.stringMatching(/^cmd[0-9a-f]{8}$/),
      properties: { stdout: unknown, stderr: unknown },
    });
    await expect(readFile(witness)).rejects.toThrow("ENOENT");
  });

  it("runs, with an empty standard input, and keeps both outputs without their last newline", async () => {
    expect(await cmd.up(inputs())).toBe("create");
    expect(cmd.state).toMatchObject({ id: expect.stringMatching(/^cmd[0-9a-f]{8}$/) });
    expect(cmd.state?.properties).toEqual({ ...inputs(), stdout: "hello world", stderr: "warn" });
    expect(await cmd.up(inputs())).toBe("same");
  });

  it("a changed create without update runs as the update", async () => {
    const news = inputs({ create: "echo changed" });
    expect((await plugin.update(type, "cmd", cmd.state as State, news, true)).properties).toMatchObject({
      stdout: unknown,
    });
    expect(await cmd.up(news)).toBe("update");
    expect(cmd.state?.properties).toEqual({ ...news, stdout: "changed", stderr: "" });
  });

  it("update runs if it is set, with its stdin and the previous outputs; a preview keeps the old outputs", async () => {
    const news = inputs({
      create: "echo changed",
      update: "echo updated; cat; echo; echo $PULUMI_COMMAND_STDOUT",
      stdin: "s3cret",
    });
    const previewed = await plugin.update(type, "cmd", cmd.state as State, news, true);
    expect(previewed.properties).toMatchObject({ stdout: "changed", stderr: "" });
    expect(await cmd.up(news)).toBe("update");
    expect(cmd.state?.properties.stdout).toBe("updated\ns3cret\nchanged");
  });

  it("a refresh changes nothing", async () => {
    const before = cmd.state;
    expect(await cmd.refresh()).toEqual(before);
  });

  it("delete runs when it is destroyed", async () => {
    const news = { create: "true", delete: "echo bye > bye.txt" };
    const other = new Life(plugin, type, "cmd");
    await other.up(news);
    await other.destroy();
    expect(await readFile(join(place, "bye.txt"), "utf8")).toBe("bye\n");
    await cmd.destroy();
  });
});

describe("a failure", () => {
  it.each([["stdoutAndStderr"], ["none"]])(
    "shows the whole command and its output, with logging: %s",
    async (logging) => {
      const create = "echo partial; echo bad >&2; exit 3";
      const failed = new Life(plugin, type, "cmd").up(inputs({ create, logging }));
      await expect(failed).rejects.toThrow(`exit status 3: running "${create}":\n`);
      const error = await failed.catch((thrown: Error) => thrown.message);
      for (const line of ["partial\n", "bad\n"]) expect(error).toContain(line);
    },
  );

  it("in a missing folder", async () => {
    const failed = new Life(plugin, type, "cmd").up(inputs({ create: "echo fine", dir: "/nonexistent" }));
    await expect(failed).rejects.toThrow(
      'chdir /nonexistent: no such file or directory: running "echo fine":\n',
    );
  });
});

describe("its environment", () => {
  it("dir, interpreter and addPreviousOutputInEnv work", async () => {
    await writeFile(join(place, "here.txt"), "here");
    const sub = new Life(plugin, type, "cmd");
    await sub.up({
      create: "cat here.txt; echo $0",
      dir: place,
      interpreter: ["/bin/sh", "-e", "-c"],
      addPreviousOutputInEnv: false,
    });
    expect(sub.state?.properties.stdout).toMatch(/^here/);
    await sub.up({ create: "echo [$PULUMI_COMMAND_STDOUT]", addPreviousOutputInEnv: false });
    expect(sub.state?.properties.stdout).toBe("[]");
  });

  const talk = "echo to stdout; echo to stderr >&2";
  it.each([
    [undefined, ["to stderr", "to stdout"]],
    ["stdoutAndStderr", ["to stderr", "to stdout"]],
    ["stdout", ["to stdout"]],
    ["stderr", ["to stderr"]],
    ["none", []],
  ])("logging: %s sends %j to the engine", async (logging, heard) => {
    const name = `log-${logging}`;
    await new Life(plugin, type, name).up({ create: talk, ...(logging === undefined ? {} : { logging }) });
    const lines = plugin.log.filter(({ urn }) => urn.endsWith(`::${name}`));
    expect(lines.map(({ message }) => message.trim()).sort()).toEqual(heard);
    for (const { severity } of lines) expect(severity).toBe("info");
  });

  it("commands run at the same time", async () => {
    // Each waits for the other's file: one after the other they would never end.
    const wait = (mine: string, other: string): Props => ({
      create: `touch ${mine}; until [ -e ${other} ]; do sleep 0.05; done; echo met`,
    });
    const both = [new Life(plugin, type, "a"), new Life(plugin, type, "b")];
    await Promise.all([both[0]?.up(wait("a.here", "b.here")), both[1]?.up(wait("b.here", "a.here"))]);
    for (const { state } of both) expect(state?.properties.stdout).toBe("met");
  });
});
