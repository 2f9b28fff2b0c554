import { describe, expect, it } from "@jest/globals";
import { sendAway } from "../../components/networkGuests";
import { swarmSeconds } from "../../components/run/durations";
import { containerOptions, serviceOptions, stopTimeouts } from "../../components/run/options";
import { parseConfig } from "../../config";
import { buildSecretsOf } from "../../config/secrets";
import { ConfigError } from "../../config/types";
import { caddyfile, followersCaddyfile } from "../../edge/caddy";
import { commandWords } from "../../freshness/dockerfile/words";

const service = (settings: Record<string, unknown>, more: Record<string, unknown> = {}) => {
  const [first] = parseConfig({ services: { web: { port: 3000, ...settings } }, ...more }).services;
  if (!first) throw new Error("no service");
  return first;
};
const problems = (services: unknown, more: Record<string, unknown> = {}): readonly string[] => {
  try {
    parseConfig({ services, ...more });
  } catch (cause) {
    if (cause instanceof ConfigError) return cause.problems;
    throw cause;
  }
  return [];
};
const swarm = { cluster: "swarm", registry: { address: "r:5000", user: "u" } };

it.each([
  ["python3 server.py", ["python3", "server.py"]],
  [`sh -c 'echo "$A" b'`, ["sh", "-c", 'echo "$A" b']],
  ['a "b c"d e\\ f ""', ["a", "b cd", "e f", ""]],
])("splits the command %s like compose", (text, words) => {
  expect(commandWords(text)).toEqual(words);
});

describe("how a service runs", () => {
  it("has defaults that keep the image's settings", () => {
    expect(containerOptions(service({}))).toEqual({ destroyGraceSeconds: 10, stopTimeout: 10 });
    expect(serviceOptions(service({}))).toEqual({
      container: { stopGracePeriod: "10s" },
      mounts: [],
      limits: {},
    });
  });

  it("is set by its options", () => {
    const all = {
      ...{
        command: "run it",
        entrypoint: ["/init"],
        init: "false",
        stopSeconds: "30",
        stopSignal: "SIGQUIT",
      },
      ...{ user: 1000, tmpfs: ["/a/"], shmMb: 64, extraHosts: ["db:10.0.0.1"], cpus: "1.5", readOnly: true },
    };
    expect(containerOptions(service(all))).toEqual({
      destroyGraceSeconds: 30,
      stopTimeout: 30,
      command: ["run", "it"],
      entrypoints: ["/init"],
      stopSignal: "SIGQUIT",
      user: "1000",
      tmpfs: { "/a": "", "/tmp": "" },
      shmSize: 64,
      hosts: [{ host: "db", ip: "10.0.0.1" }],
      cpus: "1.5",
    });
    expect(serviceOptions(service(all))).toMatchObject({
      container: { commands: ["/init"], args: ["run", "it"], stopGracePeriod: "30s", user: "1000" },
      mounts: [
        { type: "tmpfs", target: "/a" },
        { type: "tmpfs", target: "/tmp" },
        { type: "tmpfs", target: "/dev/shm", tmpfsOptions: { sizeBytes: 64 * 1024 ** 2 } },
      ],
      limits: { nanoCpus: 1.5e9 },
    });
  });

  it.each([
    [10, "10s"],
    [60, "1m"],
    [90, "1m30s"],
    [3600, "1h"],
    [3660, "1h1m"],
  ])("writes %i s like the plugin's Swarm durations", (total, text) => {
    expect(swarmSeconds(total)).toBe(text);
  });

  it("gives Pulumi the time that a container may take to stop", () => {
    expect(stopTimeouts(service({ stopSeconds: 60 }))).toEqual({});
    expect(stopTimeouts(service({ stopSeconds: 3600 }))).toEqual({ customTimeouts: { delete: "4200s" } });
  });

  it("has a preset with the capabilities of a web server", () => {
    expect(service({ capabilities: "webserver" }).capabilities).toContain("CAP_SETGID");
    expect(service({ capabilities: ["webserver", "SYS_NICE"] }).capabilities).toHaveLength(6);
  });

  it("keeps the settings of a service without such options", () => {
    const keys = Object.keys(service({}));
    for (const key of ["command", "init", "stopSeconds", "image", "tmpfs", "buildSecrets", "healthHeaders"])
      expect(keys).not.toContain(key);
  });
});

