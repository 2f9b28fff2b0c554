import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import execa from "execa";
import { TestApp } from "../support/app";
import { underLoad } from "../support/load";
import { type Outcome, TestStack } from "../support/stack";

/** One story on a real engine: three releases, back by one, held, and on again. */
describe("a rollback", () => {
  const commits: string[] = [];
  let app: TestApp;
  let stack: TestStack;

  beforeAll(async () => {
    app = await TestApp.create();
    stack = await TestStack.create({ source: app.folder, keepReleases: "2" });
  });
  afterAll(async () => {
    await stack?.remove();
    app?.remove();
  });

  const good = async (outcome: Promise<Outcome>) => {
    const done = await outcome;
    if (!done.ok) throw new Error(done.said);
    return done;
  };
  const deploy = async (text: string) => {
    commits.push(await app.commit({ "backend/message.txt": `${text}\n` }));
    return good(stack.up());
  };
  const served = async () => {
    const answers = [".freshness/frontend", ".freshness/backend", "api/hello"].map(async (path) =>
      (await fetch(`${stack.url}/${path}`)).text(),
    );
    const [frontend, backend, text] = await Promise.all(answers);
    return [JSON.parse(frontend!).commit, JSON.parse(backend!).commit, text!.trim()];
  };
  const images = (changes: Outcome["changes"]) =>
    Object.entries(changes).filter(([name, op]) => /^(Image|Command)/.test(name) && op !== "delete");
  const releases = async () => JSON.parse((await stack.command("releases", "--json")).stdout);

  it("reports that no release exists before the first deploy", async () => {
    const { status, stderr } = await stack.command("report");
    expect(stderr).toContain("has no deployment that succeeded");
    expect(status).toBe(1);
  });

  it("is limited to the kept releases, and says so", async () => {
    const none = await stack.command("rollback");
    expect(none.status).toBe(1);
    expect(none.stderr).toContain("has no deployment that succeeded");
    await deploy("one");
    const first = await stack.command("rollback");
    expect(first.status).toBe(1);
    expect(first.stderr).toContain("there is no release before");
    await deploy("two");
    await deploy("three");
    expect(await releases()).toMatchObject([
      { commit: commits[2], running: true, by: expect.stringMatching(/./), seconds: expect.any(Number) },
      { commit: commits[1], running: false, images: { backend: expect.stringMatching(/^sha256:/) } },
    ]);
    const { stdout } = await execa("docker", ["image", "ls", "--format", "{{.Repository}}:{{.Tag}}"]);
    const tags = stdout.split("\n").filter((tag) => tag.startsWith(`watch-party-${stack.name}-backend`));
    expect(tags.map((tag) => tag.split(":")[1]).sort()).toEqual(
      [commits[1]!.slice(0, 12), commits[2]!.slice(0, 12)].sort(),
    );
    const gone = await stack.command("rollback", "--to", commits[0]!);
    expect(gone.status).toBe(2);
    expect(gone.stderr).toContain(
      `there is no release ${commits[0]}; kept are: ${commits[2]!.slice(0, 12)}, `,
    );
  });

  it("builds nothing, fails no request, is proven like a deploy, and lists the commits that it leaves", async () => {
    const { result, ...load } = await underLoad([stack.url, `${stack.url}/api/hello`], () =>
      stack.command("rollback", "--json"),
    );
    expect(result.stderr).toContain(
      `rolling back from ${commits[2]!.slice(0, 12)} to ${commits[1]!.slice(0, 12)}`,
    );
    expect(result.stderr).toMatch(/left behind:\n {2}[0-9a-f]+ change/);
    expect(result.stderr).not.toContain("Pruning");
    expect(result.status).toBe(0);
    expect(load.failures).toEqual([]);
    expect(await served()).toEqual([commits[1], commits[1], "two"]);
    const certificate = JSON.parse(result.stdout);
    expect(certificate).toMatchObject({ commit: commits[1], stack: stack.name });
    const links = certificate.links.map(({ link }: { link: string }) => link);
    expect([...new Set(links)]).toEqual(
      "commit dockerfile cache image bytes container served browser".split(" "),
    );
    expect(certificate.links.every(({ status }: { status: string }) => status === "proven")).toBe(true);
    expect(await releases()).toMatchObject([
      { commit: commits[2], running: false, rolledBack: true },
      { commit: commits[1], running: true },
    ]);
    expect((await stack.verify()).status).toBe(0);
  });

  it("is not undone by a plain up or an older commit, and stays a no-op", async () => {
    const held = await good(stack.up());
    expect(held.said).toContain(
      `held at ${commits[1]!.slice(0, 12)} since the rollback from ${commits[2]!.slice(0, 12)}`,
    );
    expect(held.changes).toEqual({});
    await app.git("checkout", "--quiet", commits[0]!);
    expect((await good(stack.up())).changes).toEqual({});
    await app.git("checkout", "--quiet", "main");
    expect(await served()).toEqual([commits[1], commits[1], "two"]);
  });

  it("ends with the next commit, which is built and proven", async () => {
    const { changes } = await deploy("four");
    expect(images(changes).map(([name]) => name)).toContain("Image backend");
    expect(await served()).toEqual([commits[3], commits[3], "four"]);
    expect((await good(stack.up())).changes).toEqual({});
  });

  it("ends with --resume of the commit that it left", async () => {
    expect((await stack.command("rollback", "--to", commits[2]!.slice(0, 10))).status).toBe(0);
    expect(await served()).toEqual([commits[2], commits[2], "three"]);
    process.env.WATCH_PARTY_RESUME = "1";
    try {
      await good(stack.up());
    } finally {
      delete process.env.WATCH_PARTY_RESUME;
    }
    expect(await served()).toEqual([commits[3], commits[3], "four"]);
    expect((await good(stack.up())).changes).toEqual({});
  });

  it("is refused if the release's image is gone, and changes nothing", async () => {
    const name = `watch-party-${stack.name}-backend:${commits[2]!.slice(0, 12)}`;
    await execa("docker", ["image", "rm", "--force", name]);
    const { status, stderr } = await stack.command("rollback", "--to", commits[2]!);
    expect(stderr).toContain(`release ${commits[2]!.slice(0, 12)} has no image of backend on this engine`);
    expect(status).toBe(1);
    expect(await served()).toEqual([commits[3], commits[3], "four"]);
    expect((await stack.verify()).status).toBe(0);
  });

  it("is shown in the report, with the running release and broken links", async () => {
    const file = join(stack.folder, ".work", stack.name, "report.html");
    const { status, stdout } = await stack.command("report");
    expect({ status, stdout }).toEqual({ status: 0, stdout: file });
    const text = readFileSync(file, "utf8");
    expect(text).toMatch(/<strong>All \d+ proofs hold/);
    expect(text).toMatch(new RegExp(`${commits[3]!.slice(0, 12)}.*<td>running</td>`));
    await execa("docker", ["stop", "--time", "1", await stack.container("backend")]);
    const broken = await stack.command("report");
    expect(broken.status).toBe(1);
    expect(readFileSync(file, "utf8")).toMatch(/<strong>\d+ of \d+ proofs are broken/);
  });
});
