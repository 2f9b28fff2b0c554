import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { afterAll, beforeEach, describe, expect, it } from "@jest/globals";
import execa from "execa";

const PROJECT = resolve(__dirname, "..", "..");

describe("the program as one file", () => {
  const folder = mkdtempSync(join(tmpdir(), "watch-party-program-"));
  const cache = join(folder, "node_modules", ".cache", "watch-party");
  mkdirSync(join(folder, "toolchain"));
  mkdirSync(join(folder, "node_modules"));
  for (const name of ["esbuild", "@esbuild", "@pulumi"])
    symlinkSync(join(PROJECT, "node_modules", name), join(folder, "node_modules", name));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  const write = (name: string, text: string) => writeFileSync(join(folder, name), text);
  const bundles = () => readdirSync(cache).filter((name) => name.endsWith(".js"));
  const says = async (what = 'require("./entry.ts").said') => {
    // A link would be followed to this project, whose cache is another.
    for (const file of ["toolchain/program.js", "toolchain/sdk.js"])
      write(file, (await execa("cat", [join(PROJECT, file)])).stdout);
    const load = ["--require", "./toolchain/program.js", "--eval", `console.log(${what})`];
    return (await execa(process.execPath, load, { cwd: folder })).stdout;
  };

  beforeEach(() => {
    rmSync(cache, { recursive: true, force: true });
    write("tsconfig.json", "{}");
    write("word.ts", 'export const word: string = "one";\n');
    write("entry.ts", 'import { word } from "./word";\nexport const said: string = `the word is ${word}`;\n');
  });

  it("is bundled once, and reused while its sources are unchanged", async () => {
    expect(await says()).toBe("the word is one");
    const [made] = bundles();
    // The program runs the file's content: it was not bundled again.
    writeFileSync(join(cache, made!), 'exports.said = "taken as it was";');
    expect(await says()).toBe("taken as it was");
    expect(bundles()).toEqual([made]);
  });

  it("is bundled again after a changed import, even with equal size and time", async () => {
    expect(await says()).toBe("the word is one");
    const { stdout: time } = await execa("stat", ["--format", "%Y", join(folder, "word.ts")]);
    write("word.ts", 'export const word: string = "two";\n');
    await execa("touch", ["--date", `@${time}`, join(folder, "word.ts")]);
    expect(await says()).toBe("the word is two");
  });

  it("uses the SDK that the language host has loaded", async () => {
    write("entry.ts", 'export { Output as said } from "@pulumi/pulumi";\n');
    expect(await says('require("./entry.ts").said === require("@pulumi/pulumi").Output')).toBe("true");
  });

  it("loads unused parts of the SDK on first use", async () => {
    const loaded =
      "Object.keys(require.cache).some((file) => /@npmcli.arborist|node_modules.typescript/.test(file))";
    const asked = `(async () => {
      const pulumi = require("@pulumi/pulumi");
      const before = ${loaded};
      const word = "one";
      const { text } = await pulumi.runtime.serializeFunction(() => word);
      return [before, text.includes("one"), ${loaded}, typeof pulumi.automation.LocalWorkspace.create].join();
    })().then(console.log)`;
    expect((await says(asked)).split("\n").at(-1)).toBe("false,true,true,function");
  });

  it("gives a module its own folder, although it is read from the bundle", async () => {
    write("entry.ts", "export const said: string = __dirname;\n");
    expect(await says()).toBe(realpathSync(folder));
  });

  it("fails with the compiler's message if the program cannot be parsed", async () => {
    write("entry.ts", "export const said = ;\n");
    await expect(says()).rejects.toThrow(/entry\.ts:1:20: ERROR: Unexpected ";"/);
  });
});
