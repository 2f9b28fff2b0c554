import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
import { gzipSync } from "node:zlib";
import { afterAll, describe, expect, it } from "@jest/globals";
import fc from "fast-check";
import { readReport } from "../../cli/deploy";
import { hashTar, readSaved } from "../../engine/tarFiles";
import { namedByPage, registrations, textOfPage } from "../../freshness/browser/html";
import { privateLifetime } from "../../freshness/browser/lifetime";
import { ignoreRules } from "../../freshness/dockerignore";
import { cachedBy, commitOf, versionVerdict } from "../../freshness/served";
import { readAnswer } from "../../freshness/served/asking";
import { namesCommit, pagesVerdict } from "../../freshness/served/pages";

const FULL = process.env.WATCH_PARTY_FULL === "1";
/** In CI a second or two for each reader. */
const runs = (count: number) => ({ numRuns: FULL ? count * 200 : count });
/** What is read in a time that grows with its size takes far less for what is made here. */
const LONGEST_MS = 5_000;

function inTime<T>(read: () => T): T {
  const started = performance.now();
  const result = read();
  expect(performance.now() - started).toBeLessThan(LONGEST_MS);
  return result;
}

/** Parts of a language, put together at random and said over and over. */
const corpus = (parts: readonly string[]) => {
  const part = fc.oneof(fc.constantFrom(...parts), fc.string({ unit: "binary", maxLength: 8 }));
  const piece = fc.array(part, { maxLength: 12 }).map((each) => each.join(""));
  const many = fc.tuple(piece, fc.constantFrom(1, 1, 1, 20, 5_000));
  return fc
    .array(many, { maxLength: 4 })
    .map((each) => each.map(([text, times]) => text.repeat(times)).join(""));
};

const HTML = [
  ..."<!-- --> --!> <![CDATA[ ]]> <!doctype <? <script </script <style> </style> <title> </title> <svg> <math> </svg>".split(
    " ",
  ),
  ..."<template> </template> <noscript> </noscript> <base <link <img <source <textarea> <plaintext> <iframe> <b <p> <a".split(
    " ",
  ),
  ..."> /> = \" ' ` & &amp; &#x41; &#99999999; &notin href= src= rel=stylesheet media=print type=importmap srcset=".split(
    " ",
  ),
  ..."/a.js //b.test/ data: javascript: http://[ https://a.test:99999/ __proto__ constructor \0 \uD800 \u2028".split(
    " ",
  ),
  'navigator.serviceWorker.register("/sw.js"',
  "new Workbox(new URL('",
  '{"imports":{"a":"/b.js"}}',
  " ",
  "\n",
];

