import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import execa from "execa";
import { healthCheck } from "../../components/run/healthCheck";

let server: Server;
const asked: string[] = [];

beforeAll(async () => {
  server = createServer((request, response) => {
    const { host, "user-agent": agent, "x-forwarded-proto": scheme } = request.headers;
    asked.push(`${request.method} ${request.url} ${host} ${scheme} ${agent?.split(" ")[0]}`);
    const statuses: Record<string, number> = { "/healthz": 200, "/empty": 204, "/elsewhere": 302 };
    response.writeHead(statuses[request.url ?? ""] ?? 503, { location: "/healthz" }).end();
  });
  await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening));
});

afterAll(() => {
  server.close();
});

/**
 * Runs Docker's own health check in an image, of whose programs it finds those named alone.
 *
 * @returns its exit status for each path, of the server's port, and then for one where nothing listens
 */
async function check(image: string, clients: readonly string[], paths: readonly string[]): Promise<number[]> {
  const { port } = server.address() as AddressInfo;
  const checks = [...paths.map((health) => ({ port, health })), { port: 1, health: "/healthz" }];
  const script = [
    "mkdir /tmp/only",
    ...clients.map((client) => `ln -s "$(command -v ${client})" /tmp/only/`),
    "export PATH=/tmp/only",
    ...checks.map(({ health, port }) => {
      const [, ...command] = healthCheck({ port, health, startSeconds: 1 }, "http://app.test").tests;
      return `${command.map((each) => `'${each.replaceAll("'", `'\\''`)}'`).join(" ")} > /dev/null 2>&1; echo $?`;
    }),
  ].join("\n");
  // The name that a container has on its network leads to its address there.
  const named = ["--hostname", "health.test", "--add-host", "health.test:127.0.0.1"];
  const run = ["run", "--rm", "--network", "host", ...named, "--entrypoint", "/bin/sh", image, "-c", script];
  return (await execa("docker", run)).stdout.split("\n").map(Number);
}

const [NODE, PYTHON, CADDY] = ["node:24-bookworm-slim", "python:3.11-slim-bookworm", "caddy:2.11"];

describe("Docker's own health check", () => {
  it.each([
    ["wget", CADDY],
    ["bash", PYTHON],
    ["bash", NODE],
    ["python3", PYTHON],
    ["node", NODE],
  ])(
    "with %s of %s reports whether a service answers with 2xx to the public request",
    async (client, image) => {
      asked.length = 0;
      const paths = ["/healthz", "/empty", "/elsewhere", "/other"];
      const [healthy, empty, redirecting, failing, absent] = await check(image, [client], paths);
      expect([healthy, empty]).toEqual([0, 0]);
      for (const status of [redirecting, failing, absent]) expect(status).toBeGreaterThan(0);
      const own = asked.filter((each) => !each.startsWith("GET /healthz"));
      expect(own).toEqual(paths.slice(1).map((path) => `GET ${path} app.test http watch-party-deploy`));
      expect(asked).toContain("GET /healthz app.test http watch-party-deploy");
    },
  );

  it("reports healthy without any HTTP client", async () => {
    expect(await check(PYTHON, [], ["/other"])).toEqual([0, 0]);
  });
});
