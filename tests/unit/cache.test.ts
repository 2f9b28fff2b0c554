import { describe, expect, it } from "@jest/globals";
import { type CacheInput, cacheConfigVerdict, cacheFindings } from "../../freshness/cache";
import { FreshnessError, isBroken } from "../../freshness/chain";

const GOOD = ["FROM a", "WORKDIR /app", "ARG GIT_COMMIT_HASH", "RUN true", "COPY . ."];

function input(lines: readonly string[], more: Partial<CacheInput> = {}): CacheInput {
  return { service: "frontend", path: "Dockerfile", dockerfile: `${lines.join("\n")}\n`, args: {}, ...more };
}

function findings(lines: readonly string[], more: Partial<CacheInput> = {}): string[] {
  return cacheFindings(input(lines, more)).map(({ path, line, why }) => `${path}:${line ?? ""}: ${why}`);
}

function compose(text: string): string[] {
  return cacheFindings(input(GOOD, { compose: [{ path: "compose.yaml", text }] })).map(
    ({ path, line, found }) => `${path}:${line}: ${found}`,
  );
}

describe("BUILDKIT_INLINE_CACHE is refused", () => {
  it.each(["1", "true", "0", ""])("as a build arg of the configuration, whatever its value: %j", (value) => {
    expect(findings(GOOD, { args: { BUILDKIT_INLINE_CACHE: value } })).toEqual([
      expect.stringContaining("watch-party:services.frontend.args.BUILDKIT_INLINE_CACHE:: an inline cache"),
    ]);
  });

  it.each<[string, string[], string]>([
    ["as an ARG", [...GOOD, "ARG BUILDKIT_INLINE_CACHE=1"], "Dockerfile:6: ARG BUILDKIT_INLINE_CACHE"],
    ["as one ARG of several", [...GOOD, "ARG A BUILDKIT_INLINE_CACHE"], "Dockerfile:6: ARG"],
    ["as an ARG before the first FROM", ["ARG BUILDKIT_INLINE_CACHE", ...GOOD], "Dockerfile:1: ARG"],
    ["as an ENV", [...GOOD, "ENV A=1 \\", "  BUILDKIT_INLINE_CACHE=1"], "Dockerfile:6: ENV"],
    ["as an ENV of the old form", [...GOOD, "env BUILDKIT_INLINE_CACHE 1"], "Dockerfile:6: ENV"],
    ["in an ONBUILD", [...GOOD, "ONBUILD ARG BUILDKIT_INLINE_CACHE"], "Dockerfile:6: ONBUILD"],
    [
      "in a stage that is not needed",
      ["FROM a AS x", "ARG BUILDKIT_INLINE_CACHE", ...GOOD],
      "Dockerfile:2: ARG",
    ],
  ])("in the Dockerfile %s", (_, lines, expected) => {
    expect(findings(lines)).toEqual([expect.stringContaining(expected)]);
  });

  it.each<[string, string[]]>([
    ["a comment", ["# no BUILDKIT_INLINE_CACHE", ...GOOD]],
    ["a text", [...GOOD, "LABEL note=BUILDKIT_INLINE_CACHE"]],
    ["a name that only begins so", [...GOOD, "ARG BUILDKIT_INLINE_CACHE_NOTE"]],
  ])("but not in %s", (_, lines) => {
    expect(findings(lines)).toEqual([]);
  });
});

describe("a cache mount is refused", () => {
  it.each([
    ["/app/.next", "holds build output (.next)"],
    ["/app/.next/cache", "holds build output (.next)"],
    [".next/cache", "at /app/.next/cache holds build output (.next)"],
    ["/elsewhere/.turbo", "holds build output (.turbo)"],
    ["/app/dist", "holds build output (dist)"],
    ["./build", "at /app/build holds build output (build)"],
    ["out", "holds build output (out)"],
    ["/app/target", "holds build output (target)"],
    ["/app/src/__pycache__", "holds build output (__pycache__)"],
    ["/app/.nuxt", "holds build output (.nuxt)"],
    ["/app/.svelte-kit", "holds build output (.svelte-kit)"],
    ["/app/.cache", "holds build output (.cache)"],
    ["/app/node_modules/.cache", "holds build output (node_modules/.cache)"],
    ["/app/node_modules", "holds build output (node_modules/.cache)"],
    ["/app", "covers the source in /app"],
    ["/", "covers the source in /app"],
    ["$HOME_OF_APP", "covers the source in /app"],
  ])("on %s", (target, why) => {
    const lines = [...GOOD, "ENV HOME_OF_APP=/app", `RUN --mount=type=cache,target=${target} npm run build`];
    expect(findings(lines)).toEqual([expect.stringContaining(why)]);
    expect(cacheFindings(input(lines))[0]?.line).toBe(7);
  });

  it.each([
    "/root/.npm",
    "/root/.cache/pip",
    "/root/.cache/uv",
    "/root/.cache",
    "/var/cache/apt",
    "/var/lib/apt",
    "/go/pkg/mod",
    "/root/.cache/go-build",
    "/usr/local/cargo/registry",
    "~/.cargo/registry",
    "/pnpm/store",
    "/root/.local/share/pnpm/store",
    "/usr/local/share/.cache/yarn",
    "/app/.yarn/cache",
    "/app/.cache/pip",
    "/build/wheels",
  ])("but not on %s, which a package manager fills", (target) => {
    expect(findings([...GOOD, `RUN --mount=type=cache,id=x,sharing=locked,target=${target} npm ci`])).toEqual(
      [],
    );
  });

  it.each<[string, string[], number]>([
    [
      "above a folder that is copied to later",
      ["FROM a", "RUN --mount=type=cache,target=/srv true", "COPY src /srv/app/"],
      1,
    ],
    [
      "in a stage built on one with source",
      [
        ...GOOD.map((line) => line.replace("FROM a", "FROM a AS b")),
        "FROM b",
        "RUN --mount=type=cache,dst=.next npm run build",
      ],
      1,
    ],
    [
      "of a stage that is not needed",
      ["FROM a AS x", "RUN --mount=type=cache,target=/app/.next true", ...GOOD],
      0,
    ],
    [
      "of node_modules beside manifests only",
      [
        "FROM a",
        "WORKDIR /app",
        "COPY package.json .",
        "RUN --mount=type=cache,target=/app/node_modules npm ci",
      ],
      0,
    ],
    ["of another kind", [...GOOD, "RUN --mount=type=tmpfs,target=/app/.next npm run build"], 0],
  ])("or not, %s", (_, lines, count) => {
    expect(findings(lines)).toHaveLength(count);
  });
});

