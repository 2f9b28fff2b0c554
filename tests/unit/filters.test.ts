import { mkdirSync, mkdtempSync, readFileSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import { parseConfig } from "../../config";
import { prepareSource } from "../../source/prepare";
import { TestApp } from "../support/app";

const root = mkdtempSync(join(tmpdir(), "watch-party-filters-"));
afterAll(() => rmSync(root, { recursive: true, force: true }));

describe("a file that a git filter keeps encrypted", () => {
  let app: TestApp;
  let counter = 0;
  const prepare = (more: Record<string, unknown> = {}) =>
    prepareSource(
      parseConfig({ source: app.folder, services: { backend: {} }, ...more }),
      join(root, `contexts-${counter++}`),
    );
  const secretIn = async (more: Record<string, unknown>, path = "secret.txt") => {
    const { contexts, verdicts } = await prepare(more);
    const said = verdicts.find(({ link, service }) => link === "commit" && service === "backend");
    return { text: readFileSync(join(await contexts.backend!, path), "utf8"), said };
  };

  beforeAll(async () => {
    app = await TestApp.create();
    // As git-crypt does: the blob is encrypted, the working tree is not.
    await app.git("config", "filter.rot13.clean", "tr a-z n-za-m");
    await app.git("config", "filter.rot13.smudge", "tr a-z n-za-m");
    await app.git("config", "filter.rot13.required", "true");
    mkdirSync(join(app.folder, "backend", "deep"));
    writeFileSync(join(app.folder, "backend", "deep", ".gitattributes"), "*.key filter=rot13\n");
    await app.commit({
      "backend/.gitattributes": "secret.txt filter=rot13 ident\n",
      "backend/secret.txt": "hello plain secret\n",
      "backend/deep/a.key": "another\n",
    });
  });
  afterAll(() => app?.remove());

  const REFUSED =
    /^freshness: commit of backend: the git filter rot13 changes files between the commit and a checkout; expected files deployed as they are committed, found 2 files: deep\/a\.key, secret\.txt\. Set "watch-party:filters: apply" to run the filter .*, or "stored" to deploy the committed bytes\.$/;

  it("is refused", async () => {
    await expect(prepare()).rejects.toThrow(REFUSED);
  });

  it("is deployed as in a checkout if the configuration allows the filter, and is reported", async () => {
    const { text, said } = await secretIn({ filters: "apply" });
    expect(text).toBe("hello plain secret\n");
    expect(said).toMatchObject({
      status: "proven",
      found: "the filter rot13 was run on 2 files: deep/a.key, secret.txt",
    });
    expect((await secretIn({ filters: "apply" }, "deep/a.key")).text).toBe("another\n");
  });

  it("is deployed as stored if configured, and is reported", async () => {
    const { text, said } = await secretIn({ filters: "stored" });
    expect(text).toBe("uryyb cynva frperg\n");
    expect(said?.found).toBe("2 files: deep/a.key, secret.txt as stored, without the filter rot13");
  });

  it("is judged by the attributes of the commit, not by those of the working tree", async () => {
    const commit = await app.git("rev-parse", "HEAD");
    await app.git("rm", "--quiet", "--cached", "backend/secret.txt", "backend/deep/a.key");
    await app.commit({ "backend/.gitattributes": "", "backend/deep/.gitattributes": "" });
    await expect(prepare({ commit })).rejects.toThrow(REFUSED);
    await app.git("reset", "--quiet", "--hard", commit);
  });

  it("is refused for the clone's own attributes too", async () => {
    const info = join(app.folder, ".git", "info", "attributes");
    writeFileSync(info, "message.txt filter=other\n");
    await expect(prepare()).rejects.toThrow(/the git filter .*other.* changes files .*3 files/);
    rmSync(info);
  });

  it("is ignored if the build excludes it", async () => {
    await app.commit({ "backend/.dockerignore": "secret.txt\ndeep\n" });
    await expect(prepare()).resolves.toBeDefined();
    await app.git("reset", "--quiet", "--hard", "HEAD~");
  });

  it("is refused if the filter is configured but not set up on this machine, or fails", async () => {
    // Git reads a file again that is as young as its index, and without the filter it would find it changed.
    for (const path of ["secret.txt", "deep/a.key"])
      utimesSync(join(app.folder, "backend", path), new Date(0), new Date(0));
    await app.git("update-index", "--refresh");
    await app.git("config", "filter.rot13.smudge", "echo locked >&2; false");
    await expect(prepare({ filters: "apply" })).rejects.toThrow(
      /^freshness: commit of backend: the git filter rot13 cannot be run on deep\/a\.key; .* Set the filter up/,
    );
    await app.git("config", "--remove-section", "filter.rot13");
    await expect(prepare({ filters: "apply" })).rejects.toThrow(/git's configuration has no such filter/);
  });

  it("is deployed again once the filter is set up on this machine", async () => {
    await app.git("config", "filter.rot13.smudge", "tr a-z n-za-m");
    expect((await secretIn({ filters: "apply" })).text).toBe("hello plain secret\n");
  });
});
