import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import execa from "execa";
import { contextTar } from "../../engine/contextTar";
import { FAREWELL_WORKER } from "../../freshness/browser";
import type { Link } from "../../freshness/chain";
import { TestApp } from "../support/app";
import { DockerShim } from "../support/dockerShim";
import { FULL, inMatrix, ofThisForm, timed } from "../support/matrix";
import { OriginalFlow } from "../support/original";
import { isOfficial } from "../support/plugins";
import { TestStack } from "../support/stack";
import { withVariables } from "../support/variables";

/** Path → its new content, from the content it has; null removes it. */
type Files = Readonly<Record<string, (content: string) => string | null>>;
type Undo = () => unknown;

/** A fault in what is deployed, or in what deploys it. */
interface Fault {
  /** Injected in the full form alone: another row, or a unit test of the rule, stands for it in CI. */
  readonly onlyInFull?: boolean;
  readonly fault: string;
  readonly link: Link;
  /** Whom the error names; several where it may be any of them. */
  readonly service: string;
  /** Committed unless the fault is that they are not. Default: none, a commit without changes. */
  readonly files?: Files;
  readonly uncommitted?: boolean;
  /** Brings about, before there are the files, what they alone do not. What it deploys is what has to serve on. */
  readonly inject?: (world: World) => Promise<Undo>;
  /** Variables of the deploy that is to be refused. */
  readonly env?: (app: TestApp) => Promise<Record<string, string>>;
  /** What the twin's commit holds besides a new text. Default: nothing, it is the commit before. */
  readonly twin?: Files;
  readonly found: RegExp;
}

interface World {
  readonly app: TestApp;
  readonly stack: TestStack;
  readonly shim: DockerShim;
  /** Commits files and deploys them, which has to succeed. */
  readonly deploy: (files: Files) => Promise<void>;
}

const DOCKERFILE = "backend/Dockerfile";
const dockerfile = (fault: string, change: (content: string) => string, found: RegExp): Fault => ({
  ...{ fault, link: "dockerfile", service: "backend", files: { [DOCKERFILE]: change }, found },
});
const inFull = (fault: Fault): Fault => ({ ...fault, onlyInFull: true });
const afterCopy = (lines: string) => (content: string) => content.replace(/^COPY \. .*$/m, `$&\n${lines}`);
const page = (change: (server: string) => string) => ({ "frontend/server.py": change });
/** Another text of the same length: what serves can be told by it. */
let texts = 100;
const ANOTHER_TEXT: Files = { "backend/message.txt": () => `hello ${texts++}\n` };
/** A server that is neither the context nor the app. */
let elsewhere = "";

const OLD_COMMIT = "0".repeat(40);
/** There is no git in the image: one that brings a file stands in for it. */
const GIT = String.raw`RUN printf '#!/bin/sh\nmkdir -p $3 && echo old > $3/app.js\n' > /bin/git && chmod +x /bin/git`;

/** Builds a commit that is not deployed yet, as anybody can. */
async function buildByHand({ app }: World): Promise<Undo> {
  const commit = await app.commit({ "backend/message.txt": `hello ${texts++}\n` });
  const tags = ["frontend", "backend"].map((service) => `by-hand-${commit.slice(0, 12)}-${service}`);
  for (const [index, service] of ["frontend", "backend"].entries()) {
    const args = ["--quiet", "--tag", tags[index]!, "--build-arg", `GIT_COMMIT_HASH=${commit}`];
    const folder = join(app.folder, service);
    // The context is sent as the plugin sends it: a COPY of all has another cache key otherwise.
    const [context, input] = isOfficial() ? ["-", contextTar(folder, "Dockerfile")] : [folder, undefined];
    await execa("docker", ["build", ...args, context], { env: { DOCKER_BUILDKIT: "1" }, input });
  }
  return () => execa("docker", ["image", "rm", "--force", ...tags]);
}

/** A bytes fault: the commit's context is exported rightly, and what is built from is not that. */
const inTransport = (fault: string, change: string, found: RegExp): Fault => ({
  ...{ fault, link: "bytes", service: "backend", files: ANOTHER_TEXT, found },
  inject: ({ shim }) => shim.install(shim.contextGoesThrough(change)),
});

