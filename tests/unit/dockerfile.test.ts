import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "@jest/globals";
import fc from "fast-check";
import { FreshnessError, isBroken } from "../../freshness/chain";
import { dockerfileFindings, dockerfileVerdict, sourceSteps } from "../../freshness/dockerfile";
import type { DockerfileInput } from "../../freshness/dockerfile/input";
import { parseDockerfile } from "../../freshness/dockerfile/parse";
import { generatedDockerfiles } from "../support/dockerfiles";

const COMMIT = `RUN test -n "$GIT_COMMIT_HASH" && printf '%s' "$GIT_COMMIT_HASH" > /app/COMMIT`;

function input(lines: string | readonly string[], more: Partial<DockerfileInput> = {}): DockerfileInput {
  const dockerfile = typeof lines === "string" ? lines : `${lines.join("\n")}\n`;
  return { service: "backend", path: "Dockerfile", dockerfile, args: {}, commitFile: "/app/COMMIT", ...more };
}

/** `line runs` or `line cached` of each step that brings source. */
function steps(lines: string | readonly string[], more: Partial<DockerfileInput> = {}): string[] {
  return sourceSteps(input(lines, more)).map(({ line, reruns }) => `${line} ${reruns ? "runs" : "cached"}`);
}

function findings(lines: string | readonly string[], more: Partial<DockerfileInput> = {}): string[] {
  return dockerfileFindings(input(lines, more)).map(({ line, why }) => `${line}: ${why}`);
}

/** A stage in which these lines stand before a COPY at line `2 + lines`. */
function preceded(...lines: string[]): string[] {
  return ["FROM debian:bookworm-slim", ...lines, "COPY . ."];
}

describe("Dockerfiles of this project are proven", () => {
  it.each([
    "examples/watch-party/backend",
    "examples/watch-party/frontend",
    "tests/fixtures/app/backend",
    "tests/fixtures/app/frontend",
  ])("%s", (folder) => {
    const dockerfile = readFileSync(join(__dirname, "../..", folder, "Dockerfile"), "utf8");
    expect(dockerfileVerdict(input(dockerfile))).toMatchObject({ link: "dockerfile", status: "proven" });
  });
});

describe("the commit reaches a COPY through", () => {
  it.each<[string, string[]]>([
    ["a RUN that expands the ARG", ["ARG GIT_COMMIT_HASH", "RUN echo $GIT_COMMIT_HASH"]],
    [
      "a RUN that does not name the ARG, since every ARG is in its environment",
      ["ARG GIT_COMMIT_HASH", "RUN true"],
    ],
    ["a RUN with the ARG in single quotes", ["ARG GIT_COMMIT_HASH", "RUN echo '$GIT_COMMIT_HASH'"]],
    ["a RUN with an escaped dollar", ["ARG GIT_COMMIT_HASH", "RUN echo \\$GIT_COMMIT_HASH"]],
    ["a RUN in exec form", ["ARG GIT_COMMIT_HASH", 'RUN ["/bin/true"]']],
    ["an ARG with a default, which --build-arg replaces", ["ARG GIT_COMMIT_HASH=dev", "RUN true"]],
    ["an ARG declared again with a default", ["ARG GIT_COMMIT_HASH", "ARG GIT_COMMIT_HASH=dev", "RUN true"]],
    ["an ARG among others", ["ARG A=1 GIT_COMMIT_HASH B", "RUN true"]],
    ["an ARG after an ENV of the same name", ["ENV GIT_COMMIT_HASH=x", "ARG GIT_COMMIT_HASH", "RUN true"]],
    ["an ENV made of it", ["ARG GIT_COMMIT_HASH", "ENV A=$GIT_COMMIT_HASH GIT_COMMIT_HASH=x", "RUN true"]],
    [
      "an ENV of the old form",
      ["ARG GIT_COMMIT_HASH", "ENV A v $GIT_COMMIT_HASH", "ENV GIT_COMMIT_HASH x", "RUN true"],
    ],
    [
      "a default made of it",
      ["ARG GIT_COMMIT_HASH", "ARG A=$GIT_COMMIT_HASH", "ENV GIT_COMMIT_HASH=x", "RUN true"],
    ],
    [
      "${GIT_COMMIT_HASH:-x} in an ENV",
      ["ARG GIT_COMMIT_HASH", "ENV GIT_COMMIT_HASH=${GIT_COMMIT_HASH:-x}", "RUN true"],
    ],
    ["a WORKDIR", ["ARG GIT_COMMIT_HASH", "WORKDIR /build/$GIT_COMMIT_HASH"]],
    ["lower-case instructions", ["arg GIT_COMMIT_HASH", "run true"]],
    [
      "a RUN over several lines with comments",
      ["ARG GIT_COMMIT_HASH", "RUN true \\", "  # why", "", "  && true"],
    ],
    ["a RUN with a cache mount", ["ARG GIT_COMMIT_HASH", "RUN --mount=type=cache,target=/root/.npm true"]],
    ["a RUN with a secret", ["ARG GIT_COMMIT_HASH", "RUN --mount=type=secret,id=npmrc true"]],
    ["a RUN with a heredoc", ["ARG GIT_COMMIT_HASH", "RUN <<EOF", "echo $GIT_COMMIT_HASH", "EOF"]],
    [
      "a heredoc that is expanded",
      ["ARG GIT_COMMIT_HASH", "COPY <<EOF /app/COMMIT", "$GIT_COMMIT_HASH", "EOF"],
    ],
  ])("%s", (_, lines) => {
    expect(steps(preceded(...lines))).toEqual([`${lines.length + 2} runs`]);
    expect(findings(preceded(...lines))).toEqual([]);
  });

  it("its own destination", () => {
    expect(steps(["FROM a", "ARG GIT_COMMIT_HASH", "COPY . /app/$GIT_COMMIT_HASH/", "COPY . /b/"])).toEqual([
      "3 runs",
      "4 runs",
    ]);
  });

  it("another escape character", () => {
    expect(
      steps(
        "# syntax=docker/dockerfile:1\n# escape=`\nFROM a\nARG GIT_COMMIT_HASH\nRUN true `\n  && true\nCOPY . `\n  .\n",
      ),
    ).toEqual(["7 runs"]);
  });

  it("Windows line ends and a byte order mark", () => {
    expect(steps("\uFEFFFROM a\r\nARG GIT_COMMIT_HASH\r\nRUN true \\\r\n  && true\r\nCOPY . .\r\n")).toEqual([
      "5 runs",
    ]);
  });
});

