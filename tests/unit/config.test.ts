import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, describe, expect, it } from "@jest/globals";
import { parseConfig } from "../../config";
import { variablesOf } from "../../config/environmentKeys";
import { problemsForUp } from "../../config/problems";
import { secretsOf } from "../../config/secrets";
import { ConfigError } from "../../config/types";

function problems(raw: Record<string, unknown>): readonly string[] {
  try {
    parseConfig(raw);
  } catch (error) {
    if (error instanceof ConfigError) return error.problems;
    throw error;
  }
  return [];
}

const swarm = { cluster: "swarm", registry: { address: "r:5000", user: "u" } };

describe("parseConfig", () => {
  it("has a default for every key, with the frontend and the backend of the original app", () => {
    const config = parseConfig({});
    expect(config).toMatchObject({
      source: "examples/watch-party",
      commit: "HEAD",
      uncommitted: "refuse",
      buildCache: "prune",
      listen: { address: "127.0.0.1", port: 8080 },
      publicUrl: "http://127.0.0.1:8080",
      keepReleases: 5,
      platform: "linux/amd64",
    });
    expect(config.server).toBeUndefined();
    expect(config.services).toMatchObject([
      { name: "frontend", context: "frontend", port: 3000, route: "/", health: "/", version: "/version" },
      {
        name: "backend",
        context: "backend",
        port: 8000,
        route: "/api",
        health: "/healthz",
        commitFile: "/app/COMMIT",
      },
    ]);
  });

  it("treats empty values, the defaults of Pulumi.yaml, as absent", () => {
    const empty = { server: "{}", services: "{}", domain: "", publicUrl: "", serverKey: "" };
    expect(parseConfig(empty)).toEqual(parseConfig({}));
  });

  it("reads values as `pulumi config set` stores them", () => {
    const config = parseConfig({
      keepReleases: "3",
      services: '{"api":{"port":"9000","route":"/api","readOnly":"true"}}',
    });
    expect(config.keepReleases).toBe(3);
    expect(config.services).toMatchObject([{ name: "api", port: 9000, readOnly: true }]);
  });

  it("keeps numbers and booleans of args and env as text", () => {
    const [service] = parseConfig({
      services: { frontend: { args: { N: 1 }, env: { DEBUG: false } } },
    }).services;
    expect(service).toMatchObject({ args: { N: "1" }, env: { DEBUG: "false" } });
  });

  it.each([
    [{ listen: "0.0.0.0:80", server: { host: "s", user: "u" } }, "http://s"],
    [{ listen: "0.0.0.0:8080" }, "http://127.0.0.1:8080"],
    [{ domain: "app.example.org" }, "https://app.example.org"],
    // The names of other scripts as DNS has them, such as one below .рф.
    [{ domain: "xn--e1afmkfd.xn--p1ai" }, "https://xn--e1afmkfd.xn--p1ai"],
    [{ publicUrl: "https://app.example.org/" }, "https://app.example.org"],
  ])("derives the public address of %j", (raw, url) => {
    expect(parseConfig(raw).publicUrl).toBe(url);
  });

  it.each<[Record<string, unknown>, string]>([
    [
      { services: { web: { env: { "A B": "x" } } } },
      "env.A B is not a valid name; allowed: a name of letters, digits, _, . and -",
    ],
    [{ bogus: 1 }, "watch-party:bogus is not a key; allowed: source, commit, "],
    [{ buildCache: "never" }, 'watch-party:buildCache is "never"; allowed: prune, purge'],
    [{ keepReleases: 0 }, "watch-party:keepReleases is 0; allowed: a whole number from 1 to 1000"],
    [{ listen: "8080" }, 'watch-party:listen is "8080"; allowed: address:port'],
    [
      { listen: "127.0.0.1:70000" },
      'watch-party:listen is "127.0.0.1:70000"; allowed: a port from 1 to 65535',
    ],
    [{ publicUrl: "ftp://x" }, 'watch-party:publicUrl is "ftp://x"; allowed: an http or https URL'],
    [{ server: { host: "s" } }, "watch-party:server.user is missing"],
    [{ registry: { address: "r.example.org" } }, "watch-party:registry.user is missing"],
    [
      { registry: { address: "team/app", user: "u" } },
      'watch-party:registry.address is "team/app"; allowed: host[:port][/prefix]',
    ],
    [
      { registry: { address: "https://r.example.org", user: "u" } },
      'watch-party:registry.address is "https://r.example.org"; allowed: host[:port][/prefix]',
    ],
    [
      { registry: { address: "r.example.org:70000", user: "u" } },
      'watch-party:registry.address is "r.example.org:70000"; allowed: a port',
    ],
    [
      { registry: { address: "r.example.org", user: "u", password: "s3cret" } },
      "watch-party:registry.password is not a key; allowed: address, user",
    ],
    [{ services: { edge: {} } }, "watch-party:services.edge is the name of the edge; allowed: a name of its"],
    [{ domain: "example.xn--" }, 'watch-party:domain is "example.xn--"; allowed: a domain name'],
    [
      { services: { web: { volumes: { a: "/data", b: "/data/" } } } },
      'watch-party:services.web.volumes.b is "/data/", the folder of a; allowed: a folder of its own',
    ],
    [
      { accessories: { db: { image: "redis", volumes: { a: "/data", b: "/data" } } } },
      'watch-party:accessories.db.volumes.b is "/data", the folder of a; allowed: a folder of its own',
    ],
    [
      { services: { "Not a name": {} } },
      "watch-party:services.Not a name is not a valid name; allowed: a name of lower-case",
    ],
    [
      { services: { frontend: { prot: 1 } } },
      "watch-party:services.frontend.prot is not a key; allowed: context, ",
    ],
    [{ services: { frontend: { context: "../x" } } }, "watch-party:services.frontend.context"],
    [{ services: { frontend: { cacheFrom: [] } } }, "watch-party:services.frontend.cacheFrom is not a key"],
    [{ services: { api: { route: "/api" } } }, "watch-party:services.api.port is missing"],
    [
      { services: { frontend: {}, api: { route: "/", port: 1 } } },
      'services.api.route is "/", the route of frontend',
    ],
    [{ services: { frontend: { args: { GIT_COMMIT_HASH: "x" } } } }, "the deploy sets this one"],
    [
      { services: { frontend: { args: { BUILDKIT_INLINE_CACHE: 1 } } } },
      "an inline cache lets a build reuse old layers",
    ],
    [{ uncommitted: "include", commit: "v1" }, "allowed with commit HEAD alone"],
    [{ cluster: "kubernetes" }, 'watch-party:cluster is "kubernetes"; allowed: swarm'],
    [{ cluster: "swarm" }, "watch-party:registry.address is missing; allowed: a registry that every node"],
    [
      { services: { frontend: { replicas: 2, volumes: { data: "/data" } } } },
      "watch-party:services.frontend.replicas is 2; allowed: 1, or more with sharedVolume, because several containers would write to volume data",
    ],
    [
      { services: { frontend: { replicas: 2, strategy: "recreate" } } },
      "watch-party:services.frontend.replicas is 2; allowed: 1, because with strategy recreate one container at a time uses its data",
    ],
    [
      {
        ...swarm,
        services: { frontend: { replicas: 2, volumes: { data: "/data" } } },
      },
      "watch-party:services.frontend.replicas is 2; allowed: 1, because volume data is on one node",
    ],
    [
      { services: { backend: { command: ["echo", ""] } } },
      "allowed: arguments that are not empty; the docker plugin passes an empty one only in `entrypoint`",
    ],
    [
      { services: { jobs: { schedule: "61 * * * *" } } },
      'watch-party:services.jobs.schedule is "61 * * * *"; allowed: a minute from 0 to 59, not "61"',
    ],
    [
      { services: { jobs: { schedule: "@daily", timeZone: "Europe/Atlantis" } } },
      'watch-party:services.jobs.timeZone is "Europe/Atlantis"; allowed: a time zone, such as Europe/Berlin',
    ],
    [
      { services: { jobs: { timeZone: "Europe/Berlin" } } },
      'watch-party:services.jobs.timeZone is "Europe/Berlin"; allowed: with watch-party:services.jobs.schedule',
    ],
    [
      { services: { backend: { schedule: "@daily" } } },
      'watch-party:services.backend.schedule is "@daily"; allowed: only without a port and a route',
    ],
    [{ services: { jobs: { schedule: "@daily", replicas: 2 } } }, "only with one replica"],
    [
      { services: { backend: {}, jobs: { image: "backend", schedule: "@daily" } } },
      'watch-party:services.jobs.schedule is "@daily"; allowed: with watch-party:services.jobs.command, because the image of backend would start backend again',
    ],
    [{ ...swarm, services: { jobs: { schedule: "@daily" } } }, "allowed: only without watch-party:cluster"],
    [
      { edges: "all", listen: "0.0.0.0:80" },
      'watch-party:edges is "all"; allowed: manager, or others with watch-party:cluster "swarm"',
    ],
    [
      { ...swarm, edges: "some" },
      'watch-party:edges is "some"; allowed: manager, all, or a constraint such as',
    ],
    [{ ...swarm, edges: "node.labels.edge" }, "allowed: manager, all, or a constraint such as"],
    [
      { ...swarm, edges: "all", domain: "app.example.org" },
      'watch-party:edges is "all"; allowed: only without watch-party:domain',
    ],
    [
      { ...swarm, edges: "node.labels.edge==true" },
      'watch-party:listen is "127.0.0.1:8080"; allowed: 0.0.0.0:8080, because with watch-party:edges "node.labels.edge==true"',
    ],
  ])("refuses %j", (raw, expected) => {
    expect(problems(raw)).toEqual([expect.stringContaining(expected)]);
  });

  it.each(["all", "node.labels.edge == true", "engine.labels.zone!=a"])("accepts edges %s", (edges) =>
    expect(parseConfig({ ...swarm, edges, listen: "0.0.0.0:80" }).edges).toBe(edges),
  );

  it.each([
    ["./web/", "web"],
    ["web//app", "web/app"],
    [".", "."],
    ["./", "."],
  ])("reads the folder %s as %s", (context, folder) => {
    const [web] = parseConfig({ services: { web: { context, dockerfile: "./Dockerfile" } } }).services;
    expect(web).toMatchObject({ context: folder, dockerfile: "Dockerfile" });
  });

  it("accepts variables with dots and dashes in their names", () => {
    const env = { "discovery.type": "single-node", "my-app.port": "1" };
    expect(parseConfig({ services: { web: { env } } }).services[0]?.env).toEqual(env);
  });

  it("reports all problems at once", () => {
    expect(
      problems({ buildCache: "x", keepReleases: "many", services: { frontend: { port: "x", y: 1 } } }),
    ).toHaveLength(4);
  });

  it("never repeats a secret", () => {
    const found = problems({
      serverKey: ["s3cret"],
      registryPassword: ["s3cret"],
      services: { frontend: { secretEnv: { TOKEN: ["s3cret"] } } },
    });
    expect(found).toHaveLength(3);
    expect(found.join()).not.toContain("s3cret");
  });
});

