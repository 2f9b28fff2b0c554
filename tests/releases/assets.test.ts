import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import execa from "execa";
import { storeAssets } from "../../edge/assets";
import { DockerEngine } from "../../engine/docker";
import type { Deployment } from "../../proof/deployment";
import { TestApp } from "../support/app";
import { Browser, type Tab } from "../support/chromium";
import { FULL } from "../support/matrix";
import { TestStack } from "../support/stack";

/** The page loads a script when it is asked to; the script's name changes with its content. */
const PAGE = '<p>{message}</p><script>const load = () => import("{lazy}").then((it) => it.default)</script>';
const SERVED = `            elif (PUBLIC / path[1:]).is_file():
                self.answer(200, (PUBLIC / path[1:]).read_text(), "text/javascript", "max-age=31536000, immutable")
            elif path == "/version":`;
const BUILT = `
RUN mkdir -p /app/public/assets && cp lazy.js "/app/public/assets/lazy-$(sha256sum lazy.js | cut -c1-12).js"
`;

/** Links beside it, and other things that are no assets: only `own.js` leads to a file of the folder itself. */
const LINKS = `RUN cd /app/public/assets && printf 'a\\n' > plain.js && ln -s plain.js own.js && ln -s own.js again.js && \\
  ln -s /app/public/assets/plain.js whole.js && ln plain.js hard.js && mkfifo pipe.js && mkdir sub && \\
  n=0; for to in /edge/Caddyfile /edge/releases.json /data/caddy ../../../../edge/Caddyfile /etc/passwd . /; do \\
  n=$((n + 1)); ln -s "$to" "link-$n.js"; done && ln -s .. sub/up && touch "$(printf 'new\\nline.js')"
`;