describe("the commit does not reach a COPY through", () => {
  it.each<[string, string[], string]>([
    ["nothing", [], "ARG GIT_COMMIT_HASH is not declared"],
    ["only an ARG", ["ARG GIT_COMMIT_HASH"], "GIT_COMMIT_HASH is declared at line 2, no RUN stands between"],
    ["a RUN that names it without an ARG", ["RUN echo $GIT_COMMIT_HASH"], "is not declared"],
    [
      "a RUN before the ARG",
      ["RUN true", "ARG GIT_COMMIT_HASH"],
      "declared at line 3, no RUN stands between",
    ],
    [
      "LABEL and USER",
      ["ARG GIT_COMMIT_HASH", "LABEL c=$GIT_COMMIT_HASH", "USER $GIT_COMMIT_HASH"],
      "no RUN stands between",
    ],
    [
      "an ARG that an ENV hides",
      ["ARG GIT_COMMIT_HASH", "ENV GIT_COMMIT_HASH=x", "RUN true"],
      "ENV GIT_COMMIT_HASH at line 3 hides the build argument",
    ],
    [
      "${GIT_COMMIT_HASH:+x}",
      ["ARG GIT_COMMIT_HASH", "ENV GIT_COMMIT_HASH=${GIT_COMMIT_HASH:+x}", "RUN true"],
      "line 3 hides",
    ],
    [
      "single quotes in an ENV",
      ["ARG GIT_COMMIT_HASH", "ENV GIT_COMMIT_HASH='$GIT_COMMIT_HASH'", "RUN true"],
      "line 3 hides",
    ],
    [
      "an escaped dollar in an ENV",
      ["ARG GIT_COMMIT_HASH", 'ENV GIT_COMMIT_HASH="\\$GIT_COMMIT_HASH"', "RUN true"],
      "line 3 hides",
    ],
    ["an ARG in a comment", ["RUN true \\", "# ARG GIT_COMMIT_HASH", " && true"], "is not declared"],
    [
      "a heredoc with a quoted end",
      ["ARG GIT_COMMIT_HASH", "COPY <<'EOF' /app/COMMIT", "$GIT_COMMIT_HASH", "EOF"],
      "no RUN stands between",
    ],
    [
      "a cut ARG, which cannot be followed",
      ["ARG GIT_COMMIT_HASH", "ENV GIT_COMMIT_HASH=${GIT_COMMIT_HASH%%?}", "RUN true"],
      "line 3 hides",
    ],
  ])("%s", (_, lines, why) => {
    expect(steps(preceded(...lines))).toEqual([`${lines.length + 2} cached`]);
    expect(findings(preceded(...lines))).toEqual([expect.stringContaining(why)]);
  });

  it("an ARG before the first FROM", () => {
    expect(findings(["ARG GIT_COMMIT_HASH=x", "FROM a", "RUN echo $GIT_COMMIT_HASH", "COPY . ."])).toEqual([
      expect.stringContaining(
        "4: no commit reaches COPY in stage-0, its cache key holds the files and no ARG: ARG GIT_COMMIT_HASH at line 1, before the first FROM, does not reach into a stage",
      ),
    ]);
  });

  it("an ARG after it", () => {
    expect(findings(["FROM a", "COPY . .", "ARG GIT_COMMIT_HASH", "RUN true"])).toEqual([
      expect.stringContaining("comes only after it, at line 3"),
    ]);
  });

  it("an ARG of the final stage", () => {
    const lines = [
      "FROM a AS builder",
      "COPY . .",
      "FROM a",
      "ARG GIT_COMMIT_HASH",
      COMMIT,
      "COPY --from=builder /app /app",
    ];
    expect(findings(lines)).toEqual([
      expect.stringContaining("declared in stage-1 only, and each stage needs its own"),
    ]);
  });

  it("anything before COPY --link, whose cache key ignores it", () => {
    const lines = ["FROM a", "ARG GIT_COMMIT_HASH", "RUN true", "COPY --link . ."];
    expect(steps(lines)).toEqual(["4 cached"]);
    expect(findings(lines)).toEqual([expect.stringContaining("--link")]);
    expect(steps([...lines.slice(0, 3), "COPY --link=false . ."])).toEqual(["4 runs"]);
  });

  it("anything except its own environment, for a RUN that reads the context", () => {
    expect(steps(["FROM a", "RUN --mount=type=bind,target=/src make -C /src"])).toEqual(["2 cached"]);
    expect(steps(["FROM a", "ARG GIT_COMMIT_HASH", "RUN --mount=target=/src make -C /src"])).toEqual([
      "3 runs",
    ]);
  });
});