describe("untrusted input is read in time and without a crash:", () => {
  it("pages", () => {
    const property = fc.property(corpus(HTML), (html) => {
      const named = inTime(() => namedByPage(html, "https://a.test/app/"));
      for (const { url } of named.assets) expect(new URL(url).origin).toBe("https://a.test");
      inTime(() => named.inline.map((code) => registrations(code, named.base)));
      inTime(() => textOfPage(html));
    });
    fc.assert(property, runs(150));
  });

  it("names of scripts and pictures are found after unclosed markup", () => {
    const before = fc.constantFrom(
      "<p",
      "&",
      "<br/>",
      "<svg><p>",
      "<b><i><a>",
      "</x></p>",
      "<!doctype x>",
      "\0",
    );
    const property = fc.property(fc.array(before, { maxLength: 10 }), (parts) => {
      const html = `${parts.map((part) => (part === "<p" ? "<p>" : part)).join("")}<script src=/a.js></script><img src=/b.png>`;
      expect(namedByPage(html, "https://a.test/").assets).toHaveLength(2);
    });
    fc.assert(property, runs(100));
  });

  it.each([
    ["comments", "<!--"],
    ["tags", "<title "],
    ["brackets", "<"],
    ["attributes of one tag", " a='b' c=d"],
    ["elements", "<div>"],
    ["ends of nothing", "</x>"],
    ["texts for a title", "<title>"],
    ["scripts", "<script>"],
    ["ends of scripts", "</script "],
    ["letters in bold", "<b x><p>"],
    ["references", "&notin"],
    ["drawings", "<svg><title>"],
    ["templates", "<template>"],
    ["pictures", "<img src=a>"],
    ["workers", "<script>serviceWorker.register('</script>"],
  ])("a page of half a megabyte of open %s", (_, piece) => {
    const html = `<a ${piece.repeat(500_000 / piece.length)}`;
    for (const page of [html, html.slice(3)]) {
      const { inline, base } = inTime(() => namedByPage(page, "https://a.test/"));
      inTime(() => inline.map((code) => registrations(code, base)));
      inTime(() => textOfPage(page));
    }
  });

  it("versions", () => {
    const sha = "0123456789".repeat(4);
    const json = fc.json({ maxDepth: 6 });
    const parts = [
      '{"commit":',
      '"',
      sha,
      "}",
      "[",
      "{",
      '"__proto__":',
      "null",
      "1e999",
      "\0",
      "\u001b[2J",
      "\u202e",
      ",",
    ];
    const property = fc.property(fc.oneof(json, corpus(parts)), (body) => {
      const found = inTime(() => commitOf({ body }));
      expect(["string", "undefined"]).toContain(typeof found);
      const answer = {
        url: "https://a.test/version",
        address: "",
        status: 200,
        headers: {},
        body,
        error: "",
      };
      const of = { link: "container", service: "web", commit: sha } as const;
      const verdict = inTime(() => versionVerdict(of, [answer]));
      expect(verdict.status).toBe(found === sha ? "proven" : "broken");
      expect(verdict.found.length).toBeLessThan(400);
      // biome-ignore lint/suspicious/noControlCharactersInRegex: a terminal would take them for commands
      expect(verdict.found).not.toMatch(/[\u0000-\u001f\u007f-\u009f\u202e]/);
    });
    fc.assert(property, runs(500));
  });

  it.each([
    ["deep lists", "[".repeat(1_000_000)],
    ["deep objects", '{"a":'.repeat(1_000_000)],
    ["a long text", `{"commit":"${"a".repeat(5_000_000)}"}`],
    ["a number without end", `{"commit":${"9".repeat(1_000_000)}}`],
    ["a prototype", '{"__proto__":{"commit":"abc"}}'],
    ["nothing", "null"],
  ])("a version of %s", (_, body) => expect(inTime(() => commitOf({ body }))).toBeUndefined());

  it("commits in pages", () => {
    const sha = "abcdef0123".repeat(4);
    const parts = [
      sha,
      sha.slice(0, 7),
      "-dirty-",
      "a",
      "f",
      "\\u0041",
      "%41",
      "<script>",
      "</script ",
      "<",
      "0123456",
    ];
    const property = fc.property(corpus(parts), (body) => {
      const answer = { url: "https://a.test/", address: "", status: 200, headers: {}, body, error: "" };
      const isNamed = inTime(() => namesCommit(body, sha));
      expect(inTime(() => pagesVerdict("web", sha, [answer])).status).toBe(isNamed ? "proven" : "broken");
    });
    fc.assert(property, runs(150));
  });

  it("headers", () => {
    const name = fc.constantFrom(
      ..."cache-control age expires date last-modified pragma cache-status x-cache vary".split(" "),
    );
    const value = corpus([
      "max-age",
      "=",
      '"',
      ",",
      ";",
      " ",
      "60",
      "no-cache",
      "hit",
      "Thu, 01 Jan 1970 00:00:00 GMT",
    ]);
    const property = fc.property(fc.dictionary(name, value), value, (headers, words) => {
      const { seconds } = inTime(() => privateLifetime(headers, new Date(0)));
      expect(seconds).toBeGreaterThanOrEqual(0);
      inTime(() => cachedBy(headers));
      inTime(() => readAnswer(Buffer.from(`HTTP/1.1 200 OK\r\n${words}: ${words}\r\n\r\n${words}`)));
    });
    fc.assert(property, runs(200));
  });

  it("ignore files", () => {
    const rules = corpus([
      "**/",
      "*",
      "?",
      "[",
      "]",
      "^",
      "-",
      "\\",
      "!",
      "#",
      "/",
      "..",
      ".",
      "a",
      "\n",
      "\r\n",
      "\uFEFF",
    ]);
    const path = fc.array(fc.constantFrom("a", "b.js", ".git", "\n", "😀", "__proto__"), { minLength: 1 });
    const property = fc.property(rules, path, (text, parts) => {
      inTime(() => ignoreRules(text).ignores(parts.join("/")));
    });
    fc.assert(property, runs(150));
  });
});

/** One entry of an archive as anybody may write it. */
function entry(
  name: string,
  type: string,
  body: Buffer | string = "",
  given: { size?: string; target?: string } = {},
): Buffer {
  const content = Buffer.from(body);
  const header = Buffer.alloc(512);
  header.write(name.slice(0, 100), 0);
  header.write("0000644\0", 100);
  header.write(given.size ?? `${content.length.toString(8).padStart(11, "0")}\0`, 124);
  header.write(type, 156);
  header.write((given.target ?? "").slice(0, 100), 157);
  header.write("ustar\x0000", 257);
  return Buffer.concat([header, content, Buffer.alloc((512 - (content.length % 512)) % 512)]);
}
const END = Buffer.alloc(1024);
const record = (key: string, value: string) => {
  const rest = ` ${key}=${value}\n`;
  for (let length = rest.length; ; length++)
    if (String(length).length + rest.length === length) return `${length}${rest}`;
};
const read = (bytes: Buffer) => hashTar(Readable.from([bytes]), "sha1");

