import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import execa from "execa";
import fc from "fast-check";
import { parseConfig } from "../../config";
import { exportContext } from "../../source/context";
import { Objects } from "../../source/objects";
import { checkSource, prepareSource } from "../../source/prepare";
import { parseTree } from "../../source/tree";

const DOCKERFILE = `FROM debian:bookworm-slim
ARG GIT_COMMIT_HASH
RUN mkdir -p /app && printf '%s' "$GIT_COMMIT_HASH" > /app/COMMIT
COPY . /app/src
`;
const root = mkdtempSync(join(tmpdir(), "watch-party-tree-"));
afterAll(() => rmSync(root, { recursive: true, force: true }));

/** `MODE NAME`, and its content: text for a blob, entries for a tree. */
type Entry = readonly [mode: string, name: string | Buffer, content: string | readonly Entry[]];

describe("a commit's tree", () => {
  const folder = join(root, "app");
  const git = async (input: string | Buffer | undefined, ...args: string[]) => {
    const options = ["-c", "user.name=t", "-c", "user.email=t@example.org"];
    const { stdout } = await execa("git", [...options, ...args], {
      cwd: folder,
      ...(input === undefined ? { stdin: "ignore" as const } : { input }),
    });
    return stdout;
  };
  /** Writes a tree as it is asked for, in the order of its entries: git itself would refuse most of them. */
  const tree = async (entries: readonly Entry[]): Promise<string> => {
    const parts: Buffer[] = [];
    for (const [mode, name, content] of entries) {
      const hash =
        typeof content === "string"
          ? await git(content, "hash-object", "-w", "--stdin")
          : await tree(content);
      parts.push(Buffer.from(`${mode} `), Buffer.from(name), Buffer.from([0]), Buffer.from(hash, "hex"));
    }
    return git(Buffer.concat(parts), "hash-object", "--literally", "-t", "tree", "-w", "--stdin");
  };
  const deploying = async (entries: readonly Entry[], context = ".") => {
    const commit = await git(undefined, "commit-tree", "-m", "made", await tree(entries));
    return parseConfig({ source: folder, commit, services: { web: { context, route: "/", port: 3000 } } });
  };
  const file = (name: string | Buffer, content = "text"): Entry => ["100644", name, content];
  const good = file("Dockerfile", DOCKERFILE);
  let counter = 0;

  beforeAll(async () => {
    mkdirSync(folder);
    await execa("git", ["init", "--quiet", folder]);
    await git(undefined, "commit", "--quiet", "--allow-empty", "-m", "one");
  });

  it.each<[string, readonly Entry[], RegExp]>([
    [
      "a file in the folder above",
      [good, ["40000", "..", [file("evil")]]],
      /"\.\.\\?"? has the name|"\.\.(\/evil)?" has the name "\.\."/,
    ],
    [
      "a file in the folder above, by a name with a slash",
      [good, file("../evil")],
      /"\.\.\/evil" has the name "\.\."/,
    ],
    ["an absolute path", [good, file("/tmp/evil")], /has an empty name/],
    ["its own folder", [good, ["40000", ".", [file("evil")]]], /has the name "\."/],
    ["git's own folder", [["40000", ".git", [file("config")]], good], /stands for git's own folder/],
    ["git's folder in capitals", [["40000", ".GIT", [file("config")]], good], /stands for git's own folder/],
    [
      "git's folder to macOS",
      [["40000", ".g\u200cit", [file("config")]], good],
      /stands for git's own folder/,
    ],
    ["git's folder to Windows", [good, ["40000", "git~1", [file("config")]]], /stands for git's own folder/],
    ["a name with a slash", [good, file("a/b")], /"a\/b" has a slash in its name/],
    ["a file twice", [good, file("a", "one"), file("a", "two")], /"a" occurs twice/],
    ["a file that is a folder too", [good, file("a"), ["40000", "a", [file("b")]]], /"a" occurs twice/],
    [
      "a path through a link",
      [good, ["120000", "a", "/tmp"], file("a/evil")],
      /"a\/evil" lies below a path that is not a folder/,
    ],
    ["a name that no file system holds", [good, file("x".repeat(256))], /longer than 255 bytes/],
    [
      "such names in a deeper folder",
      [good, ["40000", "sub", [["40000", "..", [file("evil")]]]]],
      /"sub\/\.\." has the name/,
    ],
  ])("is refused with %s, and nothing is written", async (_, entries, message) => {
    const config = await deploying(entries);
    const own = join(root, `contexts-${counter++}`);
    for (const refused of [() => checkSource(config), () => prepareSource(config, own)]) {
      await expect(refused()).rejects.toThrow(
        /^freshness: commit of every service: the commit's tree has an invalid entry/,
      );
      await expect(refused()).rejects.toThrow(message);
    }
    expect(existsSync(own)).toBe(false);
    expect(readdirSync(root).filter((name) => name === "evil")).toEqual([]);
    expect(existsSync("/tmp/evil")).toBe(false);
  });

  it("is refused with an empty name", async () => {
    const config = await deploying([good, file("")]);
    await expect(prepareSource(config, join(root, "none"))).rejects.toThrow(
      /^freshness: commit of every service: /,
    );
  });

  it("is refused with a missing folder, and a complete commit passes after `git fsck` and `git fetch`", async () => {
    const first = await deploying([good, ["40000", "sub", [file("a", "lost")]]]);
    await git(undefined, "update-ref", "refs/heads/deployed", first.commit);
    const clone = join(root, "clone");
    await execa("git", ["clone", "--quiet", "--no-local", "--branch", "deployed", folder, clone]);
    const inClone = (...args: string[]) => execa("git", args, { cwd: clone, reject: false });
    const pack = readdirSync(join(clone, ".git/objects/pack")).find((name) => name.endsWith(".pack"))!;
    // Only a loose object can be lost alone.
    const packed = join(root, "lost.pack");
    renameSync(join(clone, ".git/objects/pack", pack), packed);
    rmSync(join(clone, ".git/objects/pack"), { recursive: true });
    await execa("git", ["unpack-objects", "-q"], { cwd: clone, input: readFileSync(packed) });
    const { stdout: lost } = await inClone("rev-parse", "HEAD:sub");
    rmSync(join(clone, ".git/objects", lost.slice(0, 2), lost.slice(2)));
    const at = (commit: string) => ({ ...first, source: clone, commit });
    const refused = expect(prepareSource(at(first.commit), join(root, "none"))).rejects;
    await refused.toThrow(/the commit's tree cannot be read; .* Run "git fsck" and "git fetch"/s);
    expect((await inClone("fsck")).stdout).toContain(`missing tree ${lost}`);
    const whole = await deploying([good, file("b", "whole")]);
    await git(undefined, "update-ref", "refs/heads/deployed", whole.commit);
    expect(await inClone("fetch", "--quiet", "--force")).toMatchObject({ exitCode: 0 });
    await expect(prepareSource(at(whole.commit), join(root, `contexts-${counter++}`))).resolves.toBeDefined();
  });

  it("is accepted if the problem is outside every build context", async () => {
    const config = await deploying(
      [
        ["40000", "..", [file("evil")]],
        ["40000", "web", [good]],
      ],
      "web",
    );
    await expect(prepareSource(config, join(root, `contexts-${counter++}`))).resolves.toBeDefined();
  });

  const LATIN = Buffer.from("caf\xe9.txt", "latin1");

  it("is refused with names that are not UTF-8, escaped in the message", async () => {
    const config = await deploying([good, file(Buffer.from("caf\xe8.txt", "latin1")), file(LATIN)]);
    for (const refused of [() => checkSource(config), () => prepareSource(config, join(root, "none"))])
      await expect(refused()).rejects.toThrow(
        'freshness: commit of web: the build context has names that are not UTF-8; expected names in UTF-8, found 2: "caf\\350.txt", "caf\\351.txt". Rename them with "git mv" and commit, or leave them out by .dockerignore.',
      );
  });

  it("is accepted with such names if the build excludes them, or after a rename", async () => {
    const config = await deploying([file(".dockerignore", "*.txt\n"), good, file(LATIN)]);
    const own = join(root, `contexts-${counter++}`);
    const { contexts } = await prepareSource(config, own);
    expect(readdirSync(await contexts.web!).sort()).toEqual([".dockerignore", "Dockerfile"]);
    const renamed = await deploying([good, file("café.txt"), ["40000", "web", [file(LATIN)]]], ".");
    await expect(checkSource(renamed)).rejects.toThrow('"web/caf\\351.txt"');
    await expect(checkSource(await deploying([good, file("café.txt")]))).resolves.toBeUndefined();
  });

  it("keeps names distinct that differ in case or Unicode form, or have control characters", async () => {
    const names = [
      "A",
      "a",
      "caf\u00e9",
      "cafe\u0301",
      "line\nbreak",
      "tab\t",
      "back\\slash",
      'quote"',
      "x".repeat(255),
      "-f",
      " ",
    ];
    const entries = [good, ...names.map((name) => file(name, `of ${name}`))];
    const { contexts } = await prepareSource(await deploying(entries), join(root, `contexts-${counter++}`));
    const context = await contexts.web!;
    for (const name of names) expect(readFileSync(join(context, name), "utf8")).toBe(`of ${name}`);
  });

  it("accepts the modes of old git versions", async () => {
    const entries: Entry[] = [good, ["100664", "a", "text"], ["100775", "b", "text"]];
    const { contexts, inputs } = await prepareSource(
      await deploying(entries),
      join(root, `contexts-${counter++}`),
    );
    expect(inputs.web!.tree.map(({ mode }) => mode)).toEqual(["100644", "100644", "100755"]);
    expect(statSync(join(await contexts.web!, "b")).mode & 0o777).toBe(0o755);
  });
});

it("overwrites no file, as on a file system that treats two names as one", async () => {
  const blobs = new Objects();
  blobs.set("one", Buffer.from("one"));
  blobs.set("two", Buffer.from("two"));
  const tree = [
    { mode: "100644", hash: "one", path: "a" },
    { mode: "100644", hash: "two", path: "a/../a" },
  ] as const;
  await expect(exportContext(join(root, "twice"), "x", tree, blobs)).rejects.toThrow(/have the same name/);
  const outside = [{ mode: "100644", hash: "one", path: "../../evil" }] as const;
  await expect(exportContext(join(root, "twice"), "x", outside, blobs)).rejects.toThrow(
    /points outside its folder/,
  );
});

it("never returns a path outside its folder, for any listing", () => {
  const part = fc.oneof(
    fc.constantFrom("..", ".", "", ".git", "a", "b", ".gIt ", "git~1"),
    fc.uint8Array({ minLength: 1, maxLength: 3 }).map((bytes) => Buffer.from(bytes).toString("latin1")),
  );
  const line = fc
    .tuple(
      fc.constantFrom("100644 blob", "040000 tree", "120000 blob", "160000 commit"),
      fc.array(part, { minLength: 1, maxLength: 4 }),
    )
    .map(([kind, parts]) => `${kind} ${"a".repeat(40)}\t${parts.join("/").replaceAll("\0", "")}\0`);
  fc.assert(
    fc.property(fc.array(line, { maxLength: 8 }), (lines) => {
      let entries: ReturnType<typeof parseTree>;
      try {
        entries = parseTree(Buffer.from(lines.join(""), "latin1"), "web");
      } catch (cause) {
        expect((cause as Error).message).toMatch(/^freshness: commit of web: /);
        return;
      }
      const paths = entries.map(({ path, escaped }) => escaped ?? path);
      expect(new Set(paths).size).toBe(paths.length);
      for (const { path } of entries)
        for (const name of path.split("/")) expect(["", ".", "..", ".git"]).not.toContain(name.toLowerCase());
    }),
    { numRuns: 2000 },
  );
});

describe("a large file of the context", () => {
  const MEBIBYTES = 128;

  it("is streamed to the context with little memory", async () => {
    const folder = join(root, "large");
    mkdirSync(folder);
    writeFileSync(join(folder, "Dockerfile"), DOCKERFILE);
    await execa("truncate", ["--size", `${MEBIBYTES}M`, join(folder, "large.bin")]);
    const git = (...args: string[]) =>
      execa(
        "git",
        ["-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "core.compression=0", ...args],
        { cwd: folder },
      );
    await git("init", "--quiet");
    await git("add", "--all");
    await git("commit", "--quiet", "-m", "large");
    const program = `
      const { prepareSource } = require("./source/prepare");
      const { parseConfig } = require("./config");
      const config = parseConfig({ source: ${JSON.stringify(folder)}, services: { web: { context: ".", route: "/", port: 3000 } } });
      const own = ${JSON.stringify(join(root, "large-contexts"))};
      (async () => {
        let most = 0;
        setInterval(() => { most = Math.max(most, process.memoryUsage().rss); }, 20).unref();
        const before = process.memoryUsage().rss;
        for (let time = 0; time < 2; time++) console.log(await (await prepareSource(config, own)).contexts.web);
        console.log(Math.round((most - before) / 1024 ** 2));
      })();`;
    const node = ["--max-old-space-size=200", "--require", "@swc-node/register", "--eval", program];
    const { stdout } = await execa(process.execPath, node, { cwd: join(__dirname, "..", "..") });
    const [context = "", again, most] = stdout.split("\n");
    expect(again).toBe(context);
    expect(statSync(join(context, "large.bin")).size).toBe(MEBIBYTES * 1024 ** 2);
    expect(Number(most)).toBeLessThan(90);
  }, 180_000);
});