describe("from stage to stage", () => {
  it.each<[string, string[], string[]]>([
    [
      "a RUN of the parent changes the child's key",
      ["FROM a AS p", "ARG GIT_COMMIT_HASH", "RUN true", "FROM p", "COPY . ."],
      ["5 runs"],
    ],
    [
      "an ARG of the parent reaches the child's RUN",
      ["FROM a AS p", "ARG GIT_COMMIT_HASH", "FROM p AS q", "FROM q", "RUN true", "COPY . ."],
      ["6 runs"],
    ],
    [
      "an ENV of the parent overrides its ARG",
      ["FROM a AS p", "ENV GIT_COMMIT_HASH=x", "ARG GIT_COMMIT_HASH", "FROM p", "RUN true", "COPY . ."],
      ["6 cached"],
    ],
    [
      "FROM ${ARG} finds a stage",
      ["ARG B=p", "FROM a AS p", "ARG GIT_COMMIT_HASH", "FROM ${B}", "RUN true", "COPY . ."],
      ["6 runs"],
    ],
    [
      "a global ARG made of the commit reaches a stage that declares it",
      ["ARG GIT_COMMIT_HASH", "ARG V=v-$GIT_COMMIT_HASH", "FROM a", "ARG V", "RUN true", "COPY . ."],
      ["6 runs"],
    ],
    [
      "--platform is not part of the name",
      ["FROM --platform=$BUILDPLATFORM a AS p", "ARG GIT_COMMIT_HASH", "RUN true", "FROM p", "COPY . ."],
      ["5 runs"],
    ],
    [
      "ONBUILD runs in the child, once",
      [
        "FROM a AS p",
        "ONBUILD ARG GIT_COMMIT_HASH",
        "ONBUILD RUN true",
        "ONBUILD COPY . /a/",
        "FROM p AS q",
        "FROM q",
        "COPY . /b/",
      ],
      ["4 runs", "7 runs"],
    ],
    [
      "ONBUILD does nothing in its own stage",
      ["FROM a AS p", "ONBUILD ARG GIT_COMMIT_HASH", "RUN true", "COPY . ."],
      ["4 cached"],
    ],
    [
      "a stage that is not needed does not count",
      ["FROM a AS x", "COPY . .", "FROM a", "ARG GIT_COMMIT_HASH", "RUN true", "COPY . ."],
      ["6 runs"],
    ],
    [
      "a copied commit file changes the key",
      [
        "FROM a AS c",
        "ARG GIT_COMMIT_HASH",
        "RUN echo $GIT_COMMIT_HASH > /app/COMMIT",
        "FROM a",
        "COPY --from=c /app/COMMIT /x",
        "COPY . .",
      ],
      ["6 runs"],
    ],
    [
      "a copied file that stays the same does not",
      [
        "FROM a AS c",
        "ARG GIT_COMMIT_HASH",
        "RUN echo x > /app/COMMIT",
        "FROM a",
        "COPY --from=c /app/COMMIT /x",
        "COPY . .",
      ],
      ["6 cached"],
    ],
    [
      "a mounted stage with the commit file changes the key",
      [
        "FROM a AS c",
        "ARG GIT_COMMIT_HASH",
        "RUN echo $GIT_COMMIT_HASH > /app/COMMIT",
        "FROM a",
        "RUN --mount=from=c,target=/c true",
        "COPY . .",
      ],
      ["6 runs"],
    ],
    [
      "another folder of a mounted stage does not",
      [
        "FROM a AS c",
        "ARG GIT_COMMIT_HASH",
        "RUN echo $GIT_COMMIT_HASH > /app/COMMIT",
        "FROM a",
        "RUN --mount=from=c,source=/etc,target=/c true",
        "COPY . .",
      ],
      ["6 cached"],
    ],
  ])("%s", (_, lines, expected) => {
    expect(steps(lines)).toEqual(expected);
  });

  const builder = ["FROM a AS Builder", "WORKDIR /app", "ARG GIT_COMMIT_HASH", COMMIT, "COPY . ."];
  it.each<[string, string[], "runs" | "cached"]>([
    ["a folder with the commit file", ["FROM a", "COPY --from=builder /app /app"], "runs"],
    [
      "the commit file first",
      ["FROM a", "COPY --from=builder /app/COMMIT /app/", "COPY --from=builder /app/src /app/src"],
      "runs",
    ],
    ["a pattern that holds the commit file", ["FROM a", "COPY --from=builder /app/* /app/"], "runs"],
    ["a stage by its number", ["FROM a", "COPY --from=0 /app /app"], "runs"],
    ["a stage by its name in another case", ["FROM a", "COPY --from=BUILDER /app /app"], "runs"],
    [
      "a RUN with the ARG before it",
      ["FROM a", "ARG GIT_COMMIT_HASH=x", "RUN true", "COPY --from=builder /app/src /app/src"],
      "runs",
    ],
    ["a folder without the commit file", ["FROM a", "COPY --from=builder /app/src /app/src"], "cached"],
    [
      "the commit file last",
      ["FROM a", "COPY --from=builder /app/src /app/src", "COPY --from=builder /app/COMMIT /app/"],
      "cached",
    ],
    ["the commit file is excluded", ["FROM a", "COPY --exclude=COMMIT --from=builder /app /app"], "cached"],
    [
      "a mount without the commit file",
      ["FROM a", "RUN --mount=from=builder,source=/app/src,target=/s cp -r /s /app"],
      "cached",
    ],
    [
      "a stage in between",
      ["FROM a AS mid", "COPY --from=builder /app /mid", "FROM a", "COPY --from=mid /mid /app"],
      "runs",
    ],
    [
      "a stage in between that loses the commit file",
      [
        "FROM a AS mid",
        "COPY --from=builder /app/COMMIT /c",
        "COPY --from=builder /app/src /app/src",
        "FROM a",
        "COPY --from=mid /app /app",
      ],
      "cached",
    ],
  ])("COPY --from of built files is predicted, and need not run: %s", (_, final, expected) => {
    const some = steps([...builder, ...final]).some((step) => step.endsWith(" cached"));
    expect(some ? "cached" : "runs").toBe(expected);
    expect(findings([...builder, ...final])).toEqual([]);
  });

  it("a copy from the context is not reached by one from a stage that need not run", () => {
    const final = ["FROM a", "COPY --from=builder /app/src /app/src", "COPY z z"];
    expect(findings([...builder, ...final])).toEqual([expect.stringContaining("COPY in stage-1")]);
    expect(findings([...builder, ...final.with(1, "COPY --from=builder /app /app")])).toEqual([]);
  });

  it("a stage of dependencies may be copied freely", () => {
    const deps = ["FROM a AS deps", "COPY package.json .", "RUN npm ci"];
    expect(
      findings([
        ...deps,
        ...builder.map((line) => line.replace("Builder", "b")),
        "FROM a",
        "COPY --from=deps /n /n",
        "COPY --from=b /app /app",
      ]),
    ).toEqual([]);
  });

  it("a program that ran with the commit is trusted to write the commit file", () => {
    const lines = [
      "FROM a AS b",
      "ARG GIT_COMMIT_HASH",
      "RUN ./write-commit",
      "COPY . .",
      "FROM a",
      "COPY --from=b /app /app",
    ];
    expect(findings(lines)).toEqual([]);
  });
});

