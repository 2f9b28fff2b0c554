/** The contract of docker.Image, from the series image-*. */

import { chmod, mkdir, rm, stat, utimes, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it, jest } from "@jest/globals";
import { CallError, Life, Plugin, type Props, type State } from "./client";
import { baseImage, cleanUp, context, docker, folder, mark, removeMarked } from "./world";

// Engines and servers are real, and may be slow on a small machine.
jest.setTimeout(60_000);

const type = "docker:index/image:Image";
let plugin: Plugin;
let project: string;
let base: string;

beforeAll(async () => {
  project = await folder();
  base = await baseImage();
  await context(base, join(project, "app"));
  plugin = await Plugin.start("docker", { cwd: project });
});

afterAll(async () => {
  await plugin?.stop();
  await removeMarked();
  await cleanUp();
});

/** More than is read in one go. */
const large = (end: string) => `${"x".repeat(2 * 1024 ** 2)}${end}`;

/** The inputs of the series, with what a case says otherwise. */
function inputs(build: Props = {}, other: Props = {}): Props {
  return {
    build: {
      args: { GIT_COMMIT_HASH: "c1", NODE_OPTIONS: "--max-old-space-size=2048" },
      builderVersion: "BuilderBuildKit",
      context: "app",
      platform: `linux/${process.arch === "x64" ? "amd64" : process.arch}`,
      ...build,
    },
    buildOnPreview: false,
    imageName: `${mark}/frontend`,
    skipPush: true,
    ...other,
  };
}

const check = (news: Props): Promise<Props> => plugin.check(type, "frontend", {}, news);
const digest = async (): Promise<string> => String(((await check(inputs())).build as Props).contextDigest);

it("supports previews but not secrets", () => {
  expect(plugin.features).toMatchObject({ supportspreview: true, supportsAutonamingConfiguration: true });
  expect(plugin.features).toMatchObject({
    acceptsecrets: false,
    acceptresources: false,
    acceptoutputs: false,
  });
});

describe("Check", () => {
  it("adds the digest of the context and the default Dockerfile, and nothing else", async () => {
    const news = inputs();
    expect(await check(news)).toEqual({
      ...news,
      build: {
        ...(news.build as Props),
        dockerfile: "app/Dockerfile",
        contextDigest: expect.stringMatching(/^[0-9a-f]{64}$/),
      },
    });
  });

  const missing = "no such file or directory";
  it.each([
    [
      "a Dockerfile",
      { dockerfile: "app/Nope" },
      `could not open dockerfile at relative path "app/Nope": stat app/Nope: ${missing}`,
    ],
    [
      "a context",
      { context: "nodir" },
      `could not open dockerfile at relative path "nodir/Dockerfile": stat nodir/Dockerfile: ${missing}`,
    ],
  ])("fails without %s, in a preview too", async (_, build, message) => {
    await expect(check(inputs(build))).rejects.toThrow(message);
  });

  it.each<[string, boolean, () => Promise<unknown>]>([
    ["the content of a file", true, () => writeFile(join(project, "app/app.txt"), "two\n")],
    [
      "the content of a file that keeps its size and its time",
      true,
      async () => {
        const file = join(project, "app/app.txt");
        const { atime, mtime } = await stat(file);
        await writeFile(file, "2wo\n");
        await utimes(file, atime, mtime);
      },
    ],
    ["the mode of a file", true, () => chmod(join(project, "app/app.txt"), 0o755)],
    ["a new file", true, () => writeFile(join(project, "app/new.txt"), "")],
    ["the times of a file", false, () => utimes(join(project, "app/app.txt"), 1, 1)],
    ["an empty folder", false, () => mkdir(join(project, "app/empty"))],
    ["rules that match no file", true, () => writeFile(join(project, "app/.dockerignore"), "logs\n*.tmp\n")],
    ["a large file", true, () => writeFile(join(project, "app/large"), large("a"))],
    ["the last byte of a large file", true, () => writeFile(join(project, "app/large"), large("b"))],
    ["a file that is ignored", false, () => writeFile(join(project, "app/x.tmp"), "x")],
    [
      "a folder that is ignored",
      false,
      () => mkdir(join(project, "app/logs")).then(() => writeFile(join(project, "app/logs/a"), "x")),
    ],
  ])("notices %s: %s", async (_, noticed, change) => {
    const before = await digest();
    await change();
    expect((await digest()) !== before).toBe(noticed);
  });
});

