import { describe, expect, it } from "@jest/globals";
import { inOrder, readLine, sinceOf } from "../../cli/logLines";
import { caddyfile } from "../../edge/caddy";
import { withMaintenance, withoutMaintenance } from "../../edge/maintenance";
import { isMaintenance } from "../../engine/edgeFiles";
import { oneOffLike } from "../../engine/likeness";
import { heldText } from "../../engine/stackLock";

describe("log lines", () => {
  it("are read with their time, and come into its order", () => {
    const lines = ["2026-01-01T00:00:02.000000000Z b", "2026-01-01T00:00:01.000000000Z a"];
    const read = lines.map((line, at) => readLine(`s${at}`, line));
    expect(inOrder(read).map(({ source, text }) => `${source} ${text}`)).toEqual(["s1 a", "s0 b"]);
    expect(readLine("s", "no time")).toEqual({ time: "", source: "s", text: "no time" });
  });

  it.each([
    ["15m", "15m"],
    ["1h30m", "1h30m"],
    ["3d", "72h"],
    ["2026-01-31", "2026-01-31"],
    ["2026-01-31T12:00:00Z", "2026-01-31T12:00:00Z"],
    ["yesterday", undefined],
    ["", undefined],
    ["2026-13-40", undefined],
  ])("begin at %s", (text, since) => expect(sinceOf(text)).toBe(since));
});

describe("maintenance", () => {
  const services = [
    { name: "web", port: 3000, route: "/", version: "/version", assets: { "/static": "/app/s" } },
  ];
  it.each([{}, { domain: "app.example.org" }, { trustedProxies: ["10.0.0.0/8"] }])(
    "is in the public site alone, and goes without a trace: %j",
    (site) => {
      const before = caddyfile(services, site, "/edge/release-1");
      const on = withMaintenance(before, 60);
      expect(isMaintenance(on)).toBe(true);
      expect(on.match(/# maintenance begins/g)).toHaveLength(1);
      expect(on).toContain(`${site.domain ?? "http://"} {\n\t# maintenance begins`);
      expect(withoutMaintenance(on)).toBe(before);
      expect(withMaintenance(on, 60)).toBe(on);
      expect(withoutMaintenance(before)).toBe(before);
    },
  );
});

it("a one-off container has what the other has, and none of its names and ports", () => {
  const like = {
    Image: "sha256:1",
    Config: {
      Env: ["A=1"],
      User: "app",
      Entrypoint: ["/init"],
      Cmd: ["serve"],
      Labels: { of: "the service" },
    },
    HostConfig: {
      Memory: 1,
      Binds: ["data:/data"],
      RestartPolicy: { Name: "always" },
      PortBindings: { "80/tcp": [] },
    },
    NetworkSettings: { Networks: { net: { Aliases: ["web-1"] } } },
  };
  expect(oneOffLike(like, { command: ["sh"], terminal: false, labels: { own: "1" } })).toMatchObject({
    Image: "sha256:1",
    Env: ["A=1"],
    Entrypoint: ["/init"],
    Cmd: ["sh"],
    Labels: { own: "1" },
    HostConfig: {
      Memory: 1,
      Binds: ["data:/data"],
      RestartPolicy: { Name: "no" },
      PortBindings: {},
      AutoRemove: true,
    },
    NetworkingConfig: { EndpointsConfig: { net: {} } },
  });
  // The loop of a schedule is no entrypoint of its command.
  const changes = { command: ["job"], terminal: false, labels: {} };
  expect(oneOffLike(like, { ...changes, entrypoint: null }).Entrypoint).toBeNull();
});

it("a lock says who holds it, why, and how to go on", () => {
  expect(heldText("prod", { message: "a migration", by: "ann", since: "2026-01-01" })).toBe(
    'deploys are locked: stack prod is locked by ann since 2026-01-01: a migration; nothing was changed. Wait with "npm run up -- --stack prod --wait-lock", or take the lock away with "npm run -s unlock -- --stack prod"',
  );
});