describe("the remedy is the lines to add", () => {
  it.each<[string, string[], string]>([
    [
      "ARG and RUN",
      ["FROM a", "COPY . ."],
      'Add before line 2 of Dockerfile:\nARG GIT_COMMIT_HASH\nRUN test -n "$GIT_COMMIT_HASH" && mkdir -p /app && printf \'%s\' "$GIT_COMMIT_HASH" > /app/COMMIT',
    ],
    [
      "RUN alone",
      ["FROM a", "ARG GIT_COMMIT_HASH", "COPY . ."],
      'Add before line 3 of Dockerfile:\nRUN test -n "$GIT_COMMIT_HASH" && mkdir -p /app && printf \'%s\' "$GIT_COMMIT_HASH" > /app/COMMIT',
    ],
  ])("%s", (_, lines, remedy) => {
    const [first] = dockerfileFindings(input(lines));
    expect(first?.remedy).toBe(remedy);
    const mended = lines.flatMap((line, at) =>
      at + 1 === first?.line ? [...remedy.split("\n").slice(1), line] : [line],
    );
    expect(findings(mended)).toEqual([]);
  });

  it("one finding per fix of one line", () => {
    expect(
      findings([
        "FROM a AS b",
        "COPY . .",
        "COPY x y",
        "FROM b",
        "COPY z z",
        "FROM b",
        "COPY --from=b /app /app",
      ]),
    ).toHaveLength(1);
  });
});

