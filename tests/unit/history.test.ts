import { rmSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import execa from "execa";
import { earlierVersions } from "../../source/history";
import { TestApp } from "../support/app";

describe("the history of files", () => {
  let app: TestApp;
  let commit: string;
  /** What a commit had: its path in the backend, and its content's id. */
  const version = async (path: string, content: string) => {
    const { stdout: hash } = await execa("git", ["hash-object", "--stdin"], { input: content });
    return { path, hash };
  };

  beforeAll(async () => {
    app = await TestApp.create();
    await app.git("checkout", "--quiet", "-b", "side");
    await app.commit({ "backend/side.py": "side\n" });
    await app.commit({ "backend/side.py": null });
    await app.git("checkout", "--quiet", "main");
    await app.commit({ "backend/old.py": "one\n" });
    await app.commit({ "backend/old.py": "two\n", "frontend/other.py": "three\n" });
    await app.git("merge", "--quiet", "--no-ff", "--no-edit", "side");
    commit = await app.commit({ "backend/old.py": null });
  });
  afterAll(() => app?.remove());

  it("has each content of a path, also on side branches, and no other", async () => {
    const had = [
      await version("old.py", "one\n"),
      await version("old.py", "two\n"),
      await version("side.py", "side\n"),
    ];
    const never = [
      await version("old.py", "three\n"),
      await version("other.py", "three\n"),
      await version("50x.html", "<html>\n"),
      await version("*.py", "one\n"),
    ];
    const asked = { root: app.folder, commit };
    expect(await earlierVersions(asked, "backend", [...never, ...had])).toEqual({ files: had, whole: true });
    // More paths than are asked for one by one.
    const many = await Promise.all(
      Array.from({ length: 120 }, async (_, at) => ({ path: `none/${at}`, hash: had[0]!.hash })),
    );
    expect(await earlierVersions(asked, "backend", [...many, ...had])).toEqual({ files: had, whole: true });
    expect(await earlierVersions(asked, "backend", [])).toEqual({ files: [], whole: true });
  });

  it("is incomplete in a shallow checkout", async () => {
    const root = `${app.folder}-shallow`;
    await execa("git", ["clone", "--quiet", "--depth", "1", `file://${app.folder}`, root]);
    try {
      const wanted = [await version("old.py", "one\n")];
      expect(await earlierVersions({ root, commit }, "backend", wanted)).toEqual({ files: [], whole: false });
    } finally {
      rmSync(root, { recursive: true });
    }
  });
});