describe("Diff", () => {
  const cases: [string, Props, Props, Record<string, string>][] = [
    ["nothing", {}, {}, {}],
    [
      "a new commit: one key, an update and never a replacement",
      { args: { GIT_COMMIT_HASH: "c2" } },
      {},
      { build: "UPDATE" },
    ],
    ["the Dockerfile", { dockerfile: "app/Dockerfile.bad" }, {}, { build: "UPDATE" }],
    ["the path of the context", { context: "./app" }, {}, { build: "UPDATE" }],
    ["the target", { target: "deps" }, {}, { build: "UPDATE" }],
    ["a push", {}, { skipPush: false }, { skipPush: "UPDATE" }],
    ["another name", {}, { imageName: "other" }, { imageName: "UPDATE" }],
  ];

  it.each(cases)("%s", async (_, build, other, detailedDiff) => {
    const old = { build: { ...(inputs().build as Props), dockerfile: "app/Dockerfile", contextDigest: "d" } };
    const before = { ...inputs(), ...old };
    const after = { ...inputs({ dockerfile: "app/Dockerfile", contextDigest: "d", ...build }, other) };
    const state: State = {
      id: "x",
      inputs: before,
      properties: { __inputs: before, repoDigest: "sha256:1" },
    };
    const some = Object.keys(detailedDiff).length > 0;
    expect(await plugin.diff(type, "frontend", state, after)).toEqual({
      changes: some ? "DIFF_SOME" : "DIFF_NONE",
      detailedDiff,
      hasDetailedDiff: some,
      diffs: [],
      replaces: [],
      deleteBeforeReplace: false,
    });
  });
});

describe("an image through its life", () => {
  let frontend: Life;
  beforeAll(async () => {
    await rm(join(project, "app"), { recursive: true });
    await context(base, join(project, "app"));
    frontend = new Life(plugin, type, "frontend");
  });

  it("a preview returns the inputs, without ID, and builds nothing", async () => {
    const news = await check(inputs());
    expect(await plugin.create(type, "frontend", news, true)).toMatchObject({ id: "", properties: news });
    expect(await docker("images", "-q", `${mark}/frontend`)).toBe("");
  });

  it("builds: the digest is the ID of the image, the inputs are kept as a secret", async () => {
    expect(await frontend.up(inputs())).toBe("create");
    expect(frontend.state).toMatchObject({ id: `${mark}/frontend` });
    const { __inputs, ...outputs } = frontend.state?.properties ?? {};
    expect(__inputs).toMatchObject({
      "4dabf18193072939515e22adb298388d": "1b47061264138c4ac30d75fd1eb44270",
    });
    expect(outputs).toEqual({
      baseImageName: `${mark}/frontend`,
      context: "app",
      dockerfile: "Dockerfile",
      imageName: `${mark}/frontend`,
      platform: (inputs().build as Props).platform,
      registryServer: "",
      repoDigest: await docker("image", "inspect", "--format", "{{.Id}}", `${mark}/frontend`),
    });
    // The engine gives secrets back to the plugin without their mark, as it never said that it takes them.
    (frontend.state as State).properties.__inputs = frontend.state?.inputs ?? {};
  });

  it("a second up changes nothing", async () => {
    expect(await frontend.up(inputs())).toBe("same");
  });

  it("a new commit is an update with a new digest under the same name", async () => {
    const before = frontend.state?.properties;
    expect(await frontend.up(inputs({ args: { GIT_COMMIT_HASH: "c2" } }))).toBe("update");
    expect(frontend.state?.properties.imageName).toBe(before?.imageName);
    expect(frontend.state?.properties.repoDigest).not.toBe(before?.repoDigest);
    expect(await docker("run", "--rm", String(frontend.state?.properties.repoDigest), "cat", "/commit")).toBe(
      "c2",
    );
    (frontend.state as State).properties.__inputs = frontend.state?.inputs ?? {};
  });

  it("several images are built at once", async () => {
    const names = ["one", "two", "three"].map((name) => `${mark}/${name}`);
    const made = await Promise.all(
      names.map(async (imageName) => plugin.create(type, "image", await check(inputs({}, { imageName })))),
    );
    expect(made.map(({ id }) => id)).toEqual(names);
  });

  it("a refresh reconciles nothing, even if the image is gone", async () => {
    const before = frontend.state;
    await docker("rmi", "-f", `${mark}/frontend`);
    expect(await frontend.refresh()).toEqual(before);
  });

  it("a failed build reports the cause, keeps the old state, and the next build succeeds", async () => {
    await writeFile(
      join(project, "app/Dockerfile.bad"),
      `FROM ${base}\nARG SIGNING_TOKEN\nRUN echo "before $SIGNING_TOKEN"; exit 7\n`,
    );
    const before = frontend.state;
    const bad = inputs({ dockerfile: "app/Dockerfile.bad", args: { SIGNING_TOKEN: "hunter2hunter2" } });
    const failure = await frontend.up(bad).then(
      () => undefined,
      (error: unknown) => error,
    );
    expect(failure).toBeInstanceOf(CallError);
    expect(String(failure)).toMatch(/error reading build output: .*exit code: 7/);
    expect(String(failure)).not.toContain("hunter2hunter2");
    expect(frontend.state).toBe(before);
    expect(await frontend.up(inputs({ args: { GIT_COMMIT_HASH: "c3" } }))).toBe("update");
  });

  it("deleting it removes nothing", async () => {
    const id = String(frontend.state?.properties.repoDigest);
    await frontend.destroy();
    expect(await docker("image", "inspect", "--format", "{{.Id}}", id)).toBe(id);
  });
});