describe("dependency manifests", () => {
  it.each([
    "package.json package-lock.json",
    "package*.json",
    "package.json yarn.lock",
    "package.json pnpm-lock.yaml pnpm-workspace.yaml .npmrc",
    "package.json yarn.lock* package-lock.json* pnpm-lock.yaml*",
    "web/package.json",
    "requirements.txt",
    "requirements*.txt",
    "requirements-dev.txt",
    "requirements/base.txt requirements.txt",
    "pyproject.toml poetry.lock",
    "pyproject.toml uv.lock",
    "Pipfile Pipfile.lock",
    "Pipfile*",
    "go.mod go.sum",
    "go.*",
    "Cargo.toml Cargo.lock",
    "Gemfile Gemfile.lock",
    "composer.json composer.lock",
    "composer.*",
    "bun.lockb",
    ".yarnrc.yml",
    "--chown=node:node package.json",
  ])("COPY %s may come before the commit", (sources) => {
    const lines = ["FROM a", `COPY ${sources} ./`, "ARG GIT_COMMIT_HASH", "RUN true", "COPY . ."];
    expect(steps(lines)).toEqual(["5 runs"]);
  });

  it.each([
    ".",
    "src",
    "*.json",
    "package.json src",
    "tsconfig.json",
    "*",
    "--link src",
    "main.go",
    "requirements/",
  ])("COPY %s may not", (sources) => {
    expect(steps(["FROM a", `COPY ${sources} ./`])).toEqual(["2 cached"]);
  });

  it("a mount of a manifest is not a mount of source", () => {
    expect(steps(["FROM a", "RUN --mount=type=bind,source=package.json,target=package.json npm ci"])).toEqual(
      [],
    );
  });

  it("a folder is a manifest if the context has nothing else in it", () => {
    const contextFiles = [
      "requirements/base.txt",
      "requirements/requirements.txt",
      "deps/requirements.txt",
      "deps/x.pyc",
    ];
    expect(steps(["FROM a", "COPY deps deps"], { contextFiles })).toEqual(["2 cached"]);
    expect(
      steps(["FROM a", "COPY deps deps"], { contextFiles, dockerignore: "# no bytecode\n**/*.pyc\n" }),
    ).toEqual([]);
    expect(steps(["FROM a", "COPY deps deps"], { contextFiles, dockerignore: "*\n!deps\n" })).toEqual([
      "2 cached",
    ]);
  });
});

