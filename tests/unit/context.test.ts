import {
  chmodSync,
  closeSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeEach, describe, expect, it } from "@jest/globals";
import type { TreeEntry } from "../../freshness/files";
import { exportContext } from "../../source/context";
import { Objects } from "../../source/objects";

function objectsOf(contents: readonly (readonly [string, string])[]): Objects {
  const objects = new Objects();
  for (const [hash, text] of contents) objects.set(hash, Buffer.from(text));
  return objects;
}

describe("a build context", () => {
  const root = mkdtempSync(join(tmpdir(), "watch-party-context-"));
  afterAll(() => rmSync(root, { recursive: true, force: true }));

  it("is recognised as written with links to folders, also in circles", async () => {
    const tree = [
      ...["to-folder", "circle", "outside"].map((path) => ({ mode: "120000", hash: path, path }) as const),
      { mode: "100644", hash: "file", path: "folder/file" } as const,
    ];
    const blobs = objectsOf(
      Object.entries({ "to-folder": "folder", circle: ".", outside: "/usr", file: "text" }),
    );
    const own = join(root, "linked");
    const context = await exportContext(own, "one", tree, blobs);
    const { ino } = lstatSync(join(context, "folder", "file"));
    expect(await exportContext(own, "one", tree, blobs)).toBe(context);
    expect(lstatSync(join(context, "folder", "file")).ino).toBe(ino);
  });

  describe("of another commit starts from the previous context", () => {
    const file = (path: string, text: string, mode: TreeEntry["mode"] = "100644") => ({
      entry: { path, mode, hash: `${mode} ${text}` },
      text,
    });
    const old = [
      file("same", "same"),
      file("changed", "before"),
      file("mode", "mode"),
      file("gone/deep", "gone"),
      file("folder/was-file", "file"),
      file("was-folder/file", "file"),
      file("link", "same", "120000"),
      file("other-link", "same", "120000"),
      file("became-link", "text"),
      file("folder-link", "folder", "120000"),
    ];
    const now = [
      file("same", "same"),
      file("changed", "after!"),
      file("mode", "mode", "100755"),
      file("folder/was-file/now", "folder"),
      file("was-folder", "file"),
      file("link", "same", "120000"),
      file("other-link", "changed", "120000"),
      file("became-link", "same", "120000"),
      file("folder-link", "folder", "120000"),
    ];
    const exportTo = (own: string, name: string, files: typeof old) =>
      exportContext(
        own,
        name,
        files.map(({ entry }) => entry),
        objectsOf(files.map(({ entry, text }) => [entry.hash, text])),
      );
    /** Path → content. */
    const read = (folder: string, path = ""): Record<string, string> =>
      Object.assign(
        {},
        ...readdirSync(join(folder, path), { withFileTypes: true }).map((entry) => {
          const own = join(path, entry.name);
          const place = join(folder, own);
          const mode = (lstatSync(place).mode & 0o7777).toString(8);
          if (entry.isDirectory()) return { [own]: `folder ${mode}`, ...read(folder, own) };
          return {
            [own]: entry.isSymbolicLink() ? `-> ${readlinkSync(place)}` : `${mode} ${readFileSync(place)}`,
          };
        }),
      );
    let own: string;
    let fresh: Record<string, string>;

    beforeEach(async () => {
      own = mkdtempSync(join(root, "own-"));
      fresh = read(await exportTo(join(own, "fresh"), "now", now));
    });
    afterEach(() => rmSync(own, { recursive: true, force: true }));

    const tampered: [string, (context: string) => void][] = [
      ["as written", () => undefined],
      ["with a file too many", (context) => writeFileSync(join(context, "stray"), "old")],
      [
        "with other bytes of the same size and time",
        (context) => {
          const { atime, mtime } = statSync(join(context, "same"));
          writeFileSync(join(context, "same"), "emas");
          utimesSync(join(context, "same"), atime, mtime);
        },
      ],
      ["with another folder's mode", (context) => chmodSync(join(context, "folder"), 0o700)],
      ["with its own mode changed", (context) => chmodSync(context, 0o700)],
      [
        "as a file",
        (context) => {
          rmSync(context, { recursive: true });
          writeFileSync(context, "");
        },
      ],
      [
        "with a folder that is a link out of it",
        (context) => {
          rmSync(join(context, "folder"), { recursive: true });
          mkdirSync(join(own, "elsewhere", "was-file"), { recursive: true });
          writeFileSync(join(own, "elsewhere", "was-file", "now"), "folder");
          symlinkSync(join(own, "elsewhere"), join(context, "folder"));
        },
      ],
    ];
    it.each(tampered)("%s, and equals a freshly written one", async (_, change) => {
      const before = await exportTo(join(own, "taken"), "old", old);
      change(before);
      const after = await exportTo(join(own, "taken"), "now", now);
      expect(read(after)).toEqual(fresh);
      expect(readdirSync(join(own, "taken"))).toEqual(["now"]);
      if (existsSync(join(own, "elsewhere")))
        expect(readFileSync(join(own, "elsewhere", "was-file", "now"), "utf8")).toBe("folder");
    });

    it("keeps equal files with a new time, and does not change an open file", async () => {
      const before = await exportTo(join(own, "taken"), "old", old);
      utimesSync(join(before, "same"), 1, 1);
      const { ino } = lstatSync(join(before, "same"));
      const reading = openSync(join(before, "changed"), "r");
      const after = await exportTo(join(own, "taken"), "now", now);
      expect(lstatSync(join(after, "same")).ino).toBe(ino);
      expect(lstatSync(join(after, "same")).mtimeMs).toBeGreaterThan(Date.now() - 60_000);
      expect(readFileSync(reading, "utf8")).toBe("before");
      closeSync(reading);
    });
  });
});
