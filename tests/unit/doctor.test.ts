import { describe, expect, it } from "@jest/globals";
import { examine } from "../../packages/doctor/examine";
import { repositoryOf } from "../support/repositories";

/** `path:line severity rule` of each finding. */
function found(files: Readonly<Record<string, string>>): string[] {
  return examine(repositoryOf(files)).map(
    ({ path, line, severity, rule }) => `${path}:${line} ${severity} ${rule}`,
  );
}

const lines = (...all: string[]) => `${all.join("\n")}\n`;

const DOCKERFILE = lines("FROM a", "WORKDIR /app", "ARG GIT_COMMIT_HASH", "RUN true", "COPY src/ src/");
const BUILD = '--build-arg GIT_COMMIT_HASH="$(git rev-parse HEAD)"';
const COMPOSE = lines(
  "services:",
  "  web:",
  "    build:",
  "      context: .",
  "      args:",
  "        GIT_COMMIT_HASH: ${GIT_COMMIT_HASH:?}",
);

/** A bad file, and its twin in which one thing is right. */
type Case = [title: string, bad: Record<string, string>, found: string[], good: Record<string, string>];

function judges(cases: readonly Case[]): void {
  it.each(cases)("%s", (_, bad, expected, good) => {
    expect(found(bad)).toEqual(expected);
    expect(found(good)).toEqual([]);
  });
}

describe("a Dockerfile", () => {
  judges([
    [
      "in which no commit reaches the COPY",
      { Dockerfile: lines("FROM a", "ARG GIT_COMMIT_HASH", "COPY src/ src/") },
      ["Dockerfile:3 note commit-not-proven"],
      { Dockerfile: DOCKERFILE },
    ],
    [
      "with the commit only in its final stage",
      {
        "web.Dockerfile": lines(
          "FROM a AS b",
          "COPY src/ src/",
          "FROM a",
          "ARG GIT_COMMIT_HASH",
          "RUN true",
          "COPY --from=b / /",
        ),
      },
      ["web.Dockerfile:2 note commit-not-proven"],
      {
        "web.Dockerfile": lines(
          "FROM a AS b",
          "ARG GIT_COMMIT_HASH",
          "RUN true",
          "COPY src/ src/",
          "FROM a",
          "COPY --from=b / /",
        ),
      },
    ],
    [
      "with a cache mount on build output",
      { Containerfile: `${DOCKERFILE}RUN --mount=type=cache,target=/app/.next npm run build\n` },
      ["Containerfile:6 error cache-mount"],
      { Containerfile: `${DOCKERFILE}RUN --mount=type=cache,target=/root/.npm npm run build\n` },
    ],
    [
      "with an inline cache",
      { "Dockerfile.web": `${DOCKERFILE}ARG BUILDKIT_INLINE_CACHE=1\n` },
      ["Dockerfile.web:6 warning inline-cache"],
      { "Dockerfile.web": DOCKERFILE },
    ],
    [
      "that swallows a build's failure",
      { Dockerfile: `${DOCKERFILE}RUN npm run build || true\n` },
      ["Dockerfile:6 warning build-failure-swallowed"],
      { Dockerfile: `${DOCKERFILE}RUN npm run build\n` },
    ],
    [
      "that fetches source past its context",
      { Dockerfile: `FROM a\nWORKDIR /app\nRUN git clone https://example.org/x.git\n` },
      ["Dockerfile:3 warning source-past-context"],
      {
        Dockerfile: `FROM a\nWORKDIR /app\nRUN git clone https://example.org/x.git && git checkout ${"a".repeat(40)}\n`,
      },
    ],
    [
      "is judged with the target of the workflow that builds it",
      {
        Dockerfile: lines(
          "FROM a AS one",
          "COPY src/ src/",
          "FROM a AS two",
          "ARG GIT_COMMIT_HASH",
          "RUN true",
          "COPY src/ src/",
        ),
        "build.sh": `#!/bin/sh -e\ndocker build ${BUILD} --target one .\n`,
      },
      ["Dockerfile:2 note commit-not-proven"],
      {
        Dockerfile: lines(
          "FROM a AS one",
          "COPY src/ src/",
          "FROM a AS two",
          "ARG GIT_COMMIT_HASH",
          "RUN true",
          "COPY src/ src/",
        ),
        "build.sh": `#!/bin/sh -e\ndocker build ${BUILD} --target two .\n`,
      },
    ],
  ]);

  it("may hold carriage returns", () => {
    expect(found({ Dockerfile: DOCKERFILE.replaceAll("\n", "\r\n") })).toEqual([]);
    expect(found({ Dockerfile: DOCKERFILE.replace("RUN true", "RUN true\r") })).toEqual([]);
    expect(found({ Dockerfile: "FROM a\rCOPY . .\r" })).toEqual([]);
  });

  it("of third-party content only is ignored", () => {
    expect(
      found({
        "db/Dockerfile": lines(
          "FROM postgres:16",
          "RUN apt-get install -y x",
          "RUN git clone https://example.org/x",
        ),
      }),
    ).toEqual([]);
  });

  it.each(["Dockerfile.dockerignore", "Dockerfile.md", ".devcontainer/Dockerfile", "vendored.txt"])(
    "is not %s",
    (path) => {
      expect(found({ [path]: lines("FROM a", "COPY . .") })).toEqual([]);
    },
  );
});