const OLD_BASE = `by-hand-base-${process.pid}`;

/** Deploys a release with a route, and makes an image of it, as who builds from the app's last image has it. */
async function baseHoldsRoute({ app, deploy }: World): Promise<Undo> {
  await deploy({ "backend/old_route.py": () => "OLD = True\n" });
  const input = "FROM python:3.11-slim-bookworm\nCOPY old_route.py /app/src/\n";
  const args = ["build", "--quiet", "--tag", OLD_BASE, "--file", "-", join(app.folder, "backend")];
  await execa("docker", args, { input, env: { DOCKER_BUILDKIT: "1" } });
  return () => execa("docker", ["image", "rm", "--force", OLD_BASE]);
}

const LFS_POINTER = `version https://git-lfs.github.com/spec/v1\noid sha256:${"1".repeat(64)}\nsize 12\n`;

/** A commit fault: a changed file that git's status does not tell. */
const hidden = (flag: string): Fault => ({
  ...{ fault: `a change is hidden by update-index ${flag}`, link: "commit", service: "every service" },
  inject: async ({ app }) => {
    await app.git("update-index", flag, "backend/message.txt");
    writeFileSync(join(app.folder, "backend", "message.txt"), "hidden\n");
    return () => app.git("update-index", flag.replace("--", "--no-"), "backend/message.txt");
  },
  found: new RegExp(`backend/message\\.txt \\(hidden by update-index ${flag}\\)`),
});

/** Commits a file whose name is Latin-1, as old repositories have them. */
async function latinName(app: TestApp): Promise<Record<string, string>> {
  const name = Buffer.concat([
    Buffer.from(join(app.folder, "backend", "caf")),
    Buffer.from([0xe9]),
    Buffer.from(".txt"),
  ]);
  writeFileSync(name, "text\n");
  await app.commit({});
  return {};
}

/** Makes HEAD a commit whose tree names the folder above. */
async function craftedTree(app: TestApp): Promise<Record<string, string>> {
  const git = async (input: string | Buffer, ...args: string[]) =>
    (await execa("git", args, { cwd: app.folder, input })).stdout;
  const write = ["hash-object", "--literally", "-t", "tree", "-w", "--stdin"];
  const entry = (mode: string, name: string, hash: string) =>
    Buffer.concat([Buffer.from(`${mode} ${name}\0`), Buffer.from(hash, "hex")]);
  const blob = await git("evil\n", "hash-object", "-w", "--stdin");
  const evil = await git(entry("100644", "evil", blob), ...write);
  const backend = await git(entry("40000", "..", evil), ...write);
  const tree = await git(entry("40000", "backend", backend), ...write);
  const commit = await app.git("commit-tree", "-p", "HEAD", "-m", "crafted", tree);
  await app.git("update-ref", "HEAD", commit);
  return {};
}

/** What the backend's first commit says. */
const FIRST_TEXT = readFileSync(join(__dirname, "..", "fixtures", "app", "backend", "message.txt"), "utf8");

/** Deploys a release with a submodule, which is then at another commit. */
async function submoduleMoves({ app, deploy }: World): Promise<Undo> {
  const part = await TestApp.create();
  const local = ["-c", "protocol.file.allow=always"];
  await app.git(...local, "submodule", "--quiet", "add", part.folder, "backend/part");
  await deploy({});
  const inside = ["-C", "backend/part"];
  await app.git(...inside, "commit", "--quiet", "--allow-empty", "-m", "another");
  return async () => {
    await app.git(...inside, "reset", "--quiet", "--hard", "HEAD~");
    part.remove();
  };
}

/** Gives the app an upstream, which then has a commit that the app has not. */
async function upstreamMoves({ app }: World): Promise<Undo> {
  const origin = await TestApp.create();
  await app.git("remote", "add", "origin", origin.folder);
  await app.git("push", "--quiet", "--force", "origin", "HEAD:refs/heads/deployed");
  await app.git("fetch", "--quiet", "origin");
  await app.git("branch", "--quiet", "--set-upstream-to", "origin/deployed");
  await origin.git("checkout", "--quiet", "deployed");
  await origin.commit({});
  return async () => {
    await app.git("remote", "remove", "origin");
    origin.remove();
  };
}