describe("problemsForUp", () => {
  it("requires the server's host key and the private key, except in a preview", () => {
    const config = parseConfig({ server: { host: "s", user: "u" } });
    expect(problemsForUp(config)).toEqual([
      expect.stringContaining("server.hostKey is missing"),
      expect.stringContaining("serverKey is missing"),
    ]);
    expect(problemsForUp(parseConfig({}))).toEqual([]);
  });

  it("requires a build here for an ssh agent of this machine", () => {
    const services = { web: { buildSecrets: { ssh: "/run/agent" } } };
    const server = { host: "s", user: "u", hostKey: "ssh-ed25519 AAAA" };
    const of = (buildOn: string) => problemsForUp(parseConfig({ server, serverKey: "k", services, buildOn }));
    expect(of("server")).toEqual([
      expect.stringContaining("services.web.buildSecrets.ssh is an agent of this machine"),
    ]);
    expect(of("here")).toEqual([]);
  });

  it("requires the registry's password", () => {
    const registry = { address: "127.0.0.1:5000/team", user: "robot$ci" };
    expect(problemsForUp(parseConfig({ registry }))).toEqual([
      expect.stringContaining("registryPassword is missing"),
    ]);
    expect(problemsForUp(parseConfig({ registry, registryPassword: "p" }))).toEqual([]);
  });
});