describe("a compose file", () => {
  const service = (...more: string[]) => `${COMPOSE}${more.map((line) => `    ${line}\n`).join("")}`;
  const with_ = (compose: string, more: Record<string, string> = {}) => ({
    Dockerfile: DOCKERFILE,
    "docker-compose.yml": compose,
    ...more,
  });
  const GOOD = with_(COMPOSE);
  judges([
    [
      "with an inline cache",
      with_(`${COMPOSE}        BUILDKIT_INLINE_CACHE: 1\n`),
      ["docker-compose.yml:7 warning inline-cache"],
      GOOD,
    ],
    [
      "with cache_from",
      with_(`${COMPOSE}      cache_from: [a]\n`),
      ["docker-compose.yml:7 warning cache-from"],
      with_(`${COMPOSE}      cache_from: []\n`),
    ],
    [
      "that does not tell the commit",
      with_(lines("services:", "  web:", "    build: .")),
      ["Dockerfile:1 note commit-not-proven"],
      GOOD,
    ],
    [
      "that always tells the same commit",
      with_(COMPOSE.replace("${GIT_COMMIT_HASH:?}", "dev")),
      ["Dockerfile:1 note commit-not-proven"],
      with_(lines("services:", "  web:", "    build:", "      context: .", "      args: [GIT_COMMIT_HASH]")),
    ],
    [
      "with a volume over the source",
      with_(service("volumes:", "  - code:/app/src")),
      ["docker-compose.yml:8 error volume-over-image"],
      with_(service("volumes:", "  - data:/app/data")),
    ],
    [
      "with a volume over the app",
      with_(service("volumes:", "  - code:/app")),
      ["docker-compose.yml:8 error volume-over-image"],
      with_(service("volumes:", "  - data:/data")),
    ],
    [
      "with a volume over build output",
      with_(service("volumes:", "  - next:/app/.next")),
      ["docker-compose.yml:8 error volume-over-image"],
      with_(service("tmpfs: [/app/.next/cache]")),
    ],
    [
      "with an anonymous volume over build output",
      with_(service("volumes: [/app/node_modules/.cache]")),
      ["docker-compose.yml:7 error volume-over-image"],
      with_(service("volumes: [/var/lib/x]")),
    ],
    [
      "with a folder mounted over the source",
      with_(service("volumes:", "  - { type: bind, source: ./src, target: /app/src }")),
      ["docker-compose.yml:8 warning mount-over-image"],
      with_(service("volumes:", "  - ./settings.json:/app/src/settings.json:ro")),
    ],
    [
      "with an image that has a moving tag",
      with_(lines("services:", "  web:", "    image: ghcr.io/me/web:latest")),
      ["docker-compose.yml:3 warning image-not-pulled"],
      with_(lines("services:", "  web:", "    image: ghcr.io/me/web:latest", "    pull_policy: always")),
    ],
    [
      "with an image without a tag",
      with_(lines("services:", "  web:", "    image: localhost:5000/web")),
      ["docker-compose.yml:3 warning image-not-pulled"],
      with_(lines("services:", "  web:", "    image: localhost:5000/web:${TAG}")),
    ],
    [
      "with images that no command pulls",
      with_(lines("services:", "  web:", "    image: me/web:${TAG:-latest}")),
      ["docker-compose.yml:3 warning image-not-pulled"],
      with_(lines("services:", "  web:", "    image: me/web:${TAG:-latest}"), {
        "up.sh": "set -e\ndocker compose pull\ndocker compose up -d\n",
      }),
    ],
  ]);

  it.each<[string, Record<string, string>]>([
    [
      "a database without a tag",
      with_(
        lines("services:", "  db:", "    image: postgres", "    volumes: [data:/var/lib/postgresql/data]"),
      ),
    ],
    [
      "arguments of a script",
      with_(lines("services:", "  web:", "    build: ."), { "a.sh": `docker compose build ${BUILD}\n` }),
    ],
    [
      "mounts for development",
      {
        Dockerfile: DOCKERFILE,
        "compose.override.yaml": lines("services:", "  web:", "    volumes: [.:/app]", "    build: ."),
      },
    ],
    [
      "an image that a script builds here",
      with_(lines("services:", "  web:", "    image: me/web"), {
        "b.sh": `docker build ${BUILD} -t me/web:latest .\n`,
      }),
    ],
    [
      "merged keys",
      with_(
        lines(
          "x-a: &a",
          "  build: { context: ., args: { GIT_COMMIT_HASH: $GIT_COMMIT_HASH } }",
          "services:",
          "  web:",
          "    <<: *a",
        ),
      ),
    ],
    ["a file that is not YAML", with_("services: [\n")],
    ["a mapping that holds itself", with_("services: &a\n  web: *a\n")],
  ])("may have %s", (_, files) => {
    expect(found(files)).toEqual([]);
  });
});