describe("a service that runs another one's image", () => {
  it("uses that one's build", () => {
    const { services } = parseConfig({
      services: {
        api: { context: "src", args: { A: "1" }, port: 1 },
        worker: { image: "api", command: "work" },
      },
    });
    expect(services[1]).toMatchObject({ name: "worker", image: "api", context: "src", args: { A: "1" } });
  });

  it.each([
    [{ a: { image: "b" } }, 'services.a.image is "b", which is not a service'],
    [{ a: { image: "a" } }, "which is the service itself"],
    [{ a: { image: "b" }, b: { image: "c" }, c: {} }, "which runs another service's image; allowed: c"],
    [{ a: { image: "b", context: "x" }, b: {} }, "services.a.context is set; allowed: only without"],
  ])("is refused as %j", (services, problem) => {
    expect(problems(services).join()).toContain(problem);
  });
});

it.each([
  [{ stripPrefix: true }, {}, "stripPrefix is true; allowed: with a route"],
  [{ tmpfs: ["/data"], volumes: { v: "/data/" } }, {}, "tmpfs has"],
  [{ tmpfs: "/a:size=1m" }, {}, 'an absolute path without ":"'],
  [{ volumes: { data: "/data:ro" } }, {}, 'an absolute path without ":"'],
  [{ cpus: 0 }, {}, "cpus is 0; allowed: a number from 0.01 to 1024"],
  [{ extraHosts: { a: "b" } }, {}, "an IP address, or host-gateway"],
  [{ healthHeaders: { "a b": "c" } }, {}, "the name of a header"],
  [{ healthHeaders: { a: "b\r\nX: y" } }, {}, "a text in one line"],
  [{ pidsLimit: 5 }, swarm, "pidsLimit is 5; allowed: only without watch-party:cluster"],
  [{ extraHosts: { a: "host-gateway" } }, swarm, "an IP address, on a cluster"],
  [{}, { trustedProxies: ["x"] }, "private_ranges"],
  [{ buildSecrets: { a: { file: "x" } } }, {}, "[secret]"],
])("refuses %j with %j", (settings, more, problem) => {
  expect(problems({ web: settings }, more).join()).toContain(problem);
});

it("reads build secrets from the configuration and from variables", () => {
  process.env.RUN_OPTIONS_TOKEN = "t";
  const { buildSecrets } = service({
    buildSecrets: { a: "x", b: { env: "RUN_OPTIONS_TOKEN" }, c: { env: "NOT_SET_AT_ALL" } },
  });
  expect(buildSecretsOf({ buildSecrets })).toEqual({ a: "x", b: "t" });
  delete process.env.RUN_OPTIONS_TOKEN;
});

describe("the edge", () => {
  const routes = parseConfig({
    services: {
      web: { port: 1, route: "/" },
      api: { port: 2, route: "/api", stripPrefix: true, assets: { "/api/static": "/s" } },
    },
  }).services;

  it("strips a route's prefix, and tells the app by a header", () => {
    const text = caddyfile(routes, {}, "/f");
    expect(text.match(/uri strip_prefix \/api/g)).toHaveLength(2);
    // Of its assets, its WebSockets and all else.
    expect(text.match(/header_up X-Forwarded-Prefix \/api/g)).toHaveLength(3);
  });

  it("trusts only the named proxies", () => {
    const trusting = { trustedProxies: ["10.0.0.0/8", "private_ranges"] };
    const line = "trusted_proxies static 10.0.0.0/8 private_ranges";
    expect(caddyfile(routes, trusting, "/f")).toContain(line);
    expect(followersCaddyfile(routes, "/f", trusting)).toContain(line);
    expect(caddyfile(routes, {}, "/f")).not.toContain("trusted_proxies");
    expect(parseConfig({ trustedProxies: "private_ranges" }).trustedProxies).toEqual(["private_ranges"]);
    expect(parseConfig({ trustedProxies: '["10.0.0.1"]' }).trustedProxies).toEqual(["10.0.0.1"]);
    expect(parseConfig({ trustedProxies: "" }).trustedProxies).toBeUndefined();
  });
});

it("disconnects foreign containers from the stack's networks", () => {
  const script = sendAway(["one", "two"], "prod");
  expect(script).toContain("docker network disconnect --force one");
  expect(script).toContain('[ "$label" = prod ]');
});
