import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import type { Life, LifeResult } from "../../freshness/browser/replay";
import { NEW_BROWSER } from "../../freshness/browser/worker";
import { liveApart } from "../../proof/workerLife";

const live = (script: string, more: Partial<Life> = {}): Promise<LifeResult> =>
  liveApart({
    url: "https://a.test/sw.js",
    scope: "https://a.test/",
    script,
    imports: {},
    page: "https://a.test/",
    html: "<p>page</p>",
    stamp: "new",
    profile: NEW_BROWSER,
    events: ["install", "activate", "navigate"],
    ...more,
  });
/** Answers the navigation with what an expression gives, or with what it throws. */
const tells = (expression: string) =>
  `onfetch = (event) => event.respondWith((async () => {
    let said;
    try { said = await (${expression}); } catch (cause) { said = "threw " + cause; }
    return new Response(String(said));
  })());`;

let server: Server;
let asked = 0;
beforeAll(async () => {
  server = createServer((_, response) => {
    asked++;
    response.end("reached");
  });
  await new Promise<void>((ready) => server.listen(0, "127.0.0.1", ready));
});
afterAll(() => void server.close());

describe("a service worker's script", () => {
  it("cannot access Node, its process, or WebAssembly", async () => {
    const names = [
      "process",
      "require",
      "module",
      "Buffer",
      "global",
      "WebAssembly",
      "SharedArrayBuffer && Atomics",
    ];
    const found = names.map(
      (name) => `(() => { try { return typeof (${name}); } catch { return "undefined"; } })()`,
    );
    const ways = [
      'typeof globalThis.constructor.constructor("return this")().process',
      "typeof (function () { return this; })().process",
      "typeof Object.getPrototypeOf(async () => {}).constructor",
      "typeof new Error().stack.process",
      "typeof [].constructor.constructor('return globalThis')().process",
    ];
    const { body, error } = await live(tells(`[${[...found, ...ways].join(", ")}].join(" ")`));
    expect(error).toBe("");
    expect(body).toMatch(/^(undefined ){9}function undefined undefined$/);
  });

  it("cannot load a module of Node", async () => {
    const names = "http fs child_process os worker_threads inspector sqlite vm net module".split(" ");
    const load = `(name) => import("node:" + name).catch(() => import(name)).then(() => name, () => "")`;
    const ways = `require("fs")`;
    const { body } = await live(
      tells(`Promise.all(${JSON.stringify(names)}.map(${load})).then((all) => all.join("") || ${ways})`),
    );
    expect(body).toMatch(/^threw ReferenceError/);
  });

  it("reaches no server: its fetches return the simulated answers", async () => {
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/x.txt`;
    const script = `${tells(`fetch("${url}").then((answer) => answer.text())`)}
      try { importScripts("${url}"); } catch {}
      new (class { constructor() { try { new WebSocket("${url}"); } catch {} } })();`;
    const { body, missing } = await live(script);
    expect({ body, missing }).toEqual({ body: `new ${url}`, missing: [url] });
    expect(asked).toBe(0);
  });

  it.each([
    ["loops", "for (;;);", /does not finish/],
    [
      "loops for ever in promises",
      "const again = () => Promise.resolve().then(again); again(); oninstall = (e) => e.waitUntil(new Promise(() => {}));",
      /does not finish/,
    ],
    [
      "loops in uncaught code",
      "for (;;) try { for (;;); } catch {} finally { continue; }",
      /does not finish/,
    ],
    ["searches for ever", '/(a+)+$/.test("a".repeat(60) + "b")', /does not finish/],
    [
      "takes all memory",
      "const all = []; for (;;) all.push(new Uint8Array(1 << 20).fill(1));",
      /memory|end|run/,
    ],
    [
      "takes all memory at once",
      "new Uint8Array(2 ** 31); [...Array(1e9)];",
      /memory|length|range|cannot be run/i,
    ],
    ["makes endless texts", "let text = 'x'; for (;;) text += text;", /memory|too long|run/],
    ["calls itself", "const down = () => down() + 1; down();", /stack/],
    [
      "fills its caches",
      'oninstall = (e) => e.waitUntil((async () => { const c = await caches.open("v"); for (let at = 0; ; at++) await c.put("/" + at, new Response("x".repeat(1 << 20))); })());',
      /memory|takes more|end|run/,
    ],
  ])("that %s ends in time", async (_, script, error) => {
    const started = performance.now();
    const result = await live(script);
    expect(result.error).toMatch(error);
    expect(result.profile).toEqual(NEW_BROWSER);
    expect(performance.now() - started).toBeLessThan(40_000);
  });

  it("cannot change the program by its result", async () => {
    const script = `
      Object.prototype.error = "all is well"; Array.prototype.toJSON = () => "taken over";
      JSON.stringify = () => '{"why":"mine"}'; Promise.prototype.constructor = 1;
      oninstall = (e) => e.waitUntil(caches.open("__proto__").then((c) =>
        c.put("/__proto__", new Response('{"__proto__":{"polluted":1}}'))));
      ${tells('throw new Error("\\u001b[2Jcleared")')}`;
    const { error } = await live(script);
    expect(({} as Record<string, unknown>).polluted).toBeUndefined();
    expect(({} as Record<string, unknown>).error).toBeUndefined();
    // biome-ignore lint/suspicious/noControlCharactersInRegex: none of them is to come back
    expect(error).not.toMatch(/[\u0000-\u001f]/);
  });

  it.each([
    ["an invalid profile", 'Object.defineProperty(Object.prototype, "caches", { get: () => 5 })'],
    ["an error that is not text", "Array.prototype.map = () => 7"],
    ["nothing", "Promise.prototype.then = () => {}"],
    ["another promise", "globalThis.Promise = class {}"],
  ])("that returns %s is not checked", async (_, script) => {
    const result = await live(`${script};`);
    expect(typeof result.error).toBe("string");
    expect(Array.isArray(result.profile.caches)).toBe(true);
  });

  it("has a browser's addresses, headers, bodies and timers", async () => {
    const checks = `(async () => {
      const url = new URL("../b?x=1&x=2#h", "https://u:p@a.test:8443/a/c");
      url.searchParams.append("y", "ä +&"); url.pathname = "/ü"; url.hash = "";
      const headers = new Headers([["B", "1"], ["a", "2"]]); headers.append("b", "3");
      const copy = new Response(new Response("text", { headers: { "x-a": "1" } }).body, { status: 201 });
      const bytes = await new Response("ä😀").arrayBuffer();
      const order = []; setTimeout(() => order.push(2), 500); setTimeout(() => order.push(1), 10);
      await new Promise((done) => setTimeout(done, 600));
      const request = new Request("/p?q", { method: "post", body: "b", headers });
      return JSON.stringify([url.href, url.origin, [...headers], copy.status, await copy.text(), bytes.byteLength,
        await new Response(bytes).text(), order, request.url, request.method, await request.clone().text(),
        atob(btoa("hello")), new URLSearchParams({ a: "b c" }) + "", (await new Response('{"a":1}').json()).a,
        await (await new Response("z").blob()).text(), URL.canParse("x"), Response.error().type,
        new TextDecoder().decode(new TextEncoder().encode("é")), self === globalThis, location.pathname]);
    })()`;
    const { body, error } = await live(tells(checks), { page: "https://a.test/" });
    expect(error || body?.slice(0, 300)).toContain("[");
    expect(JSON.parse(body!)).toEqual([
      "https://u:p@a.test:8443/%C3%BC?x=1&x=2&y=%C3%A4+%2B%26",
      "https://a.test:8443",
      [
        ["a", "2"],
        ["b", "1, 3"],
      ],
      201,
      "text",
      6,
      "ä😀",
      [1, 2],
      "https://a.test/p?q",
      "POST",
      "b",
      "hello",
      "a=b+c",
      1,
      "z",
      false,
      "error",
      "é",
      true,
      "/sw.js",
    ]);
  });
});