/** One story: a page is left open while its release is replaced. */
describe("a page that was loaded before a deploy", () => {
  const profile = mkdtempSync(join(tmpdir(), "watch-party-profile-"));
  let app: TestApp;
  let stack: TestStack;
  let browser: Browser;
  let tab: Tab;
  const paths: string[] = [];

  const deploy = async (text: string) => {
    await app.commit({
      "frontend/lazy.js": `export default "${text}";\n`,
      "frontend/message.txt": `${text}\n`,
    });
    const outcome = await stack.up();
    if (!outcome.ok) throw new Error(outcome.said);
    const page = await (await fetch(`${stack.url}/`)).text();
    paths.push(/import\("([^"]+)"\)/.exec(page)![1]!);
  };
  const asset = async (path: string) => {
    const answer = await fetch(`${stack.url}${path}`);
    return { status: answer.status, text: await answer.text(), headers: answer.headers };
  };

  const inEdge = async (script: string) => {
    const edge = await stack.container("edge");
    return (await execa("docker", ["exec", edge, "sh", "-c", script])).stdout;
  };

  beforeAll(async () => {
    app = await TestApp.create();
    const server = app
      .read("frontend/server.py")
      .replace("<p>{message}</p>", PAGE)
      .replace("style=STYLE_PATH,", "style=STYLE_PATH, lazy=LAZY,")
      .replace('            elif path == "/version":', SERVED)
      .replace(
        "\nPAGE = ",
        '\nPUBLIC = Path("/app/public")\nLAZY = f"/assets/{next(PUBLIC.glob(\'assets/lazy-*\')).name}"\nPAGE = ',
      );
    const dockerfile = app.read("frontend/Dockerfile").replace("COPY . .\n", `COPY . .${BUILT}${LINKS}`);
    await app.commit({ "frontend/server.py": server, "frontend/Dockerfile": dockerfile });
    const assets = { "/assets": "/app/public/assets" };
    stack = await TestStack.create({
      source: app.folder,
      keepReleases: "3",
      services: { frontend: { assets }, backend: {} },
    });
    browser = new Browser(profile);
  });
  afterAll(async () => {
    await browser?.close();
    await stack?.remove();
    app?.remove();
    rmSync(profile, { recursive: true, force: true });
  });

  it("finds its own assets two deploys later", async () => {
    await deploy("one");
    tab = await browser.open(`${stack.url}/`);
    await deploy("two");
    await deploy("three");
    expect(new Set(paths).size).toBe(3);
    expect(await tab.evaluate("load()")).toBe("one");
    await tab.reload();
    expect(await tab.text()).toContain("three");
    expect(await tab.evaluate("load()")).toBe("three");
  });

  it("gets assets of earlier releases with a marking header, and its own without", async () => {
    const [old, own] = await Promise.all([asset(paths[0]!), asset(paths[2]!)]);
    expect(old.text).toBe('export default "one";\n');
    expect(old.headers.get("freshness-kept")).toBe("true");
    expect(old.headers.get("cache-control")).toContain("immutable");
    expect(own.headers.get("freshness-kept")).toBeNull();
  });

  it("gets only regular files: no link leads to a file of the edge", async () => {
    const served = await inEdge("cat /edge/assets/root");
    expect(await inEdge("find /edge/assets ! -type f ! -type d")).toBe("");
    const found = await inEdge(`cd ${served}/assets && find . -type f ! -name "lazy-*" | LC_ALL=C sort`);
    const names = ["./again.js", "./hard.js", "./new", "./own.js", "./plain.js", "./whole.js", "line.js"];
    expect(found.split("\n")).toEqual(names);
    expect(await inEdge(`cat ${served}/assets/again.js ${served}/assets/whole.js`)).toBe("a\na");
  });

  it("gets no asset of a release that is no longer kept or never existed", async () => {
    // As an earlier version of the program kept them.
    const all = '/edge/assets/kept/* "$(cat /edge/assets/root)"';
    await inEdge(`for of in ${all}; do ln -s /edge/Caddyfile "$of/assets/secret.js"; done`);
    expect((await asset("/assets/secret.js")).text).toContain("reverse_proxy");
    await deploy("four");
    expect((await asset("/assets/secret.js")).status).toBe(404);
    const found = await Promise.all(
      [...paths, "/assets/lazy-000000000000.js", "/assets/../releases.json"].map(asset),
    );
    expect(found.map(({ status }) => status)).toEqual([404, 200, 200, 200, 404, 404]);
  });

  it("keeps the assets of a release that is taken back", async () => {
    const { status, stderr } = await stack.command("rollback");
    expect({ status, stderr: status === 0 ? "" : stderr }).toEqual({ status: 0, stderr: "" });
    const found = await Promise.all(paths.map(asset));
    expect(found.map(({ status }) => status)).toEqual([404, 200, 200, 200]);
  });

  it("does not excuse a new page that names an earlier release's asset", async () => {
    const head = `<script src="${paths[1]}" type="module"></script></head>`;
    await app.commit({ "frontend/server.py": app.read("frontend/server.py").replace("</head>", head) });
    const { ok, said } = await stack.up();
    expect(said).toMatch(
      /freshness: browser of frontend: .* refers to missing assets; .*an earlier release's/s,
    );
    expect(ok).toBe(false);
    expect(await (await fetch(`${stack.url}/`)).text()).toContain("three");
  });

  // The engine copies a gigabyte.
  if (FULL)
    it("refuses a folder of more than 1 GiB, and keeps one with less", async () => {
      const engine = new DockerEngine();
      const { record } = (await stack.outputs()) as { record: { deployment: Deployment } };
      const { deployment } = record;
      const own = deployment.services.find(({ service }) => service.name === "frontend")?.container ?? "";
      const inOwn = (...args: string[]) => execa("docker", ["exec", "--user", "0", own, ...args]);
      const file = "/app/public/assets/whole-app.bin";
      await inOwn("truncate", "-s", "1100M", file);
      await expect(storeAssets(engine, deployment, "large")).rejects.toThrow(
        /the folder .*:\/app\/public\/assets\/\. has more than 1 GiB; let assets name a folder that holds only files with a hash in their names/,
      );
      await inOwn("rm", file);
      await storeAssets(engine, deployment, "large");
      expect(await inEdge("ls /edge/assets/kept/large/assets")).toContain("lazy-");
    });
});
