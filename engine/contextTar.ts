import { createReadStream, existsSync, readFileSync } from "node:fs";
import { lstat, readdir, readlink } from "node:fs/promises";
import { join } from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { type Header, type Pack, pack } from "tar-stream";
import { ignoreRules } from "../freshness/dockerignore";

/**
 * A build context as the official plugin sends it to the engine: a tar without what its ignore file leaves out, owned by root.
 *
 * @param dockerfile relative to the context; it is sent whatever the ignore file says
 */
export function contextTar(folder: string, dockerfile: string): Readable {
  const tar = pack();
  const sent = new Set([dockerfile, ".dockerignore"]);
  const rules = ignoreRules(ignoreText(folder, dockerfile));
  const ignores = (path: string) => rules.ignores(path) && !sent.has(path);
  addFolder(tar, folder, "", ignores).then(
    () => tar.finalize(),
    (cause: Error) => tar.destroy(cause),
  );
  return Readable.from(tar);
}

function ignoreText(folder: string, dockerfile: string): string {
  const file = [`${dockerfile}.dockerignore`, ".dockerignore"]
    .map((name) => join(folder, name))
    .find((path) => existsSync(path));
  return file === undefined ? "" : readFileSync(file, "utf8");
}

async function addFolder(
  tar: Pack,
  folder: string,
  below: string,
  ignores: (path: string) => boolean,
): Promise<void> {
  for (const name of (await readdir(join(folder, below))).sort()) {
    const path = below === "" ? name : `${below}/${name}`;
    const file = join(folder, path);
    const found = await lstat(file);
    const header = { name: path, mode: found.mode & 0o7777, mtime: found.mtime, uid: 0, gid: 0 };
    if (found.isDirectory()) {
      if (!ignores(path)) await add(tar, { ...header, type: "directory" });
      // A rule may take back in what lies in a folder that another leaves out.
      await addFolder(tar, folder, path, ignores);
    } else if (ignores(path)) continue;
    else if (found.isSymbolicLink())
      await add(tar, { ...header, type: "symlink", linkname: await readlink(file) });
    else if (found.isFile())
      await pipeline(createReadStream(file), tar.entry({ ...header, type: "file", size: found.size }));
  }
}

function add(tar: Pack, header: Partial<Header> & Pick<Header, "name">): Promise<void> {
  return new Promise((resolve, reject) => {
    tar.entry(header, (cause) => (cause ? reject(cause) : resolve()));
  });
}