describe("a script", () => {
  const script = (...text: string[]) => ({ "deploy.sh": lines("#!/bin/bash", ...text) });
  const PRUNE = "docker builder prune -af";
  judges([
    [
      "that swallows a prune with || true",
      script("set -e", `${PRUNE} || true`),
      ["deploy.sh:3 warning prune-swallowed"],
      script("set -e", PRUNE),
    ],
    [
      "with || :",
      script("set -e", `sudo ${PRUNE} 2>/dev/null || :`),
      ["deploy.sh:3 warning prune-swallowed"],
      script("set -e", `${PRUNE} || exit 1`),
    ],
    [
      "with || echo",
      script("set -e", `${PRUNE} || echo "no prune"`),
      ["deploy.sh:3 warning prune-swallowed"],
      script("set -e", `${PRUNE} || { echo "no prune"; exit 1; }`),
    ],
    ["with ; true", script(`${PRUNE}; true`), ["deploy.sh:2 warning prune-swallowed"], script(PRUNE)],
    [
      "with set +e",
      script("set +e", PRUNE, "echo done"),
      ["deploy.sh:3 warning prune-swallowed"],
      script("set +e", "true", "set -e", PRUNE, "echo done"),
    ],
    [
      "without set -e before a build",
      script(PRUNE, `docker build ${BUILD} .`),
      ["deploy.sh:2 warning prune-swallowed"],
      script("set -euo pipefail", PRUNE, `docker build ${BUILD} .`),
    ],
    [
      "in a pipe",
      script("set -e", `${PRUNE} | tee log`),
      ["deploy.sh:3 warning prune-swallowed"],
      script("set -eo pipefail", `${PRUNE} | tee log`),
    ],
    [
      "in an if",
      script("set -e", `if ! ${PRUNE}; then`, "  echo no", "fi"),
      ["deploy.sh:3 warning prune-swallowed"],
      script("set -e", `if ! ${PRUNE}; then`, "  exit 1", "fi"),
    ],
    [
      "in a function",
      script("set -e", "clear() {", `  ${PRUNE} || true`, "}", "clear"),
      ["deploy.sh:4 warning prune-swallowed"],
      script("set -e", "clear() {", `  ${PRUNE}`, "}", "clear"),
    ],
    [
      "over ssh",
      script("set -e", `ssh me@host "cd /srv && ${PRUNE} || true"`),
      ["deploy.sh:3 warning prune-swallowed"],
      script("set -e", `ssh me@host "cd /srv && ${PRUNE}"`),
    ],
    [
      "in a heredoc for ssh",
      script("ssh me@host <<'EOF'", `${PRUNE} || true`, "EOF"),
      ["deploy.sh:3 warning prune-swallowed"],
      script("cat <<'EOF'", `${PRUNE} || true`, "EOF"),
    ],
    [
      "across lines",
      script("set -e", "docker builder prune \\", "  --all --force \\", "  || true"),
      ["deploy.sh:3 warning prune-swallowed"],
      script("set -e", "docker builder prune \\", "  --all --force"),
    ],
    [
      "that prunes only caches that cannot be stale",
      script("docker builder prune -f"),
      ["deploy.sh:2 warning prune-keeps-tagged"],
      script(PRUNE),
    ],
    [
      "that swallows a prune before a build",
      script("set -e", `${PRUNE} || true`, `docker build ${BUILD} .`),
      ["deploy.sh:3 error prune-swallowed"],
      script("set -e", PRUNE, `docker build ${BUILD} .`),
    ],
    [
      "that prunes the system before a build alike",
      script("set -e", "docker system prune --force", "docker compose build"),
      ["deploy.sh:3 warning prune-keeps-tagged"],
      script("set -e", "docker system prune --all --force", "docker compose build"),
    ],
    [
      "that keeps young cache records",
      script("docker buildx prune -af --filter until=24h"),
      ["deploy.sh:2 warning prune-keeps-tagged"],
      script("docker buildx prune -af --filter type=regular"),
    ],
    [
      "that prunes after the build",
      script("set -e", `docker build ${BUILD} .`, PRUNE),
      ["deploy.sh:4 warning prune-after-build"],
      script("set -e", PRUNE, `docker build ${BUILD} .`),
    ],
    [
      "that builds with --cache-from",
      script(`docker build ${BUILD} --cache-from app:latest .`),
      ["deploy.sh:2 error cache-from"],
      script(`docker build ${BUILD} --no-cache .`),
    ],
    [
      "that builds with --cache-to",
      script(`docker buildx build ${BUILD} --cache-to=type=registry,ref=x .`),
      ["deploy.sh:2 warning cache-to"],
      script(`docker buildx build ${BUILD} .`),
    ],
    [
      "that builds with an inline cache",
      script(`docker build ${BUILD} --build-arg BUILDKIT_INLINE_CACHE=1 .`),
      ["deploy.sh:2 error inline-cache"],
      script(`docker build ${BUILD} .`),
    ],
    [
      "that bakes with a cache",
      script("docker buildx bake --set '*.cache-from=type=gha'"),
      ["deploy.sh:2 error cache-from"],
      script("docker buildx bake"),
    ],
    [
      "that builds in spite of a pull that failed",
      script("git pull || true", "docker compose build"),
      ["deploy.sh:2 error pull-swallowed"],
      script("git pull || exit 1", "docker compose build"),
    ],
    [
      "that goes on after a pull",
      script("git pull", "docker compose up -d --build"),
      ["deploy.sh:2 warning pull-swallowed"],
      script("set -e", "git pull", "docker compose up -d --build"),
    ],
    [
      "that pulls in a list",
      script("set -e", "cd /srv && git pull && echo pulled", "docker compose build"),
      ["deploy.sh:3 error pull-swallowed"],
      script("cd /srv && git pull && docker compose build"),
    ],
    [
      "that restarts the rebuilt services",
      script(`docker build ${BUILD} -t app .`, "docker compose restart"),
      ["deploy.sh:3 error restart-keeps-image"],
      script(`docker build ${BUILD} -t app .`, "docker compose up -d"),
    ],
    [
      "that keeps containers",
      script("docker compose up -d --no-recreate"),
      ["deploy.sh:2 error up-keeps-container"],
      script("docker compose up -d"),
    ],
  ]);

  it("that pulls sources and builds nothing of them", () => {
    const files = { Dockerfile: DOCKERFILE, "compose.yaml": COMPOSE };
    expect(found({ ...files, "d.sh": "set -e\ngit pull\ndocker compose up -d\n" })).toEqual([
      "d.sh:3 error up-without-build",
    ]);
    expect(found({ ...files, "d.sh": "set -e\ngit pull\ndocker compose up -d --build\n" })).toEqual([]);
  });

  it("that clears the app's caches and not Docker's", () => {
    const files = { Dockerfile: DOCKERFILE };
    expect(found({ ...files, "clear-cache.sh": "rm -rf frontend/.next\n" })).toEqual([
      "clear-cache.sh:1 warning clears-not-docker",
    ]);
    expect(
      found({
        ...files,
        "clear-cache.sh": `case $1 in\na) rm -rf frontend/.next ;;\nb) ${PRUNE} ;;\nesac\n`,
      }),
    ).toEqual([]);
    expect(found({ ...files, "test.sh": "rm -rf frontend/.next\n" })).toEqual([]);
  });

  it("is recognised by its first line, and judged per branch of its case", () => {
    const tool = lines(
      "#!/usr/bin/env bash",
      'case "$1" in',
      `  build) docker build ${BUILD} . ;;`,
      `  clear) ${PRUNE} ;;`,
      "esac",
    );
    expect(found({ tool })).toEqual([]);
    expect(found({ tool: "#!/usr/bin/env bash\ndocker builder prune -f\n" })).toEqual([
      "tool:2 warning prune-keeps-tagged",
    ]);
    expect(found({ tool: "#!/usr/bin/env python3\ndocker builder prune -f\n" })).toEqual([]);
  });

  it.each<[string, string[]]>([
    ["a prune that is tried until it succeeds", ["set -e", `until ${PRUNE}; do sleep 1; done`]],
    [
      "an exit in a separate function",
      ["set -Eeuo pipefail", "die() { echo no; exit 1; }", `${PRUNE} || die`],
    ],
    [
      "a prune of the system that makes room after the build",
      ["set -e", `docker build ${BUILD} .`, "docker system prune -f || true"],
    ],
    ["a build that takes nothing from the cache", ["docker build --no-cache -t app ."]],
    ["a Dockerfile from standard input", ["docker build - < Dockerfile"]],
    ["unknown syntax", ["if [[ $a =~ ^(x|y)$ ]]; then", "'unterminated"]],
  ])("may have %s", (_, text) => {
    expect(found(script(...text))).toEqual([]);
  });

  it("may say anything in a comment or a text", () => {
    const quoted = script(
      "# docker builder prune -f || true",
      'echo "docker build --cache-from x ."',
      "help='git pull || true; docker build .'",
    );
    expect(found(quoted)).toEqual([]);
  });

  it("may build an image of third-party content without a commit", () => {
    expect(found({ "db/Dockerfile": "FROM postgres:16\nRUN true\n", "d.sh": "docker build db\n" })).toEqual(
      [],
    );
  });
});

