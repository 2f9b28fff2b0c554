import { existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import type { Link } from "../../freshness/chain";
import { TestApp } from "../support/app";
import { TestStack } from "../support/stack";

/** A fault in what is deployed: files of a commit, or what lies beside one. */
interface Fault {
  readonly fault: string;
  readonly link: Link;
  readonly service: string;
  /** Path → its new content, from the content it has. Committed unless the fault is that it is not. */
  readonly files: Readonly<Record<string, (content: string) => string>>;
  readonly uncommitted?: boolean;
  readonly found: RegExp;
}

const DOCKERFILE = "backend/Dockerfile";
const dockerfile = (fault: string, change: (content: string) => string, found: RegExp): Fault => ({
  ...{ fault, link: "dockerfile", service: "backend", files: { [DOCKERFILE]: change }, found },
});
const afterCopy = (lines: string) => (content: string) => content.replace(/^COPY \. .*$/m, `$&\n${lines}`);
const page = (change: (server: string) => string) => ({ "frontend/server.py": change });

const FAULTS: Fault[] = [
  {
    ...{
      fault: "a file is changed and not committed",
      link: "commit",
      service: "every service",
      uncommitted: true,
    },
    files: { "backend/message.txt": () => "not committed\n" },
    found: /1 changed or untracked: .*backend\/message\.txt/,
  },
  {
    ...{ fault: "a file is not known to git", link: "commit", service: "every service", uncommitted: true },
    files: { "backend/stray.py": () => "" },
    found: /\?\? backend\/stray\.py/,
  },
  dockerfile(
    "the commit is no build argument",
    (of) => of.replace(/^ARG GIT_COMMIT_HASH\n/m, ""),
    /Dockerfile:\d+/,
  ),
  dockerfile(
    "the commit reaches the build after the sources are copied",
    (of) => of.replace(/^(ARG GIT_COMMIT_HASH\nRUN .*\n)(COPY \. \.\n)/m, "$2$1"),
    /Dockerfile:\d+/,
  ),
  dockerfile(
    "the sources are cloned past the context",
    afterCopy("RUN git clone https://example.org/app.git /x"),
    /git clone/,
  ),
  dockerfile(
    "a file comes from a URL",
    afterCopy("ADD https://example.org/app.js /app/src/app.js"),
    /example\.org/,
  ),
  dockerfile(
    "files come from an image by its tag",
    afterCopy("COPY --from=caddy:2.11 /usr/bin/caddy /x"),
    /caddy:2\.11/,
  ),
  dockerfile("a build's failure is swallowed", afterCopy("RUN npm run build || true"), /Dockerfile:\d+/),
  {
    ...{ fault: "an inline cache is asked for in the Dockerfile", link: "cache", service: "backend" },
    files: { [DOCKERFILE]: (of) => of.replace(/^ARG GIT_COMMIT_HASH\n/m, "$&ENV BUILDKIT_INLINE_CACHE=1\n") },
    found: /BUILDKIT_INLINE_CACHE/,
  },
  {
    ...{ fault: "a compose file takes layers from an earlier image", link: "cache", service: "frontend" },
    files: {
      "docker-compose.yml": () =>
        "services:\n  backend:\n    build:\n      context: backend\n      cache_from: [app:latest]\n",
    },
    found: /cache_from/,
  },
  {
    ...{ fault: "a cache is mounted over build output", link: "cache", service: "backend" },
    files: { [DOCKERFILE]: afterCopy("RUN --mount=type=cache,target=/app/src/.next/cache true") },
    found: /\.next/,
  },
  {
    ...{ fault: "the version is not read from the image", link: "container", service: "backend" },
    files: { "backend/server.py": (of) => of.replace("COMMIT_FILE.read_text().strip()", '"0" * 40') },
    found: /found commit 0{40}/,
  },
  {
    ...{ fault: "the version path fails", link: "container", service: "backend" },
    files: { "backend/server.py": (of) => of.replace('url.path == "/version"', 'url.path == "/v"') },
    found: /does not answer/,
  },
  {
    ...{ fault: "browsers may keep the page for an hour", link: "browser", service: "frontend" },
    files: page((of) => of.replaceAll("no-cache", "max-age=3600")),
    found: /3600/,
  },
  {
    ...{ fault: "the page names an asset that does not exist", link: "browser", service: "frontend" },
    files: page((of) => of.replace('href="{style}"', 'href="/assets/gone.css"')),
    found: /\/assets\/gone\.css/,
  },
];

describe("a deploy", () => {
  let app: TestApp;
  let stack: TestStack;
  let good: string;
  const served = async () =>
    (await (await fetch(`${stack.url}/.freshness/backend`)).json()) as { commit: string };

  beforeAll(async () => {
    app = await TestApp.create();
    good = await app.git("rev-parse", "HEAD");
    const services = { frontend: { startSeconds: 5 }, backend: { startSeconds: 5 } };
    stack = await TestStack.create({ source: app.folder, services });
    const outcome = await stack.up();
    if (!outcome.ok) throw new Error(outcome.said);
  });
  afterAll(async () => {
    await stack?.remove();
    app?.remove();
  });

  it.each(FAULTS)("is refused when $fault, and passes without it", async (fault) => {
    const changed = Object.entries(fault.files).map(([path, change]) => {
      const before = existsSync(join(app.folder, path)) ? app.read(path) : undefined;
      const after = change(before ?? "");
      expect(after).not.toBe(before);
      return [path, after] as const;
    });
    if (fault.uncommitted)
      for (const [path, content] of changed) writeFileSync(join(app.folder, path), content);
    else await app.commit(Object.fromEntries(changed));

    try {
      const refused = await stack.up();
      expect(refused.said).toMatch(
        new RegExp(`freshness: ${fault.link} of ${fault.service}: .*expected .*, found `, "s"),
      );
      expect(refused.said).toMatch(fault.found);
      expect(refused.ok).toBe(false);
      expect(await served()).toEqual({ commit: good });
    } finally {
      await app.git("reset", "--quiet", "--hard", good);
      await app.git("clean", "--quiet", "--force", "-d");
    }
    const twin = await stack.up();
    expect(twin.ok ? "" : twin.said).toBe("");
    expect(await served()).toEqual({ commit: good });
  });
});
