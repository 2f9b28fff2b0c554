import { readFileSync, writeFileSync } from "node:fs";
import { createServer, request, type Server } from "node:https";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import { ROOT_CERTIFICATE } from "../../engine/edgeNames";
import { TestApp } from "../support/app";
import { selfSigned } from "../support/certificate";
import { SmallEngine } from "../support/engine";
import { type Outcome, TestStack } from "../support/stack";

const HOSTS = "/etc/hosts";

/** A stack with a domain, on a separate engine with its own ports 80 and 443. */
describe("a domain whose certificate the edge's own authority signs", () => {
  const domain = `w${Math.random().toString(36).slice(2, 8)}.party.test`;
  let engine: SmallEngine;
  let app: TestApp;
  let stack: TestStack;
  let stranger: Server | undefined;

  /** Lets the name lead to an address of this machine's, or nowhere. */
  const lead = (address?: string) => {
    const others = readFileSync(HOSTS, "utf8").split("\n");
    const kept = others.filter((line) => !line.endsWith(` ${domain}`)).join("\n");
    writeFileSync(
      HOSTS,
      address === undefined ? kept : `${kept.replace(/\n?$/, "\n")}${address} ${domain}\n`,
    );
  };
  const deployed = async (outcome: Promise<Outcome>) => {
    const done = await outcome;
    if (!done.ok) throw new Error(done.said);
    return done;
  };
  const authority = async () => {
    const [id] = (await engine.docker("ps", "--quiet", "--filter", "label=watch-party.service=edge")).split(
      "\n",
    );
    return engine.docker("exec", id!, "cat", ROOT_CERTIFICATE);
  };
  const get = async (path: string) => {
    const ca = await authority();
    return new Promise<string>((resolve, reject) => {
      const asked = request(`https://${domain}${path}`, { ca, agent: false }, (answer) => {
        let body = "";
        answer.setEncoding("utf8").on("data", (chunk) => {
          body += chunk;
        });
        answer.once("end", () => resolve(body));
      });
      asked.once("error", reject).end();
    });
  };

  beforeAll(async () => {
    engine = await SmallEngine.start(1400, ["caddy:2.11", "python:3.11-slim-bookworm"]);
    lead(engine.address);
    app = await TestApp.create();
    const services = { frontend: { startSeconds: 60 }, backend: { startSeconds: 60 } };
    stack = await TestStack.create(
      { source: app.folder, services, domain, tls: "internal" },
      { DOCKER_HOST: engine.host },
    );
  });
  afterAll(async () => {
    stranger?.close();
    if (stack) await stack.remove();
    await engine?.remove();
    app?.remove();
    lead();
  });

  it("is served by HTTPS at the first deploy, and proven there", async () => {
    await deployed(stack.up());
    const commit = await app.git("rev-parse", "HEAD");
    expect(JSON.parse(await get("/.freshness/frontend"))).toEqual({ commit });
    expect(await get("/")).toContain("hello v1");
    expect(await stack.outputs()).toMatchObject({ url: `https://${domain}`, commit });
  });

  it("stays in an `up` without changes, and a new commit uses the same certificate", async () => {
    const before = await authority();
    expect((await deployed(stack.up())).changes).toEqual({});
    const commit = await app.commit({ "frontend/message.txt": "hello v2\n" });
    await deployed(stack.up());
    expect(JSON.parse(await get("/.freshness/backend"))).toEqual({ commit });
    expect(await authority()).toBe(before);
    expect((await stack.verify()).status).toBe(0);
  });

  it("breaks the link if the name resolves to a server with another certificate", async () => {
    const file = join(stack.folder, "stranger.pem");
    await selfSigned(`DNS:${domain}`, file, `${file}.crt`);
    const [key, cert] = [file, `${file}.crt`].map((path) => readFileSync(path));
    stranger = createServer({ key, cert }, (_, answer) => answer.end("{}"));
    const near = engine.address.replace(/\.2$/, ".1");
    await new Promise<void>((ready) => stranger!.listen(443, near, ready));
    lead(near);
    const { status, stderr } = await stack.verify();
    expect(status).toBe(1);
    expect(stderr).toMatch(
      new RegExp(
        `freshness: served of \\w+: https://${domain}/\\.freshness/\\w+ at ${near} does not answer; expected .*, found no answer \\(self-signed certificate`,
      ),
    );
    lead(engine.address);
    expect((await stack.verify()).status).toBe(0);
  });
});
