import dockerignore from "@balena/dockerignore";
import { describe, expect, it } from "@jest/globals";
import fc from "fast-check";
import { ignoreRules } from "../../freshness/dockerignore";

describe("a .dockerignore", () => {
  it.each<[rules: string, ignored: readonly string[], kept: readonly string[]]>([
    ["node_modules", ["node_modules", "node_modules/a/b.js"], ["a/node_modules/x", "node_modules2"]],
    ["**/node_modules", ["node_modules/x", "a/b/node_modules/x"], ["a/xnode_modules/x"]],
    ["*.md\n!README.md", ["a.md"], ["README.md", "docs/a.md"]],
    ["# all\n\n  docs/  \n", ["docs/a"], ["a/docs"]],
    ["/dist", ["dist/a"], ["a/dist"]],
    ["a/./b/../c", ["a/c"], ["a/b"]],
    ["**", ["a", "a/b"], []],
    ["a/**", ["a/b", "a/b/c"], ["b"]],
    ["a/**/b", ["a/b", "a/x/y/b", "a/b/c"], ["b", "ab"]],
    ["te?t.[a-c]", ["test.a", "text.c"], ["test.d", "te/t.a", "tests.a"]],
    ["[^a]b", ["xb"], ["ab"]],
    ["a\\*b", ["a*b"], ["axb"]],
    ["a+b(c)|d$", ["a+b(c)|d$"], ["aab"]],
    ["[open", ["[open"], ["o"]],
    ["\uFEFFsecret", ["secret"], []],
    ["é?", ["é😀"], ["é"]],
    ["*\n!src\nsrc/tmp", ["a", "src/tmp/x"], ["src/a.ts"]],
    ["!", [], ["!"]],
    ["__proto__", ["__proto__"], ["constructor"]],
  ])("%j excludes the same files as Docker", (rules, ignored, kept) => {
    const { ignores } = ignoreRules(rules);
    expect(ignored.filter((path) => !ignores(path))).toEqual([]);
    expect(kept.filter(ignores)).toEqual([]);
  });

  it("is read like the replaced reader, where that one is correct", () => {
    const name = fc.stringMatching(/^[ab.]{1,3}$/).filter((each) => !/^\.+$/.test(each));
    const glob = fc.stringMatching(/^(\*|\?|a|b|\.){1,3}$/).filter((each) => !/^\.+$|\*\*/.test(each));
    const part = fc.oneof(name, glob, fc.constant("**"));
    const rule = fc.tuple(fc.constantFrom("", "!"), fc.array(part, { minLength: 1, maxLength: 4 }));
    const rules = fc.array(rule, { minLength: 1, maxLength: 4 });
    const path = fc.array(name, { minLength: 1, maxLength: 4 }).map((parts) => parts.join("/"));
    const property = fc.property(rules, path, (given, at) => {
      const text = given.map(([mark, parts]) => `${mark}${parts.join("/")}`).join("\n");
      const other = dockerignore({ ignorecase: false } as object).add(text);
      expect([text, at, ignoreRules(text).ignores(at)]).toEqual([text, at, other.ignores(at)]);
    });
    fc.assert(property, { numRuns: process.env.WATCH_PARTY_FULL === "1" ? 200_000 : 5_000 });
  });

  it.each([
    ["folders", `${"**/".repeat(12)}x`],
    ["folders between names", `${"**/a/".repeat(40)}x`],
    ["stars", `${"*a".repeat(40)}x`],
    ["long sets", `${"[a-z]*".repeat(40)}1`],
    ["a long line", "*a**/".repeat(100_000)],
    ["an open set", "[".repeat(100_000)],
  ])("with many %s is read in a moment", (_, pattern) => {
    const { ignores } = ignoreRules(pattern);
    const started = performance.now();
    for (let file = 0; file < 50; file++) ignores(`${"a/".repeat(100)}${"a".repeat(200)}${file}`);
    expect(performance.now() - started).toBeLessThan(5_000);
  });
});
