import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import { parse } from "yaml";
import { TestApp } from "../support/app";

import program = require("../../index");

import { type Recorded, recordResources } from "../support/record";

const PROJECT = resolve(__dirname, "..", "..");

/** What the CLI hands to the program: the defaults of Pulumi.yaml, the stack's own values over them, objects as JSON. */
function configOf(stack: string, more: Record<string, unknown> = {}): Record<string, string> {
  const declared = parse(readFileSync(join(PROJECT, "Pulumi.yaml"), "utf8")).config as Record<
    string,
    { default: unknown }
  >;
  const defaults = Object.fromEntries(
    Object.entries(declared).map(([key, value]) => [`watch-party:${key}`, value.default]),
  );
  const own = parse(readFileSync(join(PROJECT, `Pulumi.${stack}.yaml`), "utf8")).config as Record<
    string,
    unknown
  >;
  const all = { ...defaults, ...own, ...more };
  return Object.fromEntries(
    Object.entries(all).map(([key, value]) => [
      key,
      typeof value === "string" ? value : JSON.stringify(value),
    ]),
  );
}

it.each(["dev", "staging", "prod"])("Pulumi.%s.yaml contains no encryption salt", (stack) => {
  // Plain `pulumi up` writes the salt of its user's passphrase there; committed, it locks everybody else out.
  const { config, ...others } = parse(readFileSync(join(PROJECT, `Pulumi.${stack}.yaml`), "utf8"));
  expect(others).toEqual({});
  expect(JSON.stringify(config)).not.toContain('"secure"');
});

