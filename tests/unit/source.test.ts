import {
  chmodSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import execa from "execa";
import { parseConfig } from "../../config";
import { FreshnessError } from "../../freshness/chain";
import { resolveCheckout, SourceError } from "../../source/checkout";
import { parseBatch } from "../../source/objects";
import { prepareSource } from "../../source/prepare";
import { parseTree } from "../../source/tree";

const DOCKERFILE = `FROM debian:bookworm-slim
ARG GIT_COMMIT_HASH
RUN mkdir -p /app && printf '%s' "$GIT_COMMIT_HASH" > /app/COMMIT
COPY . /app/src
`;

describe("a git checkout", () => {
  const root = mkdtempSync(join(tmpdir(), "watch-party-source-"));
  const app = join(root, "checkout", "app");
  const git = async (...args: string[]) =>
    (
      await execa("git", ["-c", "user.name=t", "-c", "user.email=t@example.org", ...args], {
        cwd: join(root, "checkout"),
      })
    ).stdout;
  const config = (more: Record<string, unknown> = {}) =>
    parseConfig({ source: app, services: { backend: {} }, ...more });

  beforeAll(async () => {
    mkdirSync(join(app, "backend", "deep", "er"), { recursive: true });
    await git("init", "--quiet");
    writeFileSync(join(app, "backend", "Dockerfile"), DOCKERFILE);
    writeFileSync(join(app, "backend", "run.sh"), "#!/bin/sh\n");
    chmodSync(join(app, "backend", "run.sh"), 0o777);
    writeFileSync(join(app, "backend", "deep", "er", "bytes.bin"), Buffer.from([0, 10, 255, 10]));
    writeFileSync(join(app, "backend", "ignored-by-archive.txt"), "$Format:%H$\n");
    writeFileSync(
      join(app, ".gitattributes"),
      "backend/ignored-by-archive.txt export-ignore export-subst\n*.bin text eol=crlf\n",
    );
    symlinkSync("run.sh", join(app, "backend", "link"));
    symlinkSync("backend", join(app, "linked"));
    await git("add", "--all");
    await git("commit", "--quiet", "-m", "one");
    await git("tag", "v1");
  });
  afterAll(() => rmSync(root, { recursive: true, force: true }));

  it("is exported from git objects: bytes, modes and links, regardless of attributes", async () => {
    const { checkout, contexts } = await prepareSource(config(), join(root, "contexts"));
    expect(checkout.commit).toBe(await git("rev-parse", "HEAD"));
    const context = (await contexts.backend)!;
    expect(context).toBe(join(root, "contexts", "backend", `backend-${checkout.commit.slice(0, 12)}`));
    expect(readFileSync(join(context, "deep", "er", "bytes.bin"))).toEqual(Buffer.from([0, 10, 255, 10]));
    expect(readFileSync(join(context, "ignored-by-archive.txt"), "utf8")).toBe("$Format:%H$\n");
    expect(readlinkSync(join(context, "link"))).toBe("run.sh");
    expect(statSync(join(context, "run.sh")).mode & 0o777).toBe(0o755);
    expect(statSync(join(context, "Dockerfile")).mode & 0o777).toBe(0o644);
    expect(statSync(join(context, "deep")).mode & 0o777).toBe(0o755);
  });

  const exported = async () => {
    const { contexts } = await prepareSource(config(), join(root, "contexts"));
    const context = (await contexts.backend)!;
    return { context, ino: statSync(join(context, "run.sh")).ino };
  };

  it("is not written again if it is unchanged", async () => {
    const before = await exported();
    expect(await exported()).toEqual(before);
  });

  it.each<[string, (context: string) => void]>([
    ["a file too many", (context) => writeFileSync(join(context, "stray.txt"), "old")],
    ["an empty folder too many", (context) => mkdirSync(join(context, "stray"))],
    ["a file that is missing", (context) => rmSync(join(context, "link"))],
    ["another mode", (context) => chmodSync(join(context, "Dockerfile"), 0o755)],
    ["another folder's mode", (context) => chmodSync(join(context, "deep"), 0o700)],
    [
      "a link elsewhere",
      (context) => {
        rmSync(join(context, "link"));
        symlinkSync("deep", join(context, "link"));
      },
    ],
    [
      "a link in a file's place",
      (context) => {
        renameSync(join(context, "run.sh"), join(root, "run.sh"));
        symlinkSync(join(root, "run.sh"), join(context, "run.sh"));
      },
    ],
    [
      "other bytes of the same size and time",
      (context) => {
        const file = join(context, "deep", "er", "bytes.bin");
        const { atime, mtime } = statSync(file);
        writeFileSync(file, Buffer.from([0, 10, 255, 11]));
        utimesSync(file, atime, mtime);
      },
    ],
  ])("is exported again after %s: old files of the folder do not come back", async (_, change) => {
    const before = await exported();
    change(before.context);
    const { context, ino } = await exported();
    expect(context).toBe(before.context);
    expect(ino).not.toBe(before.ino);
    expect(readdirSync(context).sort()).toEqual([
      "Dockerfile",
      "deep",
      "ignored-by-archive.txt",
      "link",
      "run.sh",
    ]);
    expect(readlinkSync(join(context, "link"))).toBe("run.sh");
    expect(lstatSync(join(context, "run.sh")).isFile()).toBe(true);
    expect(statSync(join(context, "Dockerfile")).mode & 0o777).toBe(0o644);
    expect(statSync(join(context, "deep")).mode & 0o777).toBe(0o755);
    expect(readFileSync(join(context, "deep", "er", "bytes.bin"))).toEqual(Buffer.from([0, 10, 255, 10]));
  });

  it("is refused with uncommitted changes below the app, and deployed with them if configured", async () => {
    writeFileSync(join(app, "backend", "new.txt"), "new");
    await expect(resolveCheckout(config())).rejects.toThrow(FreshnessError);
    await expect(resolveCheckout(config())).rejects.toThrow(
      /^freshness: commit of every service: .*backend\/new\.txt/,
    );
    const { checkout, contexts } = await prepareSource(
      config({ uncommitted: "include" }),
      join(root, "contexts"),
    );
    expect(checkout.identity).toMatch(new RegExp(`^${checkout.commit}-dirty-[0-9a-f]{12}$`));
    expect(readFileSync(join((await contexts.backend)!, "new.txt"), "utf8")).toBe("new");
    expect(await git("status", "--porcelain")).toBe("?? app/backend/new.txt");
    rmSync(join(app, "backend", "new.txt"));
  });

  it("ignores changes outside the app, or any change if a commit is named", async () => {
    writeFileSync(join(root, "checkout", "outside.txt"), "x");
    expect((await resolveCheckout(config())).identity).toBe(await git("rev-parse", "HEAD"));
    writeFileSync(join(app, "backend", "new.txt"), "new");
    expect((await resolveCheckout(config({ commit: "v1" }))).identity).toBe(await git("rev-parse", "v1"));
    rmSync(join(app, "backend", "new.txt"));
  });

  it.each([
    ["no such folder", { source: "/nonexistent" }, "is not a folder"],
    ["no checkout", { source: tmpdir() }, "not inside a git checkout"],
    ["no such commit", { commit: "v9" }, 'commit "v9" does not exist in this checkout; run "git fetch'],
  ])("is refused: %s", async (_, more, message) => {
    await expect(resolveCheckout(config(more))).rejects.toThrow(SourceError);
    await expect(resolveCheckout(config(more))).rejects.toThrow(message);
  });

  it("is refused if its name is that of a tag and of another branch, and passes with the names of the message", async () => {
    const before = await git("rev-parse", "HEAD");
    await git("tag", "both");
    await git("branch", "both", "v1");
    await expect(resolveCheckout(config({ commit: "both" }))).resolves.toMatchObject({ commit: before });
    writeFileSync(join(app, "backend", "both.txt"), "both");
    await git("add", "--all");
    await git("commit", "--quiet", "-m", "both");
    await git("branch", "--force", "both");
    const refused = resolveCheckout(config({ commit: "both" }));
    await expect(refused).rejects.toThrow('set watch-party:commit to "refs/heads/both" or "refs/tags/both"');
    const after = await git("rev-parse", "HEAD");
    await expect(resolveCheckout(config({ commit: "refs/heads/both" }))).resolves.toMatchObject({
      commit: after,
    });
    await expect(resolveCheckout(config({ commit: "refs/tags/both" }))).resolves.toMatchObject({
      commit: before,
    });
  });

  it("mentions that a shallow clone may lack the commit", async () => {
    writeFileSync(join(app, "backend", "two.txt"), "2");
    await git("add", "--all");
    await git("commit", "--quiet", "-m", "two");
    const shallow = join(root, "shallow");
    await execa("git", ["clone", "--quiet", "--depth", "1", `file://${join(root, "checkout")}`, shallow]);
    const commit = await git("rev-parse", "v1");
    await expect(resolveCheckout(config({ source: join(shallow, "app"), commit }))).rejects.toThrow(
      "the clone is shallow",
    );
  });

  it("reports all services that cannot be built at once", async () => {
    const services = { a: {}, backend: { dockerfile: "nope/Dockerfile" }, linked: {} };
    const failure = prepareSource(config({ services }), join(root, "contexts"));
    await expect(failure).rejects.toThrow(
      /service a: no folder "app\/a".*\n.*no Dockerfile "app\/backend\/nope\/Dockerfile".*\n.*"app\/linked" is a symbolic link/,
    );
  });
});

it("parses a tree", () => {
  const listing = "100644 blob aaa\tx y.txt\x00040000 tree ccc\tdir\x00120000 blob bbb\tdir/l\x00";
  expect(parseTree(Buffer.from(listing), "web")).toEqual([
    { mode: "100644", hash: "aaa", path: "x y.txt" },
    { mode: "120000", hash: "bbb", path: "dir/l" },
  ]);
});

it("parses a batch of objects, and names a missing one", () => {
  const output = Buffer.from("a blob 3\nx\ny\nb blob 0\n\n");
  expect(parseBatch(output, ["a", "b"]).map(String)).toEqual(["x\ny", ""]);
  expect(() => parseBatch(Buffer.from("a missing\n"), ["a"])).toThrow("a is missing");
});
