import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it } from "@jest/globals";
import { extract, type Header } from "tar-stream";
import { contextTar } from "../../engine/contextTar";

/** What is in the tar of a context of these files; `-> PATH` is a link. */
async function sent(files: Readonly<Record<string, string>>, dockerfile: string): Promise<Header[]> {
  const folder = mkdtempSync(join(tmpdir(), "watch-party-context-"));
  try {
    for (const [path, text] of Object.entries(files)) {
      mkdirSync(join(folder, path, ".."), { recursive: true });
      const [, target] = /^-> (.*)$/.exec(text) ?? [];
      if (target === undefined) writeFileSync(join(folder, path), text, { mode: 0o644 });
      else symlinkSync(target, join(folder, path));
    }
    const headers: Header[] = [];
    for await (const entry of contextTar(folder, dockerfile).pipe(extract())) {
      headers.push(entry.header);
      entry.resume();
    }
    return headers;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

it("sends files, folders and links, owned by root", async () => {
  const headers = await sent(
    { Dockerfile: "FROM a\n", "src/a.py": "text\n", "src/b.py": "-> a.py" },
    "Dockerfile",
  );
  expect(headers.map(({ name, type, size, linkname }) => [name, type, size, linkname])).toEqual([
    ["Dockerfile", "file", 7, null],
    ["src", "directory", 0, null],
    ["src/a.py", "file", 5, null],
    ["src/b.py", "symlink", 0, "a.py"],
  ]);
  expect(new Set(headers.map(({ uid, gid }) => `${uid}:${gid}`))).toEqual(new Set(["0:0"]));
});

it.each([
  ["the context's", { ".dockerignore": "*\n!src/a.py\n" }, [".dockerignore", "Dockerfile", "src/a.py"]],
  [
    "the Dockerfile's own before it",
    { ".dockerignore": "*\n", "Dockerfile.dockerignore": "Dockerfile*\nsrc/b.py\n" },
    [".dockerignore", "Dockerfile", "src", "src/a.py"],
  ],
])("omits files of the ignore file: %s", async (_, ignore, names) => {
  const files = { Dockerfile: "FROM a\n", "src/a.py": "a\n", "src/b.py": "b\n", ...ignore };
  expect((await sent(files, "Dockerfile")).map(({ name }) => name)).toEqual(names);
});