describe("a compose file is refused for its build section", () => {
  it.each<[string, string, string[]]>([
    [
      "an inline cache in a mapping",
      "services:\n  web:\n    build:\n      context: .\n      args:\n        BUILDKIT_INLINE_CACHE: 1\n",
      ["compose.yaml:6: BUILDKIT_INLINE_CACHE"],
    ],
    [
      "an inline cache in a list",
      "services:\n  web:\n    build:\n      args:\n        - A=1\n        - BUILDKIT_INLINE_CACHE=1\n",
      ["compose.yaml:6: BUILDKIT_INLINE_CACHE"],
    ],
    [
      "an inline cache taken from the environment",
      "services:\n  web:\n    build:\n      args: [BUILDKIT_INLINE_CACHE]\n",
      ["compose.yaml:4: BUILDKIT_INLINE_CACHE"],
    ],
    [
      "cache_from",
      "services:\n  web:\n    build:\n      cache_from:\n        - web:latest\n        - type=gha\n",
      ["compose.yaml:4: cache_from: web:latest, type=gha"],
    ],
    [
      "cache_to inline",
      "services:\n  web:\n    build:\n      cache_to: [type=inline]\n",
      ["compose.yaml:4: cache_to: type=inline"],
    ],
    [
      "x-bake",
      "services:\n  web:\n    build:\n      x-bake:\n        cache-from: type=registry,ref=web\n",
      ["compose.yaml:5: cache-from: type=registry,ref=web"],
    ],
    [
      "an anchor",
      "x-build: &build\n  args: &args\n    BUILDKIT_INLINE_CACHE: 1\nservices:\n  web:\n    build:\n      <<: *build\n      context: .\n  api:\n    build:\n      args: *args\n",
      ["compose.yaml:3: BUILDKIT_INLINE_CACHE", "compose.yaml:3: BUILDKIT_INLINE_CACHE"],
    ],
    [
      "JSON",
      '{"services": {"web": {"build": {"cache_from": ["web"]}}}}',
      ["compose.yaml:1: cache_from: web"],
    ],
    [
      "several services",
      "services:\n  a: {build: {cache_from: [x]}}\n  b: {build: {cache_from: [y]}}\n",
      ["compose.yaml:2: cache_from: x", "compose.yaml:3: cache_from: y"],
    ],
    [
      "a broken file that mentions it",
      "services:\n  web: [\n    build: {cache_from: [x]\n",
      ["compose.yaml:3: build: {cache_from: [x]"],
    ],
  ])("with %s", (_, text, expected) => {
    expect(compose(text)).toEqual(expected);
  });

  it.each<[string, string]>([
    [
      "a build without caches",
      "services:\n  web:\n    build:\n      context: .\n      args:\n        NODE_OPTIONS: --max-old-space-size=2048\n",
    ],
    ["a build that is a path", "services:\n  web:\n    build: ./web\n"],
    ["an empty cache_from", "services:\n  web:\n    build:\n      cache_from: []\n"],
    ["a comment", "# BUILDKIT_INLINE_CACHE and cache_from are gone\nservices: {}\n"],
    [
      "the environment of a container",
      "services:\n  web:\n    image: x\n    environment:\n      BUILDKIT_INLINE_CACHE: 1\n",
    ],
    ["a broken file that does not mention it", "services:\n  web: [\n"],
    ["an empty file", ""],
    ["a list", "- a\n"],
  ])("but not with %s", (_, text) => {
    expect(compose(text)).toEqual([]);
  });
});

describe("the verdict", () => {
  it("names the files that it read when it is proven", () => {
    expect(
      cacheConfigVerdict(input(GOOD, { compose: [{ path: "compose.yaml", text: "services: {}" }] })),
    ).toEqual({
      link: "cache",
      service: "frontend",
      status: "proven",
      expected: "no cache feeds a layer made from source",
      found: "no inline cache, no cache_from, no cache mount on source or build output",
      evidence: "Dockerfile, compose.yaml",
    });
  });

  it("names file, line and remedy when it is broken", () => {
    const verdict = cacheConfigVerdict(
      input([...GOOD, "RUN --mount=type=cache,target=.next/cache npm run build"]),
    );
    if (!isBroken(verdict)) throw new Error("proven");
    expect(new FreshnessError(verdict).message).toBe(
      "freshness: cache of frontend: Dockerfile:6: the cache mount at /app/.next/cache holds build output (.next), and is kept between builds, " +
        "so that files of an earlier commit get into this one; expected cache mounts for package managers only, such as /root/.npm, " +
        "found --mount=type=cache,target=/app/.next/cache. Remove --mount=type=cache,target=/app/.next/cache from line 6 of Dockerfile.",
    );
  });
});