describe("a secret from the environment of the machine that deploys", () => {
  const services = { web: { secretEnv: { TOKEN: { env: "CI_TOKEN_OF_A_TEST" }, PLAIN: "text" } } };
  afterEach(() => {
    delete process.env.CI_TOKEN_OF_A_TEST;
  });

  it("is the value of its variable, and masked", () => {
    process.env.CI_TOKEN_OF_A_TEST = "from-ci";
    const config = parseConfig({ services });
    expect(config.services[0]?.secretEnv).toEqual({ TOKEN: "from-ci", PLAIN: "text" });
    expect(secretsOf(config)).toContain("from-ci");
    expect(problemsForUp(config)).toEqual([]);
  });

  it("is found in the file of the stack, which a variable of the machine overrides", () => {
    const folder = mkdtempSync(join(tmpdir(), "watch-party-config-"));
    writeFileSync(join(folder, ".env.prod"), "CI_TOKEN_OF_A_TEST='from-file'\n");
    const tokenIn = (stack: string) =>
      parseConfig({ services }, folder, variablesOf(folder, stack)).services[0]?.secretEnv.TOKEN;
    expect([tokenIn("prod"), tokenIn("staging")]).toEqual(["from-file", ""]);
    process.env.CI_TOKEN_OF_A_TEST = "from-ci";
    expect(tokenIn("prod")).toBe("from-ci");
    rmSync(folder, { recursive: true });
  });

  it("is missed by up alone: a preview needs none", () => {
    expect(problemsForUp(parseConfig({ services }))).toEqual([
      "watch-party:services.web.secretEnv.TOKEN names the variable CI_TOKEN_OF_A_TEST, which is not set; allowed: a variable of the machine that deploys, or a line of .env.STACK beside the configuration",
    ]);
    expect(() => parseConfig({ services: { web: { secretEnv: { TOKEN: { file: "x" } } } } })).toThrow(
      /services\.web\.secretEnv\.TOKEN is "?\[secret\]"?; allowed: a text, or a mapping of env/,
    );
  });
});