describe("source from outside the build context is refused", () => {
  it.each<[string, string]>([
    [
      "RUN git clone https://github.com/a/b",
      "RUN fetches source from outside the build context (git clone https://github.com/a/b)",
    ],
    ["RUN apt-get update && git -C /x clone --depth 1 git@github.com:a/b.git .", "RUN fetches source"],
    ["RUN cd /src && git pull", "RUN fetches source from outside the build context (git pull)"],
    ["RUN git fetch origin main", "RUN fetches source"],
    ["RUN <<EOF\ngit clone https://github.com/a/b\nEOF", "RUN fetches source"],
    ['RUN ["git", "clone", "https://github.com/a/b"]', "RUN fetches source"],
    ["RUN curl -L https://github.com/a/b/archive/refs/heads/main.tar.gz | tar xz", "RUN fetches source"],
    ["RUN wget -qO- https://api.github.com/repos/a/b/tarball/main | tar xz", "RUN fetches source"],
    ["ADD https://example.org/app.tar.gz /app/", "ADD fetches https://example.org/app.tar.gz"],
    ["ADD git@github.com:a/b.git /app/", "ADD fetches git@github.com:a/b.git"],
    ["ADD https://github.com/a/b.git#main /app/", "ADD fetches"],
    ["COPY --from=nginx /etc/nginx /etc/nginx", "COPY takes files from the image nginx"],
    ["COPY --from=team/app:main /dist /dist", "COPY takes files from the image team/app:main"],
    ["RUN --mount=from=alpine,target=/a true", "RUN --mount takes files from the image alpine"],
  ])("%s", (line, why) => {
    expect(
      findings(preceded("ARG GIT_COMMIT_HASH", line.startsWith("RUN") ? line : `RUN true\n${line}`)),
    ).toEqual([expect.stringContaining(why)]);
  });

  const pinned = "0123456789abcdef0123456789abcdef01234567";
  it.each([
    "RUN apt-get install -y git && npm ci && pip install -r requirements.txt",
    "RUN git config --global --add safe.directory /app && git rev-parse HEAD",
    "RUN git clone /src/.git /app",
    "RUN echo git clone https://github.com/a/b",
    `RUN git clone https://github.com/a/b && git -C b checkout ${pinned}`,
    "RUN curl -fsSL https://example.org/tool-1.2.3.tar.gz | tar xz",
    "RUN curl -L https://github.com/a/b/archive/refs/tags/v1.2.3.tar.gz | tar xz",
    `ADD --checksum=sha256:${"0".repeat(64)} https://example.org/tool /bin/`,
    `ADD https://github.com/a/b.git#${pinned} /lib/`,
    `COPY --from=nginx@sha256:${"0".repeat(64)} /etc/nginx /etc/nginx`,
  ])("but not %s", (line) => {
    expect(findings(preceded("ARG GIT_COMMIT_HASH", "RUN true", line))).toEqual([]);
  });

  it("but not in a stage that the target does not need", () => {
    expect(
      findings([
        "FROM a AS x",
        "RUN git clone https://a/b",
        "FROM a",
        "ARG GIT_COMMIT_HASH",
        "RUN true",
        "COPY . .",
      ]),
    ).toEqual([]);
  });
});