/** Answers pages from its cache, for ever. */
const CACHE_FIRST = `
addEventListener("install", (event) => event.waitUntil(
  caches.open("v1").then((cache) => cache.add("/")).then(() => skipWaiting())));
addEventListener("fetch", (event) => event.respondWith(
  caches.match(event.request).then((hit) => hit ?? fetch(event.request))));
`;
/** Makes the frontend register a worker, and serve it where the commit has one. */
const registersWorker = (server: string) =>
  server
    .replace("</head>", '<script>navigator.serviceWorker.register("/sw.js")</script>\n$&')
    .replace(
      /^( +)elif path == "\/version":/m,
      '$1elif path == "/sw.js" and (SOURCE / "sw.js").exists():\n' +
        '$1    self.answer(200, (SOURCE / "sw.js").read_text(), "text/javascript", "no-cache")\n$&',
    );

/** An answer that begins well and does not end. */
const endless = (type: string, start: string) => `self.send_response(200)
                self.send_header("Content-Type", "${type}")
                self.send_header("Connection", "close")
                self.end_headers()
                self.wfile.write(b'${start}')
                while True:
                    self.wfile.write(b"<!--" * 16384)`;
/** The page with five megabytes behind it that are no comment yet. */
const hugePage = (of: string) =>
  of.replace("html.escape(message()))", 'html.escape(message())) + "<!--" * 1_250_000');