describe("what CI runs", () => {
  const workflow = (...steps: string[]) => ({
    Dockerfile: DOCKERFILE,
    ".github/workflows/x.yml": lines(
      "name: X",
      "jobs:",
      "  a:",
      "    runs-on: self-hosted",
      "    steps:",
      ...steps.map((line) => `      ${line}`),
    ),
  });
  const action = (...inputs: string[]) =>
    workflow("- uses: docker/build-push-action@v6", "  with:", ...inputs.map((line) => `    ${line}`));
  const COMMIT = "build-args: GIT_COMMIT_HASH=${{ github.sha }}";
  const at = (line: number, what: string) => `.github/workflows/x.yml:${line} ${what}`;
  judges([
    [
      "an action with cache-from",
      action(COMMIT, "cache-from: type=gha"),
      [at(9, "warning cache-from")],
      action(COMMIT),
    ],
    [
      "an action with cache-to",
      action(COMMIT, "cache-to: type=gha,mode=max"),
      [at(9, "warning cache-to")],
      action(COMMIT, "no-cache: true"),
    ],
    [
      "an action with an inline cache",
      action("build-args: |", "  GIT_COMMIT_HASH=${{ github.sha }}", "  BUILDKIT_INLINE_CACHE=1"),
      [at(8, "warning inline-cache")],
      action("build-args: |", "  A=1", "  GIT_COMMIT_HASH=${{ github.sha }}"),
    ],
    [
      "a step that swallows a prune",
      workflow("- run: |", "    echo first", "    docker builder prune -af || true"),
      [at(8, "warning prune-swallowed")],
      workflow("- run: |", "    docker builder prune -af", "    echo last"),
    ],
    [
      "a step that may fail",
      workflow("- run: docker builder prune -af", "  continue-on-error: true"),
      [at(6, "warning prune-swallowed")],
      workflow("- run: docker builder prune -af"),
    ],
    [
      "a shell that goes on",
      workflow("- run: |", "    git pull", "    docker compose build", "  shell: sh {0}"),
      [at(7, "warning pull-swallowed")],
      workflow("- run: |", "    git pull", "    docker compose build"),
    ],
    [
      "a prune in a later step",
      workflow(`- run: docker build ${BUILD} .`, "- run: docker builder prune -af"),
      [at(7, "warning prune-after-build")],
      workflow("- run: docker builder prune -af", `- run: docker build ${BUILD} .`),
    ],
    [
      "a script over ssh",
      workflow(
        "- uses: appleboy/ssh-action@v1",
        "  with:",
        "    script: |",
        "      git pull",
        "      docker compose build",
      ),
      [at(9, "warning pull-swallowed")],
      workflow(
        "- uses: appleboy/ssh-action@v1",
        "  with:",
        "    script_stop: true",
        "    script: |",
        "      git pull",
        "      docker compose build",
      ),
    ],
    [
      "a job of GitLab",
      {
        ".gitlab-ci.yml": lines(
          "build:",
          "  before_script:",
          "    - docker builder prune -af || true",
          "  script:",
          "    - docker build .",
        ),
      },
      [".gitlab-ci.yml:3 error prune-swallowed"],
      {
        ".gitlab-ci.yml": lines(
          "build:",
          "  script:",
          "    - docker builder prune -af",
          "    - docker build --build-arg GIT_COMMIT_HASH=$CI_COMMIT_SHA .",
        ),
      },
    ],
    [
      "a recipe of make",
      { Makefile: lines("build:", "\t-docker builder prune -af", "\tdocker build -t x \\", "\t  .") },
      ["Makefile:2 error prune-swallowed"],
      {
        Makefile: lines(
          "COMMIT := $(shell git rev-parse HEAD)",
          "build:",
          "\t@docker builder prune -af",
          "\tdocker build --build-arg GIT_COMMIT_HASH=$(COMMIT) \\",
          "\t  .",
        ),
      },
    ],
  ]);
});

