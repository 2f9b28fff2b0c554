import {
  copyFileSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join, resolve } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import execa from "execa";
import type { Verdict } from "../../freshness/chain";
import { PACKAGE } from "../../freshness/package";
import { paths } from "../../toolchain/paths";
import { TestApp } from "../support/app";
import { freePort } from "../support/stack";

const PROJECT = resolve(__dirname, "..", "..");
const { toolchain, bin } = paths();

interface Packed {
  readonly filename: string;
  readonly files: readonly { readonly path: string }[];
}

/** The packed package, installed into an app's own repository, which uses nothing else of this checkout. */
describe("the npm package in an app's own repository", () => {
  let app: TestApp;
  let folder: string;
  let packed: Packed;
  const npx = (...args: string[]) => npxIn(app.folder, ...args);
  const env = {
    PATH: [bin, process.env.PATH].join(delimiter),
    WATCH_PARTY_TOOLCHAIN: toolchain,
    PULUMI_BACKEND_URL: undefined,
    PULUMI_CONFIG_PASSPHRASE: undefined,
    PULUMI_CONFIG_PASSPHRASE_FILE: undefined,
  };
  const npxIn = (cwd: string, ...args: string[]) =>
    execa("npx", ["--no-install", PACKAGE, ...args], {
      cwd,
      reject: false,
      input: "",
      env,
    });
  /** Runs the step of the composite action, as a job of the app's repository does. */
  const runAction = async (stack: string) => {
    const output = join(folder, "output");
    const given = { FOLDER: app.folder, STACK: stack, FROM_STACK: "", RUNNER_TEMP: folder };
    const step = join(PROJECT, ".github", "actions", "deploy", "run");
    await execa(step, { input: "", env: { ...env, ...given, GITHUB_OUTPUT: output } });
    return Object.fromEntries(
      readFileSync(output, "utf8")
        .trim()
        .split("\n")
        .map((line) => line.split(/=(.*)/).slice(0, 2)),
    );
  };
  const files = () => readdirSync(app.folder).filter((name) => !/^(\.git|node_modules)$/.test(name));
  const page = async (url: string) => (await fetch(url)).text();

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), "watch-party-package-"));
    await execa(join(PROJECT, ".ci", "pack"), { env: { OUT: folder } });
    [packed] = JSON.parse(readFileSync(join(folder, "pack.json"), "utf8"));
    app = await TestApp.create();
    const install = ["install", "--prefer-offline", "--no-audit", "--no-fund", "--ignore-scripts"];
    await execa("npm", [...install, join(folder, packed.filename)], { cwd: app.folder });
  });

  afterAll(async () => {
    await npx("pulumi", "destroy", "--yes", "--stack", "dev");
    app.remove();
    rmSync(folder, { recursive: true, force: true });
  });

  it("ships compiled code and its declarations alone", () => {
    const kinds = packed.files.map(({ path }) =>
      path.replace(/^dist\/.*?(\.d\.ts|\.js|\.json)$/, "dist/*$1"),
    );
    expect([...new Set(kinds)].sort()).toEqual(
      ["LICENSE", "README.md", "dist/*.d.ts", "dist/*.js", "dist/*.json", "package.json"].sort(),
    );
    const foreign = /stand-ins|\/tests?\/|\.test\.|bench|^docs\/|examples/;
    expect(packed.files.map(({ path }) => path).filter((path) => foreign.test(path))).toEqual([]);
  });

  it("comes with its bill of materials, and is not packed under another version's tag", async () => {
    const { components } = JSON.parse(readFileSync(join(folder, "sbom.json"), "utf8"));
    expect(components).toContainEqual(
      expect.objectContaining({ name: "@pulumi/pulumi", version: "3.259.0" }),
    );
    const env = { OUT: folder, TAG: "v99.0.0" };
    const { exitCode, stderr } = await execa(join(PROJECT, ".ci", "pack"), { env, reject: false });
    expect([exitCode, stderr]).toEqual([1, expect.stringContaining("the tag is v99.0.0, package.json has")]);
  });

  it("lists its commands without loading them", async () => {
    const { stdout } = await npx("--help");
    for (const name of ["init", "up", "preview", "verify", "rollback", "doctor", "pulumi"])
      expect(stdout).toMatch(new RegExp(`^ {2}${name} `, "m"));
    const tried = await npx("deploy");
    expect([tried.exitCode, tried.stderr]).toEqual([2, expect.stringContaining('"deploy" is not a command')]);
  });

  it("takes less than 0.3 s of a processor for --help", async () => {
    const script = join(app.folder, "node_modules", PACKAGE, "dist", "cli", "bin.js");
    // The second line of `times` has the user and system time of the shell's children.
    const { stdout } = await execa("bash", [
      "-c",
      '"$0" "$1" --help > /dev/null; times',
      process.execPath,
      script,
    ]);
    const spent = [...(stdout.split("\n")[1] ?? "").matchAll(/(\d+)m([\d.]+)s/g)];
    expect(spent).toHaveLength(2);
    const seconds = spent.reduce((sum, [, minutes, rest]) => sum + Number(minutes) * 60 + Number(rest), 0);
    expect(seconds).toBeLessThan(0.3);
  });

  it("says that a folder without a project needs init", async () => {
    const { exitCode, stderr } = await npx("up");
    expect([exitCode, stderr]).toEqual([2, expect.stringContaining(`run "npx ${PACKAGE} init"`)]);
  });

  it("shows the files of a new project and writes none without a yes", async () => {
    const before = files();
    const { exitCode, stderr } = await npx("init");
    expect([exitCode, files()]).toEqual([2, before]);
    expect(stderr).toContain("\n+  name: nodejs\n");
    expect(stderr).toContain("guessed  backend: listens on 8000");
    expect(stderr).toContain("accept the changes above with --yes");
  });

  it("writes the project with --yes, and leaves it alone afterwards", async () => {
    const before = files();
    await npx("init", "--yes");
    expect(files().filter((name) => !before.includes(name))).toEqual(
      [".github", ".gitignore", "Pulumi.dev.yaml", "Pulumi.yaml", "index.js"].sort(),
    );
    const name = /^name: (.*)$/m.exec(app.read("Pulumi.yaml"))?.[1];
    expect(app.read("Pulumi.dev.yaml")).toContain(`  ${name}:services:\n`);
    writeFileSync(join(app.folder, "index.js"), `${app.read("index.js")}// mine\n`);
    expect((await npx("init", "--yes")).stderr).toContain("wrote    nothing");
    expect(app.read("index.js")).toMatch(/mine\n$/);
  });

  it("deploys the committed app, proves it, and deploys the next commit", async () => {
    // Of another project, whose stack has the same name.
    const labels = ["watch-party.stack=dev", "watch-party.service=frontend"].flatMap((label) => [
      "--label",
      label,
    ]);
    const sleeper = ["run", "--detach", "--rm", ...labels, "python:3.11-slim-bookworm", "sleep", "600"];
    const { stdout: other } = await execa("docker", sleeper);
    // Not the default, which a command that misses the configuration would ask.
    await npx("pulumi", "config", "set", "listen", `127.0.0.1:${await freePort()}`, "--stack", "dev");
    await app.commit({});
    const first = await npx("up");
    expect([first.exitCode, first.stderr]).toEqual([0, expect.anything()]);
    for (const line of ["Building from commit: ", "Pruning Docker build cache…", "Total reclaimed space: "])
      expect(first.stdout).toContain(line);
    const [, url = "", commit] = /^(http\S+) serves (\w+)$/m.exec(first.stdout) ?? [];
    expect(JSON.parse(await page(`${url}/version`))).toEqual({ commit });
    // The next commit's checkout is as clean as this one's.
    expect(await app.git("status", "--porcelain")).toBe("");

    // As a job of the app's own repository does, with the composite action.
    const next = await app.commit({ "frontend/message.txt": "the next one\n" });
    const output = await runAction("dev");
    expect(output).toMatchObject({ url, commit: next });
    const { links } = JSON.parse(readFileSync(output.certificate, "utf8")) as { links: Verdict[] };
    expect(links.filter(({ status }) => status !== "proven")).toEqual([]);
    expect(await page(url)).toContain("the next one");
    await execa("docker", ["rm", "--force", other]);
    const verified = await npx("verify");
    expect([verified.exitCode, verified.stdout]).toEqual([0, expect.stringContaining(`serves ${next}`)]);
  });

  it("gives other Pulumi programs its components", async () => {
    const other = await TestApp.create();
    const example = join(PROJECT, "examples", "components", "index.js");
    copyFileSync(example, join(other.folder, "index.js"));
    symlinkSync(join(app.folder, "node_modules"), join(other.folder, "node_modules"));
    const runtime = "runtime:\n  name: nodejs\n  options:\n    typescript: false\n";
    await other.commit({ "Pulumi.yaml": `name: other\nmain: index.js\n${runtime}` });
    const pulumi = (...args: string[]) => npxIn(other.folder, "pulumi", ...args);
    await pulumi("stack", "init", "dev");
    const { exitCode, stdout } = await pulumi("up", "--yes", "--skip-preview", "--stack", "dev");
    expect([exitCode, stdout]).toEqual([0, expect.stringMatching(/frontend *: "sha256:[0-9a-f]{64}"/)]);
    expect(stdout).toMatch(/command:local:Command prune created/);
    await pulumi("destroy", "--yes", "--stack", "dev");
    other.remove();
  });

  it("gives other Pulumi programs a component that proves a service, and refuses stale bytes", async () => {
    const other = await TestApp.create();
    copyFileSync(join(PROJECT, "examples", "service", "index.js"), join(other.folder, "index.js"));
    symlinkSync(join(app.folder, "node_modules"), join(other.folder, "node_modules"));
    const runtime = "runtime:\n  name: nodejs\n  options:\n    typescript: false\n";
    const address = `127.0.0.1:${await freePort()}`;
    const commit = await other.commit({
      ".gitignore": "node_modules\nPulumi.*.yaml\n.work\n.state\n",
      "Pulumi.yaml": `name: single\nmain: index.js\n${runtime}`,
    });
    const pulumi = (...args: string[]) => npxIn(other.folder, "pulumi", ...args, "--stack", "single");
    const up = () => pulumi("up", "--yes", "--skip-preview", "--diff");
    const served = async () => (await (await fetch(`http://${address}/version`)).json()) as unknown;
    await npxIn(other.folder, "pulumi", "stack", "init", "single");
    await pulumi("config", "set", "listen", address);
    // A first release that is refused leaves an edge, which the next one needs.
    await other.commit({ "backend/EXIT": "" });
    const refused = await up();
    expect([refused.exitCode, `${refused.stdout}${refused.stderr}`]).toEqual([
      1,
      expect.stringMatching(/freshness: container of api: /),
    ]);
    await other.git("reset", "--quiet", "--hard", commit);
    const first = await up();
    expect([first.exitCode, first.stdout]).toEqual([
      0,
      expect.stringContaining("Pruning Docker build cache…"),
    ]);
    const { stdout: outputs } = await pulumi("stack", "output", "--json");
    const { url, freshness } = JSON.parse(outputs);
    expect([url, freshness.commit]).toEqual([`http://${address}`, commit]);
    expect(freshness.links.map(({ link, status }: Verdict) => `${link} ${status}`)).toEqual(
      // The app's API has no page at /.
      [
        ...["commit", "dockerfile", "cache", "image", "bytes", "container", "served"].map(
          (link) => `${link} proven`,
        ),
        "browser not checked",
      ],
    );
    expect(await served()).toEqual({ commit });
    // What somebody has stopped is started again, without a build.
    const running = async (service: string) => {
      const labels = ["stack=single/single/api", `service=${service}`].flatMap((label) => [
        "--filter",
        `label=watch-party.${label}`,
      ]);
      return (await execa("docker", ["ps", "--quiet", ...labels])).stdout;
    };
    const before = await running("api");
    for (const service of ["api", "edge"]) await execa("docker", ["stop", await running(service)]);
    const again = await up();
    expect([again.exitCode, await served()]).toEqual([0, { commit }]);
    expect(`${again.stdout}${again.stderr}`).not.toContain("Image: (replace)");
    expect(["", before]).not.toContain(await running("api"));
    // The same again changes nothing, and is proven.
    const same = await up();
    expect([same.exitCode, same.stdout]).toEqual([0, expect.stringMatching(/Resources:\s+\d+ unchanged\n/)]);

    // The bytes of the commit before, under the new commit.
    const dockerfile = other.read("backend/Dockerfile");
    const old = other.read("backend/message.txt").trim();
    await other.commit({
      "backend/Dockerfile": dockerfile.replace(/^COPY \. \.$/m, `$&\nRUN echo '${old}' > message.txt`),
      "backend/message.txt": "new\n",
    });
    const stale = await up();
    expect([stale.exitCode, `${stale.stdout}${stale.stderr}`]).toEqual([
      1,
      expect.stringMatching(/freshness: bytes of api: /),
    ]);
    expect(await served()).toEqual({ commit });

    const next = await other.commit({ "backend/Dockerfile": dockerfile });
    const twin = await up();
    expect([twin.exitCode, twin.stdout, await served()]).toEqual([0, expect.anything(), { commit: next }]);
    await pulumi("destroy", "--yes", "--skip-preview");
    other.remove();
  });

  it("refuses an argument that the component does not have, before it is in any state", async () => {
    const other = await TestApp.create();
    symlinkSync(join(app.folder, "node_modules"), join(other.folder, "node_modules"));
    const args = '{ context: "backend", port: 8000, secretEnv: { TOKEN: "n0t-for-the-state" } }';
    const uses = 'const { FreshService } = require("fresh-deploy/components");';
    await other.commit({
      "index.js": `${uses}\nnew FreshService("api", ${args});\n`,
      "Pulumi.yaml":
        "name: extra\nmain: index.js\nruntime:\n  name: nodejs\n  options:\n    typescript: false\n",
    });
    const pulumi = (...words: string[]) => npxIn(other.folder, "pulumi", ...words, "--stack", "extra");
    await npxIn(other.folder, "pulumi", "stack", "init", "extra");
    const { exitCode, stdout } = await pulumi("up", "--yes", "--skip-preview");
    expect([exitCode, stdout]).toEqual([
      1,
      expect.stringContaining("FreshService api: not an argument: secretEnv; allowed: context, port, "),
    ]);
    expect((await pulumi("stack", "export")).stdout).not.toContain("n0t-for-the-state");
    other.remove();
  });

  it("previews no stack of a mistyped name, and makes none", async () => {
    const { exitCode, stderr } = await npx("preview", "--stack", "typo");
    expect([exitCode, stderr]).toEqual([2, expect.stringContaining("stacks with a file: dev")]);
    expect((await npx("pulumi", "stack", "ls")).stdout).not.toContain("typo");
  });

  it("refuses stale code in the words of this project", async () => {
    await app.commit({
      "backend/Dockerfile": app.read("backend/Dockerfile").replace(/^RUN .*COMMIT.*$/gm, ""),
    });
    const { exitCode, stderr } = await npx("up");
    expect([exitCode, stderr]).toEqual([1, expect.stringMatching(/freshness: \w+ of backend: /)]);
    expect(stderr).not.toMatch(/watch-party:|npm run/);
    expect((await npx("verify")).exitCode).toBe(0);
  });
});