const FAULTS: Fault[] = [
  {
    ...{ fault: "a file is changed and not committed", link: "commit", service: "every service" },
    uncommitted: true,
    files: { "backend/message.txt": () => "not committed\n" },
    found: /1 changed or untracked: .*backend\/message\.txt/,
  },
  {
    onlyInFull: true,
    ...{ fault: "a file is untracked", link: "commit", service: "every service" },
    uncommitted: true,
    files: { "backend/stray.py": () => "" },
    found: /\?\? backend\/stray\.py/,
  },
  hidden("--assume-unchanged"),
  inFull(hidden("--skip-worktree")),
  {
    onlyInFull: true,
    ...{ fault: "the content of a Git LFS file is missing", link: "commit", service: "backend" },
    files: { ".gitattributes": () => "*.bin filter=lfs -text\n", "backend/clip.bin": () => LFS_POINTER },
    found: /clip\.bin is missing, the checkout has only its Git LFS pointer/,
  },
  {
    onlyInFull: true,
    ...{ fault: "a git filter changes a file of the context", link: "commit", service: "backend" },
    files: { ".gitattributes": () => "backend/message.txt filter=rot13\n" },
    found: /the git filter rot13 changes files.*found 1 file: message\.txt/,
  },
  {
    ...{ fault: "a name in the context is not UTF-8", link: "commit", service: "backend" },
    env: latinName,
    found: /found 1: "backend\/caf\\351\.txt"/,
  },
  {
    ...{ fault: "the commit's tree has a path outside its folder", link: "commit", service: "every service" },
    env: craftedTree,
    found: /"backend\/\.\." has the name "\.\."/,
  },
  {
    onlyInFull: true,
    ...{ fault: "a submodule is at another commit", link: "commit", service: "every service" },
    inject: submoduleMoves,
    found: / M backend\/part/,
  },
  {
    ...{ fault: "the checkout is not at the commit that CI names", link: "commit", service: "every service" },
    env: async () => ({ GITHUB_SHA: "b".repeat(40), GITHUB_REPOSITORY: "" }),
    found: /expected commit b{40} \(GITHUB_SHA\)/,
  },
  {
    onlyInFull: true,
    ...{ fault: "the checkout is behind its upstream", link: "commit", service: "every service" },
    inject: upstreamMoves,
    found: /the checkout is behind origin\/deployed/,
  },
  dockerfile(
    "the commit is not a build argument",
    (of) => of.replace(/^ARG GIT_COMMIT_HASH\n/m, ""),
    /Dockerfile:\d+/,
  ),
  dockerfile(
    "the commit reaches the build after the sources are copied",
    (of) => of.replace(/^(ARG GIT_COMMIT_HASH\nRUN .*\n)(COPY \. \.\n)/m, "$2$1"),
    /Dockerfile:\d+/,
  ),
  inFull(
    dockerfile(
      "the sources are cloned from outside the context",
      afterCopy(`${GIT}\nRUN git clone https://example.org/app.git /app/src/vendor`),
      /git clone/,
    ),
  ),
  inFull(
    dockerfile(
      "a file comes from a URL",
      (of) => afterCopy(`ADD ${elsewhere}/app.js /app/src/app.js`)(of),
      /ADD http:\/\/127\.0\.0\.1/,
    ),
  ),
  inFull(
    dockerfile(
      "files come from an image by its tag",
      afterCopy("COPY --from=caddy:latest /usr/bin/caddy /x"),
      /caddy:latest/,
    ),
  ),
  dockerfile(
    "the last stage lacks the commit file",
    (content) => content.replace("COPY --from=builder /app /app", "COPY --from=builder /app/src /app/src"),
    /backend\/Dockerfile:\d+: the stage that the image is made from has no \/app\/COMMIT.*COPY --from=builder \/app\/COMMIT/s,
  ),
  dockerfile("a build's failure is swallowed", afterCopy("RUN npm run build || true"), /Dockerfile:\d+/),
  {
    onlyInFull: true,
    ...{ fault: "the Dockerfile enables an inline cache", link: "cache", service: "backend" },
    files: { [DOCKERFILE]: (of) => of.replace(/^ARG GIT_COMMIT_HASH\n/m, "$&ENV BUILDKIT_INLINE_CACHE=1\n") },
    found: /BUILDKIT_INLINE_CACHE/,
  },
  {
    onlyInFull: true,
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
    ...{
      fault: "a variable has the right commit but the commit file is old",
      link: "image",
      service: "backend",
    },
    files: {
      [DOCKERFILE]: (of) =>
        of
          .replace(`'%s' "$GIT_COMMIT_HASH"`, `'%s' ${OLD_COMMIT}`)
          .replace("USER", "ARG GIT_COMMIT_HASH\nENV GIT_COMMIT_HASH=$GIT_COMMIT_HASH\n$&"),
      "backend/server.py": (of) =>
        of.replace("COMMIT_FILE.read_text().strip()", 'os.environ["GIT_COMMIT_HASH"]'),
    },
    found: /found "0{40}"/,
  },
  {
    fault: "a prune reports success, and layers of a manual build come from the cache",
    ...{ link: "image", service: "frontend|backend", found: /came from the build cache/ },
    inject: async (world) => {
      const undo = [await buildByHand(world), await world.shim.install(world.shim.pruneLies)];
      return () => Promise.all(undo.map((each) => each()));
    },
  },
  {
    fault: "a changed file with the size and time of the last build is not read again",
    ...{ link: "bytes", service: "backend", files: ANOTHER_TEXT },
    inject: async ({ shim, deploy }) => {
      const { stdout: version } = await execa("docker", ["version", "--format", "{{.Server.Version}}"]);
      // Later engines were not seen to do so, and the official plugin sends all files: there it is the transport that does not
      // send the file again, as rsync.
      const sent = join(shim.store, "sent");
      const sameTimes =
        Number.parseInt(version, 10) < 23 && !isOfficial()
          ? 'find "$to" -exec touch --date=@0 {} +'
          : `cp --no-clobber "$to/message.txt" ${sent}; cp ${sent} "$to/message.txt"`;
      const undo = await shim.install(`${shim.contextGoesThrough(sameTimes)}\n${shim.pruneLies}`);
      await deploy(ANOTHER_TEXT);
      return undo;
    },
    found: /found 1 differs: \/app\/src\/message\.txt/,
  },
  inTransport(
    "a file of an earlier commit is left in the builder's context",
    'echo old > "$to/old.py"',
    /found 1 not in the commit: \/app\/src\/old\.py/,
  ),
  inFull(
    inTransport(
      "a file is lost on the way to the builder",
      'rm "$to/message.txt"',
      /found 1 missing: \/app\/src\/message\.txt/,
    ),
  ),
  {
    ...{ fault: "the base image contains a file that the commit removed", link: "bytes", service: "backend" },
    inject: baseHoldsRoute,
    files: {
      "backend/old_route.py": () => null,
      [DOCKERFILE]: (of) => of.replace(/^FROM \S+/, `FROM ${OLD_BASE}`),
    },
    found: /found 1: \/app\/src\/old_route\.py/,
    twin: { "backend/old_route.py": () => null },
  },
  {
    onlyInFull: true,
    ...{ fault: "a RUN copies an old snapshot over a source file", link: "bytes", service: "backend" },
    files: {
      ...ANOTHER_TEXT,
      "backend/snapshot.txt": () => FIRST_TEXT,
      [DOCKERFILE]: afterCopy("RUN cp snapshot.txt message.txt"),
    },
    found:
      /RUN cp snapshot\.txt message\.txt \(Dockerfile:7, stage builder\) replaced the commit's file with an earlier revision/,
  },
  {
    onlyInFull: true,
    ...{ fault: "the ignore file excludes everything", link: "bytes", service: "backend" },
    files: { "backend/.dockerignore": () => "*\n" },
    found: /nothing to compare/,
  },
  {
    ...{ fault: "the version is not read from the image", link: "container", service: "backend" },
    files: { "backend/server.py": (of) => of.replace("COMMIT_FILE.read_text().strip()", '"0" * 40') },
    found: /found commit 0{40}/,
  },
  {
    onlyInFull: true,
    ...{ fault: "the version path fails", link: "container", service: "backend" },
    files: { "backend/server.py": (of) => of.replace('("/version", "/api/version")', '("/v", "/api/v")') },
    found: /does not answer/,
  },
  {
    onlyInFull: true,
    ...{ fault: "a page names another commit", link: "served", service: "frontend" },
    files: page((of) => of.replace("commit=commit()", 'commit="0" * 40')),
    found: /127\.0\.0\.1 names another commit; .* found commit 0{40}/,
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
    // Browsers show a page without its icon and its pictures all the same.
    twin: page((of) =>
      of.replace("</head>", '<link rel="icon" href="/favicon.ico"></head><img src="/uploads/1.png">'),
    ),
  },
  {
    onlyInFull: true,
    ...{ fault: "the page does not end", link: "served", service: "frontend" },
    files: page((of) =>
      of.replace(
        'self.answer(status, page, "text/html; charset=utf-8", "no-cache")',
        endless("text/html", "<p>"),
      ),
    ),
    found: /the answer did not end within 32 MiB/,
  },
  {
    fault: "the page is slow to parse and its style does not exist",
    ...{ link: "browser", service: "frontend", found: /\/assets\/gone\.css/ },
    files: page((of) => hugePage(of).replace('href="{style}"', 'href="/assets/gone.css"')),
    twin: page(hugePage),
  },
  {
    ...{ fault: "the version does not end", link: "container", service: "backend" },
    files: {
      "backend/server.py": (of) =>
        of.replace(
          'self.answer(200, json.dumps({"commit": commit}), "application/json")',
          endless("application/json", '{"commit": "'),
        ),
    },
    found: /the answer did not end within 200 kB/,
  },
  {
    onlyInFull: true,
    fault:
      "browsers have a worker that answers from its cache, and the script that is to replace it does not end",
    ...{ link: "browser", service: "frontend", found: /worker \/sw\.js answers navigations from its cache/ },
    inject: async ({ deploy }) => {
      await deploy({ ...page(registersWorker), "frontend/sw.js": () => CACHE_FIRST });
      return () => undefined;
    },
    files: page((of) =>
      of.replace(
        'self.answer(200, (SOURCE / "sw.js").read_text(), "text/javascript", "no-cache")',
        endless("text/javascript", "//"),
      ),
    ),
    twin: { "frontend/sw.js": () => FAREWELL_WORKER },
  },
  {
    fault: "browsers have a caching worker, and the new release has no worker to replace it",
    ...{ link: "browser", service: "frontend", found: /worker \/sw\.js answers navigations from its cache/ },
    inject: async ({ deploy }) => {
      await deploy({ ...page(registersWorker), "frontend/sw.js": () => CACHE_FIRST });
      return () => undefined;
    },
    files: { "frontend/sw.js": () => null },
    twin: { "frontend/sw.js": () => FAREWELL_WORKER },
  },
];

