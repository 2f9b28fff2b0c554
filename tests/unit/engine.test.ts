import { createServer } from "node:net";
import { describe, expect, it } from "@jest/globals";
import { caddyfile, followersCaddyfile, type Route, waitingCaddyfile } from "../../edge/caddy";
import { defaultMemoryMb, giveMemory } from "../../edge/size";
import { edgeState, stateBefore } from "../../edge/switch";
import { quote } from "../../engine/cli";
import type { DockerEngine } from "../../engine/docker";
import { parseMemory } from "../../engine/edgeFiles";
import { cutOff, unreachable } from "../../engine/problems";
import { canListen } from "../../release/preflight";

const services: Route[] = [
  { name: "frontend", port: 3000, route: "/", version: "/version", assets: { "/static": "/app/static" } },
  { name: "backend", port: 8000, route: "/api", version: "/v", assets: {} },
  { name: "worker", port: undefined, route: undefined, version: "/version", assets: {} },
];

describe("caddyfile", () => {
  const text = caddyfile(services, {}, "/edge/release-1");

  it("routes every upstream by the one file that names the release", () => {
    expect(text).toContain("reverse_proxy frontend-{file./edge/release-1}:3000");
    expect(text).toContain("reverse_proxy backend-{file./edge/release-1}:8000");
    expect(text).not.toContain("worker");
  });

  it("answers /.freshness/SERVICE from the service's own version path, before any route", () => {
    expect(text).toMatch(/path \/\.freshness\/backend\n\t\thandle @proof-backend \{\n\t\t\trewrite \* \/v\n/);
    expect(text).toMatch(
      /@writes not method GET HEAD\n\t\thandle @writes \{\n\t\t\theader Allow "GET, HEAD"\n\t\t\trespond 405\n/,
    );
    expect(text.indexOf("/.freshness/")).toBeLessThan(text.indexOf("path /api /api/*"));
  });

  it("names in a proof's answer the container that it came from, and nowhere else", () => {
    expect(
      text.match(/header_down x-freshness-upstream \{http\.reverse_proxy\.upstream\.hostport\}/g),
    ).toHaveLength(2);
  });

  it("tries the longer prefix first", () => {
    expect(text.indexOf("path /api /api/*")).toBeLessThan(text.lastIndexOf("\thandle {"));
  });

  it("limits WebSockets more than other requests, by the memory of the edge", () => {
    const limits = (memoryMb?: number) =>
      caddyfile(services.slice(1), { memoryMb }, "/f").match(/(?<=unhealthy_request_count )\d+/g);
    expect(limits()).toEqual(["1792", "1920"]);
    expect(limits(1024)).toEqual(["7168", "7680"]);
  });

  it("serves nothing before the first release", () => {
    expect(waitingCaddyfile()).toContain("503");
  });
});

describe("the memory of an edge", () => {
  const MIB = 1024 ** 2;

  it.each([
    [512, 256],
    [2048, 256],
    [3900, 448],
    [8000, 960],
    [64_000, 2048],
  ])("is by default, on a machine of %s MiB, %s MiB", (machine, expected) =>
    expect(defaultMemoryMb(machine * MIB)).toBe(expected),
  );

  it.each([
    ["268435456\n8589934592\n", { memoryMb: 256, machine: 8192 * MIB }],
    ["max\n8589934592\n", { memoryMb: undefined, machine: 8192 * MIB }],
    ["9223372036854771712\n8589934592\n", { memoryMb: undefined, machine: 8192 * MIB }],
    ["", { memoryMb: undefined, machine: undefined }],
  ])("is read from %j", (said, expected) => expect(parseMemory(said)).toEqual(expected));

  it("is applied to a running edge if it differs, and is required if it was configured", async () => {
    const asked: string[][] = [];
    const engine = { docker: async (args: string[]) => void asked.push(args) } as unknown as DockerEngine;
    const failing = { docker: async () => Promise.reject(new Error("no")) } as unknown as DockerEngine;
    const memory = { memoryMb: 256, machine: 8192 * MIB };
    expect(await giveMemory(engine, "e", 256, memory)).toBe(256);
    expect(asked).toEqual([]);
    expect(await giveMemory(engine, "e", undefined, memory)).toBe(1024);
    expect(asked).toEqual([["container", "update", "--memory", "1024m", "--memory-swap", "1024m", "e"]]);
    expect(await giveMemory(failing, "e", undefined, memory)).toBe(256);
    await expect(giveMemory(failing, "e", 512, memory)).rejects.toThrow("no");
  });
});

describe("followersCaddyfile", () => {
  const text = followersCaddyfile(services, "/edge/release-1");

  it("routes like the manager's, by the same file", () => {
    for (const line of caddyfile(services, {}, "/edge/release-1").match(/^.*(reverse_proxy|path) .*$/gm)!)
      expect(text).toContain(line);
  });

  it("requests assets of kept releases from the manager's edge", () => {
    expect(text).toMatch(/handle_response @gone \{\s+reverse_proxy edge:81 /);
    expect(text).not.toContain("/edge/assets");
  });
});

describe("the state to go back to", () => {
  const state = edgeState(services, {}, "r1");
  const followed = { followers: { service: "s", constraints: [], image: "i", reference: "r" } };
  // As left by a version of this program that served no release.
  const alone = { ...state, caddyfile: caddyfile(services, {}, state.releaseFile), followers: undefined };

  it("is the previous state", () => {
    expect(stateBefore(state, followed)).toBe(state);
    expect(stateBefore(state, {})).toBe(state);
  });

  it.each([
    ["nothing was served", undefined],
    ["the edge served no release", alone],
  ])("makes its followers serve nothing if before %s", (_, before) => {
    const back = stateBefore(before, followed);
    expect(back.caddyfile.startsWith(before?.caddyfile ?? waitingCaddyfile())).toBe(true);
    expect(back).toMatchObject({ followers: { caddyfile: expect.stringContaining("503") } });
    expect(back.caddyfile).toContain('respond * "- -\n');
    expect(stateBefore(before, {}).caddyfile).toBe(before?.caddyfile ?? waitingCaddyfile());
  });
});

describe("edgeState", () => {
  it("passes following edges their configuration, and the release by the switch file", () => {
    const { caddyfile: own, releaseFile: file, followers } = edgeState(services, {}, "r1");
    expect(own).toContain(`respond * "${file} {file.${file}}\n{file.${followers!.file}}"`);
    expect(followers!.caddyfile).toBe(followersCaddyfile(services, file));
  });

  it("keeps the configuration for a new release, so that the switch is a rename", () => {
    const [one, two] = ["r1", "r2"].map((release) => edgeState(services, {}, release));
    expect(one!.caddyfile).toBe(two!.caddyfile);
    expect(one!.releaseFile).toBe(two!.releaseFile);
  });

  it("has a separate release file for other routes", () => {
    expect(edgeState(services.slice(1), {}, "r1").releaseFile).not.toBe(
      edgeState(services, {}, "r1").releaseFile,
    );
  });
});

it.each([
  ["dial unix /var/run/docker.sock: connect: permission denied", "usermod -aG docker"],
  [
    "Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?",
    "systemctl start docker",
  ],
  ["spawn docker ENOENT", "install Docker Engine"],
])("has a remedy for %j", (words, remedy) => expect(unreachable(words)).toContain(remedy));

it.each([
  'time="2026-11-25T12:41:45Z" level=warning msg="commandConn.CloseWrite: commandconn: failed to wait: signal: killed"',
  "Unable to start container: error while Copy (stream to stdout): read unix @->/run/docker.sock: read: connection reset by peer",
  "Unable to start container: socket hang up",
  "command [ssh -l root -p 22 -- 10.0.0.1 docker system dial-stdio] has exited with exit status 255",
  "docker: the connection ended with 255",
  "docker: engine at /var/run/docker.sock: write EPIPE",
  'template: :1:12: executing "" at <.SystemTime>: reflect: indirection through nil pointer to embedded struct field Info',
])("recognises a lost engine or connection by %j", (words) =>
  expect(cutOff(["Container frontend: it failed", words])).toContain("the next `up` completes the deploy"),
);

it.each([
  "Image frontend: npm error network read ECONNRESET",
  "Container backend: container exited immediately",
  unreachable("Cannot connect to the Docker daemon at unix:///run/docker.sock"),
])("does not recognise one in %j", (words) => expect(cutOff([words])).toBeUndefined());

it.each([
  ["plain-1.2:x/y", "plain-1.2:x/y"],
  ["a b", "'a b'"],
  ["it's", `'it'\\''s'`],
  ["$HOME;", "'$HOME;'"],
])("quotes %j for a shell", (argument, quoted) => expect(quote(argument)).toBe(quoted));

it("detects whether an address is free", async () => {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as { port: number };
  expect(await canListen({ address: "127.0.0.1", port })).toBe(false);
  await new Promise((resolve) => server.close(resolve));
  expect(await canListen({ address: "127.0.0.1", port })).toBe(true);
});
