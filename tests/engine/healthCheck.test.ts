import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import execa from "execa";
import { healthCheck } from "../../components/webService";

let server: Server;
const asked: string[] = [];

beforeAll(async () => {
  server = createServer((request, response) => {
    asked.push(`${request.method} ${request.url} ${request.headers.host}`);
    response.writeHead(request.url === "/healthz" ? 200 : 503).end("said");
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
  const run = ["run", "--rm", "--network", "host", "--entrypoint", "/bin/sh", image, "-c", script];
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
  ])("tells by %s of %s whether a service answers with 200", async (client, image) => {
    asked.length = 0;
    const [healthy, failing, absent] = await check(image, [client], ["/healthz", "/other"]);
    expect(healthy).toBe(0);
    expect(failing).toBeGreaterThan(0);
    expect(absent).toBeGreaterThan(0);
    const { port } = server.address() as AddressInfo;
    expect(asked).toEqual([`GET /healthz 127.0.0.1:${port}`, `GET /other 127.0.0.1:${port}`]);
  });

  it("finds nothing wrong where there is nothing to ask with", async () => {
    expect(await check(PYTHON, [], ["/other"])).toEqual([0, 0]);
  });
});