describe("the program", () => {
  let app: TestApp;
  let commit: string;
  const before = process.cwd();
  const work = mkdtempSync(join(tmpdir(), "watch-party-contract-"));

  beforeAll(async () => {
    app = await TestApp.create("examples/watch-party");
    commit = await app.git("rev-parse", "HEAD");
    process.chdir(work);
  });
  afterAll(() => {
    process.chdir(before);
    app.remove();
    rmSync(work, { recursive: true, force: true });
  });

  const run = (stack: string, more: Record<string, unknown> = {}, lastDeploy?: Record<string, unknown>) =>
    recordResources(
      { stack, config: configOf(stack, { "watch-party:source": app.folder, ...more }), lastDeploy },
      () => program(),
    );
  const inventory = (resources: readonly Recorded[]) => resources.map(({ type, name }) => `${type} ${name}`);
  const find = (resources: readonly Recorded[], type: string, name: string) =>
    resources.find((each) => each.type === type && each.name === name)!.inputs;

  it("declares the same resources for dev and prod, except for the prune's machine", async () => {
    const expected = (command: string) => [
      `command:${command}:Command guests`,
      `command:${command}:Command prune`,
      "docker:index/container:Container backend",
      "docker:index/container:Container edge",
      "docker:index/container:Container frontend",
      "docker:index/image:Image backend",
      "docker:index/image:Image backend-builder",
      "docker:index/image:Image backend.dependencies",
      "docker:index/image:Image frontend",
      "docker:index/image:Image frontend-builder",
      "docker:index/image:Image frontend.dependencies",
      "docker:index/network:Network edge-network",
      "docker:index/volume:Volume backend-data",
      "docker:index/volume:Volume edge-certificates",
      "docker:index/volume:Volume edge-routes",
      "pulumi:providers:command commands",
      "pulumi:providers:docker engine",
      "pulumi:pulumi:StackReference last-deploy",
      "watch-party:index:BuildCachePrune prune",
      "watch-party:index:DependencyImage backend.dependencies",
      "watch-party:index:DependencyImage frontend.dependencies",
      "watch-party:index:Edge edge",
      "watch-party:index:FreshImage backend",
      "watch-party:index:FreshImage frontend",
      "watch-party:index:NetworkGuests guests",
      "watch-party:index:WebService backend",
      "watch-party:index:WebService frontend",
    ];
    expect(inventory((await run("dev")).resources)).toEqual(expected("local"));
    expect(inventory((await run("prod")).resources)).toEqual(expected("remote"));
  });

  it("builds both images from the exported commit with BuildKit, the commit, their own args and no cacheFrom", async () => {
    const { resources } = await run("dev");
    const context = `.work/dev/contexts/frontend/frontend-${commit.slice(0, 12)}`;
    expect(find(resources, "docker:index/image:Image", "frontend")).toEqual({
      imageName: `watch-party-dev-frontend:${commit.slice(0, 12)}`,
      skipPush: true,
      buildOnPreview: false,
      build: {
        context,
        dockerfile: `${context}/Dockerfile`,
        platform: "linux/amd64",
        builderVersion: "BuilderBuildKit",
        args: { GIT_COMMIT_HASH: commit, NODE_OPTIONS: "--max-old-space-size=2048" },
      },
    });
    expect(find(resources, "docker:index/image:Image", "backend").build.args).toEqual({
      GIT_COMMIT_HASH: commit,
    });
  });

  it("builds dependency images only from manifests and lockfiles, unchanged as long as those are", async () => {
    const of = async () =>
      find((await run("dev")).resources, "docker:index/image:Image", "frontend.dependencies");
    const image = await of();
    const { context } = image.build;
    expect(readdirSync(context).sort()).toEqual(["Dockerfile", "package-lock.json", "package.json"]);
    expect(image.imageName).toBe(`watch-party-dev-frontend.dependencies:${context.split("-").at(-1)}`);
    expect(image.build).toMatchObject({ target: "deps", args: {} });
    const before = await app.git("rev-parse", "HEAD");
    await app.commit({ "frontend/marker.txt": "another" });
    expect((await of()).build.context).toBe(context);
    await app.git("reset", "--quiet", "--hard", before);
  });

  it("prunes once per build, with the original's command", async () => {
    const { resources } = await run("dev");
    const prune = find(resources, "command:local:Command", "prune");
    expect(prune.create).toContain("docker builder prune -f)");
    expect(prune.triggers).toHaveLength(1);
    const purged = await run("dev", { "watch-party:buildCache": "purge" });
    expect(find(purged.resources, "command:local:Command", "prune").create).toContain(
      "docker builder prune -af)",
    );
  });

  it("prunes the server over ssh with a pinned host key, and keeps the private key out of the state", async () => {
    const server = { host: "server", user: "deploy", hostKey: "ssh-ed25519 AAAA" };
    const { resources } = await run("prod", { "watch-party:server": server, "watch-party:serverKey": "KEY" });
    const { connection } = find(resources, "command:remote:Command", "prune");
    const plain = connection.value ?? connection;
    expect(plain).toMatchObject({ host: "server", port: 22, user: "deploy", hostKey: "ssh-ed25519 AAAA" });
    const provider = find(resources, "pulumi:providers:docker", "engine");
    expect(provider.host).toBe("ssh://deploy@server:22");
    expect(JSON.parse(provider.sshOpts)).toEqual(expect.arrayContaining(["StrictHostKeyChecking=yes"]));
    expect(plain.agentSocketPath).toMatch(/agent$/);
    expect(JSON.stringify(resources)).not.toContain("KEY");
  });

  it("runs each service from its image's digest, without a fixed name, with limits and without privileges", async () => {
    const { resources } = await run("dev");
    const backend = find(resources, "docker:index/container:Container", "backend");
    expect(backend).toMatchObject({
      image: "sha256:backend",
      mustRun: true,
      restart: "always",
      memory: 1024,
      memorySwap: 1024,
      securityOpts: ["no-new-privileges:true"],
      capabilities: { drops: ["ALL"], adds: [] },
      logOpts: { "max-size": "10m", "max-file": "3" },
    });
    expect(backend).not.toHaveProperty("name");
    const [{ aliases }] = backend.networksAdvanced;
    expect(aliases).toEqual([
      expect.stringMatching(new RegExp(`^backend-${commit.slice(0, 7)}-[0-9a-f]{8}$`)),
      `${aliases[0].replace("backend-", "backend.")}.internal`,
    ]);
    expect(backend.dnsSearches[0]).toBe(aliases[1].replace("backend.", ""));
    const frontend = find(resources, "docker:index/container:Container", "frontend");
    expect(frontend.envs).toContain(`BACKEND_URL=http://${aliases[0]}:8000`);
  });

  it("publishes only the edge, at the configured address", async () => {
    const { resources } = await run("dev", { "watch-party:listen": "127.0.0.1:9090" });
    const published = resources.filter(({ inputs }) => inputs.ports !== undefined);
    expect(published.map(({ name }) => name)).toEqual(["edge"]);
    expect(published[0]!.inputs.ports).toEqual([{ internal: 80, external: 9090, ip: "127.0.0.1" }]);
    const tls = await run("dev", { "watch-party:domain": "app.example.org" });
    const { ports } = find(tls.resources, "docker:index/container:Container", "edge");
    expect(ports.map(({ external }: { external: number }) => external)).toEqual([80, 443]);
  });

  it("publishes no port behind a front, whose network knows its edge by all names", async () => {
    const { resources } = await run("dev", {
      "watch-party:behind": "front",
      "watch-party:domains": ["a.org", "b.org"],
      "watch-party:redirects": { "www.a.org": "a.org" },
      "watch-party:services": { web: { port: 1, route: "/", context: "frontend", hosts: ["api.a.org"] } },
    });
    expect(resources.filter(({ inputs }) => inputs.ports !== undefined)).toEqual([]);
    const edge = find(resources, "docker:index/container:Container", "edge");
    expect(edge.networksAdvanced.map(({ name }: { name: string }) => name)).toEqual([
      "edge-network-0000000",
      "watch-party-sites-front",
    ]);
    expect(edge.networksAdvanced[1].aliases.sort()).toEqual([
      "a.org.sites.internal",
      "api.a.org.sites.internal",
      "b.org.sites.internal",
      "www.a.org.sites.internal",
    ]);
  });

  it("is a front and nothing else with `front`, which reads no source", async () => {
    const { resources, outputs } = await run("dev", {
      "watch-party:front": "https",
      "watch-party:tls": "internal",
      "watch-party:source": "/nowhere",
      "watch-party:services": {},
    });
    expect(inventory(resources)).toEqual([
      "command:local:Command guests",
      "docker:index/container:Container front",
      "docker:index/network:Network front-network",
      "docker:index/volume:Volume front-certificates",
      "pulumi:providers:command commands",
      "pulumi:providers:docker engine",
      "watch-party:index:Front front",
      "watch-party:index:NetworkGuests guests",
    ]);
    expect(find(resources, "docker:index/network:Network", "front-network").name).toBe(
      "watch-party-sites-dev",
    );
    const { ports } = find(resources, "docker:index/container:Container", "front");
    expect(ports.map(({ external }: { external: number }) => external)).toEqual([80, 443]);
    expect(outputs).toEqual({ front: "https" });
  });

  it("runs the edges of a Swarm's other nodes as one service, which no new commit changes", async () => {
    const swarm = {
      "watch-party:cluster": "swarm",
      "watch-party:registry": { address: "r:5000", user: "u" },
      "watch-party:registryPassword": "s3cret",
      "watch-party:listen": "0.0.0.0:9090",
    };
    const alone = await run("dev", swarm);
    expect(inventory(alone.resources)).not.toContain("docker:index/service:Service edges");
    const edges = async () => {
      const { resources } = await run("dev", { ...swarm, "watch-party:edges": "node.labels.edge==true" });
      return find(resources, "docker:index/service:Service", "edges");
    };
    const of = await edges();
    expect(of).toMatchObject({
      mode: { global: true },
      endpointSpec: {
        mode: "dnsrr",
        ports: [{ protocol: "tcp", targetPort: 80, publishedPort: 9090, publishMode: "host" }],
      },
      taskSpec: {
        containerSpec: { mounts: [{ type: "volume", source: "watch-party-dev-edge", target: "/edge" }] },
        placement: { constraints: ["node.id!=unknown", "node.labels.edge==true"] },
      },
      updateConfig: { order: "stop-first", parallelism: 1 },
    });
    const before = await app.git("rev-parse", "HEAD");
    await app.commit({ "frontend/marker.txt": "one more" });
    expect(await edges()).toEqual(of);
    await app.git("reset", "--quiet", "--hard", before);
  });

  it("exports the outputs of the contract, and keeps the record of the deploy secret", async () => {
    const freshness = { schema: "watch-party/certificate/1" };
    const last = { freshness, seconds: { total: 1 }, record: { releases: [] } };
    const { outputs } = await run("dev", {}, last);
    expect(outputs).toMatchObject({
      url: "http://127.0.0.1:8080",
      commit,
      images: { frontend: "sha256:frontend", backend: "sha256:backend" },
      pruned: { text: "1.5GB", bytes: 1_500_000_000 },
      freshness: last.freshness,
      seconds: last.seconds,
    });
    expect(Object.keys(outputs).sort()).toEqual([
      "commit",
      "freshness",
      "images",
      "pruned",
      "record",
      "seconds",
      "url",
    ]);
  });

  it("declares any number of services, including workers without an address", async () => {
    const services = {
      web: { context: "frontend", port: 3000, route: "/" },
      worker: { context: "backend", secretEnv: { TOKEN: "s3cret" } },
    };
    const { resources } = await run("dev", { "watch-party:services": services });
    expect(inventory(resources).filter((name) => name.includes("Image "))).toEqual([
      "docker:index/image:Image web",
      "docker:index/image:Image web-builder",
      "docker:index/image:Image worker",
      "docker:index/image:Image worker-builder",
      "watch-party:index:FreshImage web",
      "watch-party:index:FreshImage worker",
    ]);
    const { envs } = find(resources, "docker:index/container:Container", "worker");
    expect(JSON.stringify(envs)).toContain("WEB_URL=http://web-");
    const components = resources.filter(({ type }) => type.startsWith("watch-party:"));
    expect(JSON.stringify(components)).not.toContain("s3cret");
  });

  it("refuses a wrong configuration with all its problems", async () => {
    await expect(run("dev", { "watch-party:buildCache": "x", "watch-party:bogus": "1" })).rejects.toThrow(
      /2 problems\n {2}watch-party:buildCache is "x".*\n {2}watch-party:bogus is not a key/,
    );
  });
});