describe("a deploy", () => {
  const shim = new DockerShim();
  let app: TestApp;
  let stack: TestStack;
  let original: OriginalFlow | undefined;
  let other: Server;

  beforeAll(async () => {
    other = createServer((_, response) => void response.end("old\n"));
    await new Promise<void>((ready) => other.listen(0, "127.0.0.1", ready));
    elsewhere = `http://127.0.0.1:${(other.address() as AddressInfo).port}`;
    app = await TestApp.create();
    const services = { frontend: { startSeconds: 10, pages: ["/"] }, backend: { startSeconds: 10 } };
    stack = await TestStack.create({ source: app.folder, services }, { PATH: shim.path });
    if (FULL) original = new OriginalFlow(app.folder, { PATH: shim.path });
    await deploy({});
  });
  afterAll(async () => {
    await stack?.remove();
    await original?.remove();
    app?.remove();
    shim.remove();
    other?.close();
  });

  /** What is served: which commit, and which text. */
  async function served() {
    const [version, text] = await Promise.all(
      ["/.freshness/backend", "/api/hello"].map((path) => fetch(`${stack.url}${path}`)),
    );
    return { ...((await version!.json()) as object), text: await text!.text() };
  }

  async function head() {
    return { commit: await app.git("rev-parse", "HEAD"), text: app.read("backend/message.txt") };
  }

  /** The files as they are to be; each change has to change something. */
  function changed(files: Files): Record<string, string | null> {
    const changes = Object.entries(files).map(([path, change]) => {
      const before = existsSync(join(app.folder, path)) ? app.read(path) : undefined;
      const after = change(before ?? "");
      expect(after).not.toBe(before);
      return [path, after] as const;
    });
    return Object.fromEntries(changes);
  }

  async function release(files: Files): Promise<void> {
    await app.commit(changed(files));
    const outcome = await stack.up();
    expect(outcome.ok ? "" : outcome.said).toBe("");
    expect(await served()).toEqual(await head());
  }

  /** A release of the original flow too. */
  async function deploy(files: Files): Promise<void> {
    await release(files);
    const answer = await original?.deploy();
    expect(answer?.saw ?? "serves the commit's files").toBe("serves the commit's files");
  }

  it.each(ofThisForm(FAULTS))(
    "is refused when $fault, and passes without it",
    (fault) =>
      inMatrix({ into: "deploy", ...fault }, async (row) => {
        const undo = await fault.inject?.({ app, stack, shim, deploy });
        const [before, base] = [await served(), await app.git("rev-parse", "HEAD")];
        try {
          if (fault.uncommitted)
            for (const [path, content] of Object.entries(changed(fault.files ?? {})))
              writeFileSync(join(app.folder, path), content!);
          else if (fault.files) await app.commit(changed(fault.files));
          const variables = (await fault.env?.(app)) ?? {};
          const refused = await timed(row, () => withVariables(variables, () => stack.up()));
          expect(refused.said).toMatch(
            new RegExp(`freshness: ${fault.link} of (${fault.service}): .*expected .*, found `, "s"),
          );
          expect(refused.said).toMatch(fault.found);
          expect(refused.ok).toBe(false);
          expect(await served()).toEqual(before);
          row.detected = true;
          row.original = await original?.deploy(variables);
        } finally {
          await undo?.();
          await app.git("reset", "--quiet", "--hard", base);
          await app.git("clean", "--quiet", "--force", "-d");
        }
        row.twin = false;
        await release({ ...ANOTHER_TEXT, ...fault.twin });
        row.twin = true;
      }),
    // The original flow is waited for as well, also where it hangs.
    FULL ? 600_000 : undefined,
  );
});
