import { createServer, type Server } from "node:http";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "@jest/globals";
import { parseConfig } from "../../config";
import { secretsOf } from "../../config/secrets";
import { formatOf, webhookBody } from "../../freshness/events";
import { runHook } from "../../release/hooks";
import { notify } from "../../release/notify";

describe("a hook", () => {
  const facts = { stack: "prod", url: "http://app", commit: "c0ffee", release: "c0ffee-1" };
  const run = async (hooks: Record<string, unknown>) => {
    const lines: string[] = [];
    const telling = {
      mask: (text: string) => text.replaceAll("hunter2", "[secret]"),
      say: (line: string) => void lines.push(line),
    };
    await runHook(parseConfig({ hooks }).hooks, "beforeBuild", facts, telling);
    return lines;
  };

  it("has the release and the named variables in its environment, and no others", async () => {
    process.env.HOOK_TEST_GIVEN = "given";
    process.env.HOOK_TEST_OTHER = "other";
    try {
      const said = await run({ beforeBuild: "env", env: ["HOOK_TEST_GIVEN", "HOOK_TEST_ABSENT"] });
      expect(said).toEqual(
        expect.arrayContaining([
          "DEPLOY_HOOK=beforeBuild",
          "DEPLOY_STACK=prod",
          "DEPLOY_URL=http://app",
          "DEPLOY_COMMIT=c0ffee",
          "DEPLOY_RELEASE=c0ffee-1",
          "HOOK_TEST_GIVEN=given",
        ]),
      );
      expect(said.join("\n")).not.toContain("other");
    } finally {
      delete process.env.HOOK_TEST_GIVEN;
      delete process.env.HOOK_TEST_OTHER;
    }
  });

  it("is a text for a shell, or a program with its arguments", async () => {
    expect(await run({ beforeBuild: ["printf", "%s\n", "a b", "$HOME"] })).toEqual(["a b", "$HOME"]);
    expect(await run({ beforeBuild: "echo one; echo two >&2" })).toEqual(
      expect.arrayContaining(["one", "two"]),
    );
  });

  it("fails with its exit status, and with secrets masked", async () => {
    await expect(run({ beforeBuild: "echo hunter2 > /dev/null; exit 3" })).rejects.toThrow(
      "hook beforeBuild: sh -c echo [secret] > /dev/null; exit 3 failed: exit 3",
    );
    await expect(run({ beforeBuild: ["no-such-program"] })).rejects.toThrow("ENOENT");
  });

  it("is ended with all that it started after its time", async () => {
    await expect(run({ beforeBuild: "sleep 300 & sleep 300", seconds: 1 })).rejects.toThrow(
      "hook beforeBuild: not done within 1 s (watch-party:hooks.seconds)",
    );
  });

  it("does nothing if the configuration has none", async () => {
    expect(await run({ afterSwitch: "echo no" })).toEqual([]);
  });
});

describe("a webhook", () => {
  let server: Server;
  let at: string;
  const bodies: unknown[] = [];
  let warnings: string[] = [];
  beforeAll(async () => {
    server = createServer(async (request, response) => {
      if (request.url === "/never") return;
      const chunks: Buffer[] = [];
      for await (const chunk of request) chunks.push(chunk as Buffer);
      bodies.push(JSON.parse(Buffer.concat(chunks).toString()));
      response.writeHead(request.url === "/bad" ? 500 : 200).end();
    });
    await new Promise<void>((ready) => server.listen(0, "127.0.0.1", ready));
    at = `http://127.0.0.1:${(server.address() as { port: number }).port}`;
  });
  afterAll(() => {
    server.closeAllConnections();
    server.close();
  });
  afterEach(() => {
    bodies.splice(0);
    warnings = [];
  });

  const event = {
    event: "refused",
    stack: "prod",
    url: "http://app",
    commit: "c0ffee",
    error: "<broken> & more",
  } as const;
  const tell = (given: unknown) =>
    notify(parseConfig({ notify: given }), event, (text) => void warnings.push(text));

  it("gets all facts as JSON, or a text as Slack takes it", async () => {
    await tell([`${at}/`, { url: `${at}/`, format: "slack" }, { url: `${at}/`, on: ["deployed"] }]);
    expect(warnings).toEqual([]);
    expect(bodies).toHaveLength(2);
    expect(bodies).toContainEqual({ ...event, time: expect.any(String) });
    expect(bodies).toContainEqual({
      text: "prod: refused c0ffee, http://app\n&lt;broken&gt; &amp; more",
    });
    expect(formatOf("https://hooks.slack.com/services/T/B/x")).toBe("slack");
    expect(
      JSON.parse(webhookBody("json", { ...event, error: "x".repeat(5000) }, new Date())).error,
    ).toHaveLength(1000);
  });

  it.each<[string, unknown, string]>([
    ["an error", "/bad", 'notify[0] was not told "refused": status 500'],
    ["no answer", "/never", 'notify[0] was not told "refused": no answer within 5 s'],
  ])("that answers with %s is a warning without its address", async (_, path, warning) => {
    await tell(`${at}${path}`);
    expect(warnings).toEqual([warning]);
  });

  it("that is not reached is a warning, also without a URL on this machine", async () => {
    await tell(["http://127.0.0.1:1/secret", { url: { env: "NO_SUCH_WEBHOOK" } }]);
    expect(warnings).toEqual(
      expect.arrayContaining([
        expect.stringMatching(/^notify\[0\] was not told "refused": \w+$/),
        'notify[1] was not told "refused": it has no URL on this machine',
      ]),
    );
  });

  it("has a URL that no log shows", () => {
    expect(secretsOf(parseConfig({ notify: "https://hooks.slack.com/x" }))).toContain(
      "https://hooks.slack.com/x",
    );
    expect(() => parseConfig({ notify: { url: "not a URL" } })).toThrow("notify.0.url is [secret]");
  });
});