describe("a build of source whose failure is swallowed is refused", () => {
  const built = (...lines: string[]) => ["FROM a", "ARG GIT_COMMIT_HASH", "RUN true", "COPY . .", ...lines];

  it.each<[string, string]>([
    ["RUN npm run build || true", '"npm run build" is swallowed by "|| true"'],
    ["RUN npm ci && npm run build || :", '"npm ci" is swallowed by "|| :"'],
    ["RUN (cd web && pnpm build) || exit 0", '"pnpm build" is swallowed by "|| exit 0"'],
    ["RUN make -j4 || echo failed", "swallowed"],
    [
      "RUN NODE_ENV=production ./node_modules/.bin/next build; exit 0",
      '"next build" is swallowed by "; exit 0"',
    ],
    ["RUN /venv/bin/pip install . ; true", "swallowed"],
    ["RUN npm run build \\\n  # flaky\n  || true", "swallowed"],
    ["RUN set +e; npm run build; ls", 'swallowed by "set +e"'],
    ["RUN go build ./... 2>&1 | tee log || true", "swallowed"],
    ["RUN python -m compileall app || true", "swallowed"],
    ["RUN if [ -f package.json ]; then npm run build || true; fi", "swallowed"],
    ["RUN <<EOF\nset -e\nnpm run build || true\nEOF", "swallowed"],
    ['RUN ["sh", "-c", "npm run build || true"]', "swallowed"],
    ["RUN npm run build || npm run build || true", "swallowed"],
  ])("%s", (line, why) => {
    expect(findings(built(...line.split("\n")))).toEqual([expect.stringContaining(why)]);
  });

  it.each([
    "RUN npm run build",
    "RUN npm ci || npm install",
    "RUN npm run build || exit 1",
    "RUN npm run build || (echo failed && exit 1)",
    "RUN npm run build || { echo failed; exit 1; }",
    "RUN npm run build || echo failed && false",
    "RUN rm -f old || true; npm run build",
    "RUN command -v npm || true",
    "RUN npm audit || true",
    "RUN npm run lint || true && npm run build",
    "RUN npm cache clean --force || true",
    "RUN pip cache purge || true",
    "RUN echo 'npm run build || true'",
    "RUN npm run build # || true",
    "RUN set -e; npm run build; true",
    "RUN set +e; npm run build; status=$?; cat log; exit $status",
    "RUN if test -f x; then npm run build; fi",
    "RUN apt-get purge make || true",
    "CMD npm run build || true",
  ])("but not %s", (line) => {
    expect(findings(built(line))).toEqual([]);
  });

  it("but not before any source is copied", () => {
    expect(
      findings(["FROM a", "RUN pip install x || true", "ARG GIT_COMMIT_HASH", "RUN true", "COPY . ."]),
    ).toEqual([]);
  });

  it("but not with a shell that stops at the first failure", () => {
    expect(findings(built('SHELL ["/bin/bash", "-euc"]', "RUN npm run build; true"))).toEqual([]);
  });
});

describe("a Dockerfile without source of the commit", () => {
  it.each<[string, string[], string]>([
    ["copies nothing", ["FROM a", "RUN true"], "1: no stage that the image needs copies source"],
    [
      "copies only manifests",
      ["FROM a", "COPY package.json ."],
      "1: no stage that the image needs copies source",
    ],
    ["copies in a stage that is not needed", ["FROM a AS x", "COPY . .", "FROM a"], "3: no stage"],
    [
      "has an unknown instruction",
      ["FROM a", "COPPY . ."],
      "2: the Dockerfile cannot be read: COPPY is not a Dockerfile instruction",
    ],
    ["has no FROM", ["ARG A"], "1: the Dockerfile cannot be read: there is no FROM"],
    ["is empty", [""], "1: the Dockerfile cannot be read: there is no FROM"],
    [
      "begins with a RUN",
      ["RUN x", "FROM a"],
      "1: the Dockerfile cannot be read: RUN stands before the first FROM",
    ],
    ["has a FROM of two words", ["FROM a b", "COPY . ."], "FROM must be"],
    [
      "copies to nowhere",
      ["FROM a", "COPY ."],
      "2: the Dockerfile cannot be read: COPY needs a source and a destination",
    ],
    ["has an empty RUN", ["FROM a", "RUN"], "2: the Dockerfile cannot be read: RUN has no arguments"],
  ])("is refused when it %s", (_, lines, why) => {
    expect(findings(lines)[0]).toContain(why);
    expect(isBroken(dockerfileVerdict(input(lines)))).toBe(true);
  });

  it("is proven when the source stands in it", () => {
    expect(findings(["FROM a", "COPY <<EOF /app/main.py", "print(1)", "EOF"])).toEqual([]);
  });

  it("does not read the text of a heredoc as instructions", () => {
    expect(
      steps(["FROM a", "RUN <<A cat > x && cat <<-'B'", "COPY . .", "A", "\tCOPY . .", "\tB", "COPY . ."]),
    ).toEqual(["7 cached"]);
  });

  it.each<[number, string[]]>([
    [100, []],
    [2_000, ["too many heredocs have no end"]],
  ])("reads a file with %i heredocs without an end at once", (stray, expected) => {
    const started = performance.now();
    const { problems } = parseDockerfile(`FROM debian\n${"RUN <<EOF\n".repeat(stray)}`);
    expect(problems.map(({ what }) => what)).toEqual(expected);
    expect(performance.now() - started).toBeLessThan(10_000);
  });

  it("does not read << inside quotes as a heredoc", () => {
    expect(steps(["FROM a", 'RUN echo "a <<EOF b"', "COPY . ."])).toEqual(["3 cached"]);
  });
});

