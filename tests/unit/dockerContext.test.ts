import { createHash } from "node:crypto";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "@jest/globals";
import { contextHost } from "../../engine/context";
import { localSocket } from "../../engine/dial";

const folder = mkdtempSync(join(tmpdir(), "watch-party-contexts-"));
afterAll(() => rmSync(folder, { recursive: true }));

const id = (name: string) => createHash("sha256").update(name).digest("hex");

/** Writes a context as the docker CLI does. */
function context(name: string, endpoint: Record<string, unknown>, keys: readonly string[] = []): void {
  const meta = join(folder, "contexts", "meta", id(name));
  mkdirSync(meta, { recursive: true });
  writeFileSync(join(meta, "meta.json"), JSON.stringify({ Name: name, Endpoints: { docker: endpoint } }));
  const tls = join(folder, "contexts", "tls", id(name), "docker");
  if (keys.length > 0) mkdirSync(tls, { recursive: true });
  for (const key of keys) writeFileSync(join(tls, key), "");
}

function choose(name: string): NodeJS.ProcessEnv {
  writeFileSync(join(folder, "config.json"), JSON.stringify({ currentContext: name }));
  return { DOCKER_CONFIG: folder };
}

context("colima", { Host: "unix:///home/me/.colima/docker.sock" });
context("far", { Host: "ssh://deploy@192.0.2.1" });
context("plain", { Host: "tcp://192.0.2.1:2375" });
context("keys", { Host: "tcp://192.0.2.1:2376" }, ["ca.pem", "cert.pem", "key.pem"]);
context("careless", { Host: "tcp://192.0.2.1:2376", SkipTLSVerify: true });
context("odd", { Host: "fd://" });

describe("the engine that a docker context chooses", () => {
  it.each([
    ["a socket", "colima", "unix:///home/me/.colima/docker.sock"],
    ["another machine over ssh", "far", "ssh://deploy@192.0.2.1"],
    ["a port without TLS", "plain", "tcp://192.0.2.1:2375"],
  ])("is %s", (_, name, host) => expect(contextHost(choose(name))).toBe(host));

  it("is selected by DOCKER_CONTEXT before the current context", () => {
    expect(contextHost({ ...choose("far"), DOCKER_CONTEXT: "plain" })).toBe("tcp://192.0.2.1:2375");
  });

  it("yields to DOCKER_HOST, and to the default context", () => {
    expect(contextHost({ ...choose("far"), DOCKER_HOST: "unix:///a" })).toBeUndefined();
    expect(contextHost({ ...choose("far"), DOCKER_CONTEXT: "default" })).toBeUndefined();
    expect(contextHost(choose("default"))).toBeUndefined();
  });

  it("is reached at its socket, without a process", () => {
    expect(localSocket(choose("colima"))).toBe("/home/me/.colima/docker.sock");
    expect(localSocket(choose("far"))).toBeUndefined();
  });

  it.each([
    [
      "with its own TLS keys",
      "keys",
      `DOCKER_HOST=tcp://192.0.2.1:2376 DOCKER_TLS_VERIFY=1 DOCKER_CERT_PATH=${join(folder, "contexts", "tls", id("keys"), "docker")}`,
    ],
    ["without a certificate that is checked", "careless", "without checking its certificate"],
    ["of another kind", "odd", "choose a context whose endpoint begins with unix://, ssh:// or tcp://"],
    ["of a context that does not exist", "gone", 'the docker context "gone" does not exist'],
  ])("is refused %s", (_, name, words) => expect(() => contextHost(choose(name))).toThrow(words));
});