describe("a .dockerignore", () => {
  const COPY_ALL = `${DOCKERFILE.replace("COPY src/ src/", "COPY . .")}RUN npm install\n`;
  const NODE = { "web/Dockerfile": COPY_ALL, "web/package.json": '{"dependencies": {"next": "16"}}' };
  const PYTHON = { "api/Dockerfile": COPY_ALL, "api/party/main.py": "" };
  judges([
    [
      "that is missing, for Node",
      NODE,
      ["web/Dockerfile:5 warning ignored-too-little"],
      { ...NODE, "web/.dockerignore": ".next\nnode_modules\n" },
    ],
    [
      "that lets .next in",
      { ...NODE, "web/.dockerignore": "*\n!.next\n!src\n" },
      ["web/.dockerignore:2 warning ignored-too-little"],
      { ...NODE, "web/.dockerignore": "*\n!src\n" },
    ],
    [
      "that ignores bytecode only at the top",
      { ...PYTHON, "api/.dockerignore": "__pycache__\n" },
      ["api/.dockerignore:1 warning ignored-too-little"],
      { ...PYTHON, "api/.dockerignore": "**/__pycache__\n" },
    ],
    [
      "of another name",
      { ...NODE, "web/.dockerignore": ".next\nnode_modules\n", "web/Dockerfile.dockerignore": ".next\n" },
      ["web/Dockerfile.dockerignore:1 warning ignored-too-little"],
      { ...NODE, "web/Dockerfile.dockerignore": ".next\nnode_modules\n" },
    ],
  ]);

  it("matters only if a whole folder is copied", () => {
    expect(
      found({ "web/Dockerfile": DOCKERFILE, "web/package.json": '{"dependencies": {"next": "16"}}' }),
    ).toEqual([]);
  });
});