describe("the target", () => {
  const lines = ["FROM a AS Web", "ARG GIT_COMMIT_HASH", "RUN true", "COPY . .", "FROM a", "COPY . ."];

  it("is the last stage by default", () => {
    expect(steps(lines)).toEqual(["6 cached"]);
  });

  it("is found by its name in any case", () => {
    expect(findings(lines, { target: "WEB" })).toEqual([]);
  });

  it.each(["api", "0"])("is refused if it does not exist: %s", (target) => {
    expect(dockerfileFindings(input(lines, { target }))).toEqual([
      expect.objectContaining({ line: 5, why: `there is no stage "${target}"`, found: "stages web" }),
    ]);
  });

  it("is built with the args of the configuration", () => {
    const staged = [
      "ARG BASE=a",
      "FROM a AS p",
      "ARG GIT_COMMIT_HASH",
      "FROM ${BASE}",
      "RUN true",
      "COPY . .",
    ];
    expect(steps(staged)).toEqual(["6 cached"]);
    expect(steps(staged, { args: { BASE: "p" } })).toEqual(["6 runs"]);
  });
});

describe("the verdict", () => {
  it("names stages and lines when it is proven", () => {
    expect(
      dockerfileVerdict(input(preceded("ARG GIT_COMMIT_HASH", `${COMMIT}`), { path: "web/Dockerfile" })),
    ).toEqual({
      link: "dockerfile",
      service: "backend",
      status: "proven",
      expected: "the commit reaches every layer made from source",
      found: "a step that depends on GIT_COMMIT_HASH comes before each",
      evidence: "web/Dockerfile: 1 stage, source is copied at line 4",
    });
  });

  it("names file and line, and every problem, when it is broken", () => {
    const verdict = dockerfileVerdict(
      input(["FROM a", "COPY . .", "RUN npm run build || true"], { path: "web/Dockerfile" }),
    );
    if (!isBroken(verdict)) throw new Error("proven");
    expect(new FreshnessError(verdict).message).toBe(
      "freshness: dockerfile of backend: web/Dockerfile:2: no commit reaches COPY in stage-0, its cache key holds the files and no ARG: " +
        'ARG GIT_COMMIT_HASH is not declared; also web/Dockerfile:3: the failure of "npm run build" is swallowed by "|| true": ' +
        "a failed build would be deployed with old files; expected a step of stage-0 that depends on GIT_COMMIT_HASH before line 2, " +
        "found ARG GIT_COMMIT_HASH is not declared. Add before line 2 of web/Dockerfile:\nARG GIT_COMMIT_HASH\n" +
        'RUN test -n "$GIT_COMMIT_HASH" && mkdir -p /app && printf \'%s\' "$GIT_COMMIT_HASH" > /app/COMMIT\n' +
        'Remove "|| true" from the RUN at line 3 of web/Dockerfile.',
    );
  });
});

describe("any text at all", () => {
  const word = fc.oneof(
    fc.string({ maxLength: 8 }),
    fc.constantFrom(
      "${A:-",
      "$",
      "'",
      '"',
      "\\\\",
      "[",
      '["',
      "<<A",
      "--from=",
      "--mount=",
      "|| true",
      "[z-a]*",
      "$(",
      "`",
      "..",
      "\\n",
    ),
  );
  const line = fc
    .tuple(
      fc.constantFrom(
        "FROM",
        "ARG",
        "ENV",
        "COPY",
        "ADD",
        "RUN",
        "WORKDIR",
        "ONBUILD",
        "SHELL",
        "#",
        "# escape=",
      ),
      fc.array(word, { maxLength: 5 }),
    )
    .map(([keyword, words]) => [keyword, ...words].join(" "));

  it("never throws", () => {
    fc.assert(
      fc.property(
        fc.array(line, { maxLength: 8 }),
        fc.array(fc.string({ maxLength: 6 }), { maxLength: 3 }),
        (lines, files) => {
          const contextFiles = files.map((file) => `x${file.replaceAll("\\0", "")}`);
          for (const start of [[], ["FROM a AS b"]])
            dockerfileVerdict(input([...start, ...lines], { contextFiles }));
        },
      ),
      { numRuns: 500, seed: 7 },
    );
  });
});

it("refuses a Dockerfile exactly if a step that copies from the context can come from the cache", () => {
  fc.assert(
    fc.property(generatedDockerfiles, ({ text, args, target }) => {
      const of = input(text, { args, ...(target !== undefined && { target }) });
      const brought = sourceSteps(of);
      const fresh = brought.length > 0 && brought.every(({ from, reruns }) => from === "stage" || reruns);
      expect(dockerfileFindings(of).length === 0).toBe(fresh);
    }),
    { numRuns: 500, seed: 7 },
  );
});
