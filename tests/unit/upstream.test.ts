import { describe, expect, it } from "@jest/globals";
import { dockerfileVerdict } from "../../freshness/dockerfile";
import { imageVerdict } from "../../freshness/image";
import { UPSTREAM_HEADER } from "../../freshness/served";
import type { Answer } from "../../freshness/served/answer";
import { chosenFiles, type ServedFile, staticVerdict } from "../../freshness/served/staticFiles";
import { answerVerdict, NO_VERSION, proofPath } from "../../freshness/served/upstream";

const upstream = "web-1a2b3c4-5d6e7f80:80";
const answer = (more: Partial<Answer> = {}): Answer => ({
  url: "http://app/.freshness/web",
  address: "",
  status: 200,
  headers: { [UPSTREAM_HEADER]: upstream },
  body: "<!doctype html>",
  error: "",
  ...more,
});
const service = { version: NO_VERSION };
const served = { link: "served", service: "web", commit: "c0ffee", upstream } as const;

describe("a service without a version path", () => {
  it("is asked at its health path", () => {
    expect(proofPath({ version: NO_VERSION, health: "/up" })).toBe("/up");
    expect(proofPath({ version: "/version", health: "/up" })).toBe("/version");
  });

  it.each<[string, Partial<Answer>]>([
    ["a page", {}],
    ["a page that needs a login", { status: 401 }],
  ])("is proven by the container that answered with %s", (_, more) => {
    const verdict = answerVerdict(service, served, [answer(more), answer(more)]);
    expect(verdict).toMatchObject({ status: "proven", found: `an answer from ${upstream}` });
    expect(verdict.evidence).toContain("without a version path, proven by the container that answered");
  });

  it.each<[string, Partial<Answer>, string]>([
    ["another container", { headers: { [UPSTREAM_HEADER]: "web-old:80" } }, "web-old:80"],
    ["another program", { headers: {} }, "an answer that did not come through the edge"],
    ["a cache", { headers: { [UPSTREAM_HEADER]: upstream, age: "30" } }, "Age: 30"],
    ["nothing", { status: 0, headers: {}, error: "refused" }, "no answer (refused)"],
    ["the edge's own error", { status: 502, headers: {}, body: "" }, "status 502"],
    ["an error of the app", { status: 500, body: "" }, "status 500"],
  ])("is refused if it is answered by %s", (_, more, found) => {
    expect(answerVerdict(service, served, [answer(), answer(more)])).toMatchObject({
      link: "served",
      status: "broken",
      found,
    });
  });

  it("is refused if it was not asked", () => {
    expect(answerVerdict(service, served, [])).toMatchObject({ status: "broken" });
  });

  it("needs layers younger than the prune, and no commit file", () => {
    const facts = {
      id: "sha256:abc",
      layers: [{ where: "COPY . .", created: "2026-01-02T00:00:00Z" }],
      prunedAt: "2026-01-01T00:00:00Z",
      commitFile: "",
      content: undefined,
    };
    expect(imageVerdict("web", "c0ffee", facts)).toMatchObject({ status: "proven" });
    const old = [{ where: "COPY . .", created: "2025-01-02T00:00:00Z" }];
    expect(imageVerdict("web", "c0ffee", { ...facts, layers: old })).toMatchObject({
      status: "broken",
      wrong: "COPY . . came from the build cache",
    });
  });

  it("needs a Dockerfile in which the commit runs the sources' copy again", () => {
    const judge = (lines: string) =>
      dockerfileVerdict({
        service: "web",
        path: "Dockerfile",
        dockerfile: `FROM caddy:2.11\n${lines}COPY . /srv\n`,
        args: {},
        commitFile: "",
        contextFiles: ["Dockerfile", "index.html"],
      });
    const verdict = judge("");
    expect(verdict).toMatchObject({ link: "dockerfile", status: "broken" });
    const { remedy } = verdict as unknown as { remedy: string };
    const lines = remedy.split("\n").slice(1).join("\n");
    expect(lines).toBe('ARG GIT_COMMIT_HASH\nRUN test -n "$GIT_COMMIT_HASH"');
    expect(judge(`${lines}\n`)).toMatchObject({ status: "proven" });
  });
});

describe("static files", () => {
  const file = (more: Partial<ServedFile> = {}): ServedFile => ({
    url: "http://app/assets/a.js",
    file: "/srv/assets/a.js",
    hash: "aaaa",
    served: "aaaa",
    status: 200,
    isDeclared: true,
    ...more,
  });

  it.each<[string, ServedFile[], string | undefined]>([
    ["equal bytes", [file()], "proven"],
    ["other bytes", [file(), file({ served: "bbbb" })], "broken"],
    ["a file of assets that is not served", [file({ status: 404 })], "broken"],
    ["a file of the usual folder that is not served", [file({ isDeclared: false, status: 404 })], undefined],
    ["the entry page in its place", [file({ isDeclared: false, served: "entry" })], undefined],
    ["other bytes of the usual folder", [file({ isDeclared: false, served: "bbbb" })], "broken"],
    ["no files", [], undefined],
  ])("with %s: %#", (_, files, status) => {
    expect(staticVerdict("web", files, "entry")?.status).toBe(status);
  });

  it("are chosen over the whole folder, without those that a server may change", () => {
    const all = Array.from({ length: 100 }, (_, at) => `${String(at).padStart(3, "0")}.js`);
    const chosen = chosenFiles([...all, "page.php"], false);
    expect(chosen).toHaveLength(10);
    expect(chosen[0]).toBe("000.js");
    expect(chosen.at(-1)).toBe("099.js");
    expect(chosenFiles(["a.php"], true)).toEqual(["a.php"]);
  });
});