describe("Next.js and service workers", () => {
  judges([
    [
      "a build id that is constant",
      { "next.config.js": 'module.exports = { generateBuildId: async () => "app" };' },
      ["next.config.js:1 warning constant-build-id"],
      { "next.config.js": "module.exports = { generateBuildId: async () => process.env.GIT_COMMIT_HASH };" },
    ],
    [
      "a build id of the package's version",
      {
        "web/next.config.mjs": lines(
          'import pkg from "./package.json";',
          "export default {",
          "  async generateBuildId() {",
          "    return `v${pkg.version}`;",
          "  },",
          "};",
        ),
      },
      ["web/next.config.mjs:3 warning constant-build-id"],
      {
        "web/next.config.mjs": lines(
          'import pkg from "./package.json";',
          "export default {",
          "  async generateBuildId() {",
          "    return `v${pkg.version}-${process.env.SHA}`;",
          "  },",
          "};",
        ),
      },
    ],
    [
      "pages with a long cache time",
      {
        "next.config.ts": lines(
          "export default {",
          "  async headers() {",
          '    return [{ source: "/:path*", headers: [',
          '      { key: "Cache-Control", value: "public, max-age=3600" },',
          "    ] }];",
          "  },",
          "};",
        ),
      },
      ["next.config.ts:4 error pages-cached"],
      {
        "next.config.ts": lines(
          "export default {",
          "  async headers() {",
          '    return [{ source: "/_next/static/:path*", headers: [',
          '      { key: "Cache-Control", value: "public, max-age=3600" },',
          "    ] }];",
          "  },",
          "};",
        ),
      },
    ],
    [
      "pages that proxies may keep",
      {
        "next.config.js":
          'module.exports = { headers: () => [{ source: "/(.*)", headers: [{ key: "cache-control", value: "s-maxage=600, stale-while-revalidate" }] }] };',
      },
      ["next.config.js:1 warning pages-cached"],
      {
        "next.config.js":
          'module.exports = { headers: () => [{ source: "/(.*)", headers: [{ key: "cache-control", value: "max-age=0, must-revalidate" }] }] };',
      },
    ],
    [
      "next-pwa",
      {
        "next.config.js":
          'const withPWA = require("next-pwa")({ dest: "public" });\nmodule.exports = withPWA({});',
      },
      ["next.config.js:2 warning worker-serves-pages"],
      {
        "next.config.js":
          'const withPWA = require("next-pwa")({ dest: "public", disable: true });\nmodule.exports = withPWA({});',
      },
    ],
    [
      "a worker that asks its cache first",
      {
        "public/sw.js": lines(
          'caches.open("v1").then((cache) => cache.addAll(["/", "/app.css"]));',
          'self.addEventListener("fetch", (event) => {',
          "  event.respondWith(caches.match(event.request).then((kept) => kept || fetch(event.request)));",
          "});",
        ),
      },
      ["public/sw.js:3 error worker-serves-pages"],
      {
        "public/sw.js": lines(
          'self.addEventListener("fetch", (event) => {',
          "  event.respondWith(fetch(event.request).catch(() => caches.match(event.request)));",
          "});",
        ),
      },
    ],
    [
      "a worker that caches only an offline page",
      {
        "public/sw.js": lines(
          'self.addEventListener("fetch", (event) => {',
          "  event.respondWith(caches",
          "    .match(event.request).then((kept) => kept || keep(fetch(event.request))));",
          "});",
          "const keep = (answer) => cache.put(answer);",
        ),
      },
      ["public/sw.js:2 error worker-serves-pages"],
      {
        "public/sw.js": lines(
          'caches.open("v1").then((cache) => cache.addAll(["/offline.html"]));',
          'self.addEventListener("fetch", (event) => {',
          "  event.respondWith(caches",
          "    .match(event.request).then((kept) => kept || fetch(event.request)));",
          "});",
        ),
      },
    ],
    [
      "workbox with a precached page",
      {
        "src/service-worker.js": lines(
          "precacheAndRoute(self.__WB_MANIFEST);",
          'registerRoute(new NavigationRoute(createHandlerBoundToURL("/index.html")));',
        ),
      },
      ["src/service-worker.js:2 error worker-serves-pages"],
      { "src/service-worker.js": "precacheAndRoute(self.__WB_MANIFEST);\n" },
    ],
    [
      "workbox that answers navigations from its cache",
      { "public/sw.js": 'registerRoute(({ request }) => request.mode === "navigate", new CacheFirst());\n' },
      ["public/sw.js:1 error worker-serves-pages"],
      {
        "public/sw.js": 'registerRoute(({ request }) => request.mode === "navigate", new NetworkFirst());\n',
      },
    ],
  ]);
});