describe("an archive is read in time and without a crash", () => {
  it.each<[string, Buffer[], RegExp]>([
    [
      "a size that is not a number",
      [entry("x", "x", record("size", "many")), entry("a", "0", "text")],
      /size/,
    ],
    ["a size below nothing", [entry("x", "x", record("size", "-1")), entry("a", "0", "text")], /size/],
    ["a size beyond all files", [entry("a", "0", "text", { size: "77777777777\0" })], /middle/],
    [
      "a binary size beyond numbers",
      [entry("a", "0", "", { size: `\x80${"\x7f".repeat(11)}` })],
      /size|middle/,
    ],
    ["a long name without end", [entry("L", "L", "a".repeat(2 << 20)), entry("a", "0")], /more than/],
    [
      "records without end",
      [entry("x", "x", record("comment", "a".repeat(2 << 20))), entry("a", "0")],
      /more than/,
    ],
  ])("and refused if it has %s", async (_, parts, error) => {
    await expect(read(Buffer.concat([...parts, END]))).rejects.toThrow(error);
  });

  it("with devices, links, holes and outside paths, which count only as names", async () => {
    const parts = [
      entry("../../etc/passwd", "0", "a"),
      entry("/abs", "0", "b"),
      entry("a/../../b", "0", "c"),
      entry("null", "3"),
      entry("disk", "4"),
      entry("pipe", "6"),
      entry("sparse", "S"),
      entry("link", "2", "", { target: "/edge/Caddyfile" }),
      entry("hard", "1", "", { target: "../../etc/shadow" }),
      entry("again", "1", "", { target: "abs" }),
      entry("x", "x", record("path", "__proto__") + record("__proto__", "x")),
      entry("short", "0", "d"),
      entry("a/.wh.b", "0"),
    ];
    const files = await read(Buffer.concat([...parts, END]));
    const names = ["../../etc/passwd", "abs", "a/../../b", "link", "again", "__proto__", "a/.wh.b"];
    expect([...files.keys()]).toEqual(names);
  });

  it("with any number of repeated records", async () => {
    const more = entry("x", "x", record("path", "a".repeat(1000)) + record("comment", "b".repeat(100_000)));
    const files = await read(Buffer.concat([...Array(200).fill(more), entry("a", "0"), END]));
    expect([...files.keys()]).toEqual(["a".repeat(1000)]);
  });

  it("with a highly compressed layer", async () => {
    const layer = gzipSync(Buffer.concat([entry("zeros", "0", Buffer.alloc(64 << 20)), END]), { level: 1 });
    const saved = Buffer.concat([entry("layer.tar", "0", layer), entry("manifest.json", "0", "[]"), END]);
    const { archives, documents } = await readSaved(Readable.from([saved]), "sha1");
    expect(archives.get("layer.tar")?.get("zeros")?.hash).toHaveLength(40);
    expect(documents.get("manifest.json")).toBe("[]");
  });

  it("with any changed bytes", async () => {
    const good = Buffer.concat([
      entry("x", "x", record("path", "long")),
      entry("a", "0", "some text"),
      entry("L", "L", "longer"),
      entry("b", "2", "", { target: "a" }),
      entry("c", "1", "", { target: "long" }),
      END,
    ]);
    const change = fc.tuple(fc.nat({ max: good.length - 1 }), fc.nat({ max: 255 }));
    const property = fc.asyncProperty(fc.array(change, { maxLength: 6 }), fc.nat(), async (changes, cut) => {
      const bytes = Buffer.from(good);
      for (const [at, value] of changes) bytes[at] = value;
      const part = bytes.subarray(0, cut % 3 === 0 ? cut % bytes.length : bytes.length);
      const found = await read(part).catch((cause: Error) => cause.message);
      expect(typeof found === "string" ? found : "").toMatch(/^$|^the archive /);
    });
    await fc.assert(property, runs(300));
  });
});

describe("a certificate on disk", () => {
  const folder = mkdtempSync(join(tmpdir(), "watch-party-report-"));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));
  it.each([
    "",
    "{",
    "null",
    "[]",
    "5",
    '{"certificate":null}',
    '{"certificate":{"links":{}},"seconds":{}}',
    "[".repeat(100_000),
  ])("%.20s counts as none", (content) => {
    const file = join(folder, "certificate.json");
    writeFileSync(file, content);
    expect(() => readReport(file)).toThrow(/certificate\.json is not a certificate of this program; run/);
  });
});
