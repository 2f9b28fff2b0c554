import { describe, expect, it } from "@jest/globals";
import { pullFailure } from "../../packages/stand-ins/images";
import { isDebian, mirrorOf } from "../../toolchain/apt";
import {
  buildsByEnv,
  type Client,
  chooseClient,
  clientVersion,
  engineError,
  engineProblem,
} from "../../toolchain/engine";
import { compareVersions, goProblem } from "../../toolchain/go";
import { reachOf } from "../../toolchain/network";

const client = (path: string, version: string | undefined, buildx = false): Client => ({
  path,
  version,
  buildx,
});

describe("the docker client", () => {
  const current = client("/usr/local/bin/docker", "28.2.2");
  const debian = client("/usr/bin/docker", "20.10.24");
  it.each([
    ["the only one that builds, although it is second", [current, debian], debian],
    ["the first, if it has buildx", [{ ...current, buildx: true }, debian], { ...current, buildx: true }],
    ["none, if the current one lacks buildx", [current], undefined],
    ["none, if podman has the name", [client("/usr/bin/docker", undefined, true)], undefined],
    ["none of an empty list", [], undefined],
  ])("is %s", (_, clients, chosen) => {
    expect(chooseClient(clients)).toEqual(chosen);
  });

  it.each([
    ["20.10.24", true],
    ["22.0.0", true],
    ["23.0.0", false],
    ["28.2.2", false],
    [undefined, false],
  ])("of version %s needs DOCKER_BUILDKIT: %p", (version, needed) => {
    expect(buildsByEnv(client("/docker", version))).toBe(needed);
  });

  it.each([
    ["Docker version 20.10.24+dfsg1, build 297e128\n", "20.10.24"],
    ["Docker version 28.2.2, build e6534b4", "28.2.2"],
    ["Emulate Docker CLI using podman.\npodman version 4.3.1", undefined],
    ["", undefined],
  ])("that says %j is %s", (answer, version) => {
    expect(clientVersion(answer)).toBe(version);
  });
});

describe("an engine that does not answer", () => {
  const denied =
    "Got permission denied while trying to connect to the Docker daemon socket at unix:///var/run/docker.sock: dial unix";
  const absent =
    "Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?";
  it.each([
    [denied, true, "permission denied", /may not use it/, /usermod -aG docker/],
    [
      `permission denied while trying to connect to the docker API`,
      true,
      "permission denied",
      /may not/,
      /group/,
    ],
    [absent, true, "not running", /not running/, /systemctl start docker/],
    [absent, false, "not installed", /not installed/, /docs\.docker\.com/],
    ["docker: not found", false, "not installed", /not installed/, /as root/],
  ] as const)("%j, dockerd there: %p → %s", (said, hasDockerd, problem, message, remedy) => {
    expect(engineProblem(said, hasDockerd)).toBe(problem);
    const error = engineError(problem, said, undefined);
    expect(error.message).toMatch(message);
    expect(error.remedy).toMatch(remedy);
    expect(error.exitCode).toBe(1);
  });

  it("names the DOCKER_HOST in use", () => {
    expect(engineError("not running", absent, "tcp://build:2376").message).toContain("tcp://build:2376");
  });

  it("prints the summary first, the remedy second, docker's message last", () => {
    const lines = engineError("not running", absent, undefined).print().split("\n");
    expect(lines[0]).toBe("toolchain: the Docker engine is not running");
    expect(lines[1]).toMatch(/^ {2}Start it: /);
    expect(lines.at(-2)).toBe(absent);
  });
});

describe("the cause of a failure", () => {
  it.each([
    [
      'Get "https://registry-1.docker.io/v2/": dial tcp: lookup registry-1.docker.io on 10.0.0.1:53: no such host',
      "unreachable",
    ],
    ["dial tcp: lookup registry-1.docker.io: Temporary failure in name resolution", "unreachable"],
    ["dial tcp 1.2.3.4:443: connect: connection refused", "unreachable"],
    ["x509: certificate signed by unknown authority", "unreachable"],
    ["net/http: request canceled while waiting for connection (Client.Timeout exceeded)", "timed out"],
    ["dial tcp 1.2.3.4:443: i/o timeout", "timed out"],
    ["toomanyrequests: You have reached your pull rate limit", "refused"],
    ["manifest for caddy:2.11 not found: manifest unknown", "refused"],
  ])("docker pull: %j is %s", (said, kind) => {
    expect(pullFailure(said)).toBe(kind);
  });

  it.each([
    ["ENOTFOUND", "no such host"],
    ["EAI_AGAIN", "no such host"],
    ["ETIMEDOUT", "timed out"],
    ["ECONNREFUSED", "refused"],
    [undefined, "refused"],
  ])("connecting: %s is %s", (code, kind) => {
    expect(reachOf(code)).toBe(kind);
  });
});

describe("Go", () => {
  it.each([
    ["1.25", "1.25", 0],
    ["1.25.0", "1.25", 0],
    ["1.9", "1.25", -1],
    ["1.26.8", "1.25.11", 1],
    ["go1.25rc1", "1.25", 1],
  ])("%s compared with %s is %d", (a, b, order) => {
    expect(compareVersions(a, b)).toBe(order);
  });

  it.each([
    [undefined, /^Go is missing: pulumi 3 /],
    ["1.19.8", /^Go 1\.19\.8 is older than 1\.25: pulumi 3 /],
  ])("%s is an error with exit status 2", (version, message) => {
    const problem = goProblem(version, "pulumi 3");
    expect(problem?.message).toMatch(message);
    expect(problem?.remedy).toContain("go.dev");
    expect(problem?.exitCode).toBe(2);
  });

  it.each([["1.25.0"], ["1.26.8"]])("%s will do", (version) => {
    expect(goProblem(version, "pulumi")).toBeUndefined();
  });
});

describe("Debian", () => {
  it.each([
    ['NAME="Debian GNU/Linux"\nID=debian\n', true],
    ["ID=ubuntu\nID_LIKE=debian\n", true],
    ['ID=linuxmint\nID_LIKE="ubuntu debian"\n', true],
    ['ID="rhel"\nID_LIKE="fedora"\n', false],
    ["", false],
  ])("%j: %p", (release, debian) => {
    expect(isDebian(release)).toBe(debian);
  });

  it("uses this machine's Debian mirror, otherwise the public one", () => {
    const targets =
      "http://mirror.example/debian/ bookworm main\nhttp://mirror.example/security/ bookworm-security main\n";
    expect(mirrorOf(targets, "bookworm", "http://public")).toBe("http://mirror.example/debian");
    expect(mirrorOf(targets, "bookworm-security", "http://public")).toBe("http://mirror.example/security");
    expect(mirrorOf("http://archive.example/ubuntu noble main\n", "bookworm", "http://public")).toBe(
      "http://public",
    );
  });
});