describe("bytecode", () => {
  judges([
    [
      "that git tracks",
      { "api/main.py": "", "api/__pycache__/main.cpython-311.pyc": "" },
      ["api/__pycache__/main.cpython-311.pyc:1 warning bytecode-tracked"],
      { "api/main.py": "" },
    ],
    [
      "that git tracks, once for all folders",
      {
        "api/main.py": "",
        "api/__pycache__/main.cpython-311.pyc": "",
        "api/lib/__pycache__/a.cpython-311.pyc": "",
        "tools/__pycache__/b.cpython-311.pyc": "",
      },
      ["api/__pycache__/main.cpython-311.pyc:1 warning bytecode-tracked"],
      { "api/main.py": "" },
    ],
  ]);
});

describe("nginx", () => {
  const server = (...text: string[]) => ({
    "nginx/default.conf": lines("server {", "  listen 80;", ...text.map((line) => `  ${line}`), "}"),
  });
  const at = (line: number, what: string) => `nginx/default.conf:${line} ${what}`;
  judges([
    [
      "that lets browsers keep pages",
      server("location / {", "  expires 1d;", "}"),
      [at(4, "error pages-cached")],
      server("location / {", "  expires -1;", "}", "location /_next/static/ { expires max; }"),
    ],
    [
      "that sets it for the whole server",
      server("expires 1h;", "location / { root /html; }"),
      [at(3, "error pages-cached")],
      server("expires 1h;", "location / { expires off; }"),
    ],
    [
      "with a header for pages",
      server("location ~ \\.html$ {", '  add_header Cache-Control "public, max-age=86400";', "}"),
      [at(4, "error pages-cached")],
      server("location ~ \\.html$ {", '  add_header Cache-Control "no-cache";', "}"),
    ],
    [
      "with an immutable header at /",
      server("location / { add_header Cache-Control immutable always; }"),
      [at(3, "error pages-cached")],
      server("location ~* \\.(js|css)$ { add_header Cache-Control immutable always; }"),
    ],
    [
      "that keeps pages itself",
      server(
        "location / {",
        "  proxy_pass http://web;",
        "  proxy_cache pages;",
        "  proxy_cache_valid 200 10m;",
        "}",
      ),
      [at(6, "error pages-cached")],
      server("location / {", "  proxy_pass http://web;", "  proxy_cache off;", "}"),
    ],
    [
      "that keeps pages as their headers allow",
      server("location / { proxy_cache pages; proxy_pass http://web; }"),
      [at(3, "warning pages-cached")],
      server("location /static/ { proxy_cache pages; proxy_pass http://web; }"),
    ],
  ]);

  it("is not any file that ends with .conf", () => {
    expect(
      found({ "app.conf": "expires 1d;\n", "nginx.conf": "expires $expires;\nserver { location / { } }\n" }),
    ).toEqual([]);
  });
});

describe("a Caddyfile", () => {
  const site = (...text: string[]) => ({
    Caddyfile: lines("example.org {", ...text.map((line) => `\t${line}`), "}"),
  });
  judges([
    [
      "that lets browsers keep all",
      site('header Cache-Control "max-age=3600"'),
      ["Caddyfile:2 error pages-cached"],
      site('header /_next/static/* Cache-Control "max-age=3600"'),
    ],
    [
      "that lets browsers keep pages",
      site("header *.html {", '  Cache-Control "public, immutable"', "}"),
      ["Caddyfile:3 error pages-cached"],
      site("header *.html {", "  Cache-Control no-cache", "}"),
    ],
    [
      "with a matcher for pages",
      site("@pages path / *.html", "header @pages Cache-Control max-age=600"),
      ["Caddyfile:3 error pages-cached"],
      site("@assets {", "  path *.js *.css", "}", "header @assets Cache-Control max-age=600"),
    ],
    [
      "in a handle for all",
      site("handle {", "  header >Cache-Control max-age=600", "}"),
      ["Caddyfile:3 error pages-cached"],
      site("handle /static/* {", "  header Cache-Control max-age=600", "}"),
    ],
  ]);
});
