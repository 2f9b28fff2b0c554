import { describe, expect, it } from "@jest/globals";
import { dockerfileFindings, dockerfileVerdict, sourceSteps } from "../../freshness/dockerfile";
import { baseImages } from "../../freshness/dockerfile/dependencies";
import type { DockerfileInput } from "../../freshness/dockerfile/input";
import { isManifest } from "../../freshness/dockerfile/manifests";
import { bringsSource, readStages } from "../../freshness/dockerfile/stages";

const COMMIT = ["ARG GIT_COMMIT_HASH", `RUN mkdir -p /app && printf '%s' "$GIT_COMMIT_HASH" > /app/COMMIT`];

function input(lines: readonly string[], more: Partial<DockerfileInput> = {}): DockerfileInput {
  const dockerfile = `${lines.join("\n")}\n`;
  return { service: "web", path: "Dockerfile", dockerfile, args: {}, commitFile: "/app/COMMIT", ...more };
}

describe("the arguments that BuildKit sets by itself", () => {
  const sources = (lines: readonly string[], args = {}, platform?: string) =>
    readStages(`${lines.join("\n")}\n`, args, undefined, { platform })
      .flatMap(({ steps }) => steps)
      .flatMap(({ copy }) => copy?.sources ?? []);

  it.each([
    ["ARG TARGETARCH\nCOPY bin/${TARGETARCH}/app ./", undefined, "bin/amd64/app"],
    ["ARG TARGETARCH\nCOPY bin/${TARGETARCH}/app ./", "linux/arm64", "bin/arm64/app"],
    [
      "ARG TARGETPLATFORM TARGETOS\nCOPY bin/$TARGETPLATFORM/$TARGETOS ./",
      "linux/arm64",
      "bin/linux/arm64/linux",
    ],
    ["ARG BUILDPLATFORM\nCOPY bin/$BUILDPLATFORM ./", undefined, "bin/linux/amd64"],
    ["ARG TARGETARCH=other\nCOPY bin/$TARGETARCH ./", undefined, "bin/other"],
    ["COPY bin/${TARGETARCH}/app ./", undefined, "bin/app"],
  ])("describe the platform in a stage that declares them: %s", (lines, platform, source) => {
    expect(sources(["FROM debian", ...lines.split("\n")], {}, platform)).toEqual([source]);
  });

  it("yield to a build arg of the same name", () => {
    expect(sources(["FROM debian", "ARG TARGETARCH", "COPY $TARGETARCH ./"], { TARGETARCH: "mine" })).toEqual(
      ["mine"],
    );
  });

  it("are available in FROM without a declaration", () => {
    const dockerfile = "FROM tools-amd64 AS build-amd64\nFROM build-$TARGETARCH\nCOPY . .\n";
    expect(baseImages(dockerfile, {})).toEqual(["tools-amd64"]);
    expect(readStages(dockerfile, {})[1]?.base).toBe(0);
  });
});

describe("a commit file that is missing by the Dockerfile is refused before the build", () => {
  const builder = ["FROM node AS build", ...COMMIT, "WORKDIR /src", "COPY . ."];
  const judge = (lines: readonly string[]) => dockerfileVerdict(input(lines, { contextFiles: ["a.js"] }));

  it.each<[string, string[]]>([
    [
      "only the build's output is copied",
      [...builder, "RUN mkdir dist", "FROM nginx", "COPY --from=build /src/dist /srv"],
    ],
    ["another folder is copied", [...builder, "FROM nginx", "COPY --from=build /src /app"]],
    [
      "it is written elsewhere",
      ["FROM node", "ARG GIT_COMMIT_HASH", "RUN echo $GIT_COMMIT_HASH > /COMMIT", "COPY . /x"],
    ],
  ])("if %s", (_, lines) => {
    expect(judge(lines)).toMatchObject({ status: "broken", wrong: expect.stringContaining("/app/COMMIT") });
  });

  it("names the stage that has it", () => {
    const verdict = judge([...builder, "FROM nginx", "COPY --from=build /src /srv"]);
    expect(verdict).toMatchObject({
      found: '/app/COMMIT only in stage "build"',
      remedy: expect.stringContaining("COPY --from=build /app/COMMIT /app/COMMIT"),
    });
  });

  it.each<[string, string[]]>([
    ["it is written there", ["FROM node", ...COMMIT, "COPY . ."]],
    ["its base stage wrote it", [...builder, "FROM build", "CMD x"]],
    ["it is copied", [...builder, "FROM nginx", "COPY --from=build /app/COMMIT /app/"]],
    ["it is copied under its name", [...builder, "FROM nginx", "COPY --from=build /app/COMMIT /app/COMMIT"]],
    ["its folder is copied", [...builder, "FROM nginx", "COPY --from=build /app /app"]],
    ["the whole of a stage is copied", [...builder, "FROM scratch", "COPY --from=build / /"]],
    ["a pattern may match it", [...builder, "FROM nginx", "COPY --from=build /app/C* /app/"]],
    ["a program may write it", [...builder, "FROM nginx", "RUN setup", "COPY --from=build /src /srv"]],
    [
      "a program may have written what is copied",
      [...builder, "RUN npm run build", "FROM nginx", "COPY --from=build /src/dist /app"],
    ],
  ])("but not if %s", (_, lines) => {
    expect(judge(lines).status).toBe("proven");
  });
});

describe("both models of a Dockerfile agree on copies of manifests", () => {
  const files = [
    "manifests/package.json",
    "manifests/package-lock.json",
    "requirements/base.txt",
    "src/a.py",
    "app/x.txt",
  ];

  it.each([
    ["manifests/", false],
    ["manifests", false],
    ["./manifests/*.json", false],
    ["requirements/", false],
    ["requirements", false],
    ["requirements/base.txt", false],
    ["src/", true],
    ["app/", true],
    ["manifests/ src/", true],
    [".", true],
  ])("COPY %s ./", (source, brings) => {
    const lines = ["FROM node", ...COMMIT, `COPY ${source} ./`, "COPY src/a.py ./a.py"];
    const line = lines.indexOf(`COPY ${source} ./`) + 1;
    const stages = readStages(lines.join("\n"), {}, undefined, { files });
    const copy = stages[0]?.steps.find((step) => step.line === line)?.copy;
    expect(copy && bringsSource(stages, copy)).toBe(brings);
    expect(sourceSteps(input(lines, { contextFiles: files })).some((step) => step.line === line)).toBe(
      brings,
    );
  });

  it("a folder of requirements counts by its files", () => {
    expect(isManifest("requirements/", { files })).toBe(true);
    expect(isManifest("requirements/", { files: [...files, "requirements/setup.py"] })).toBe(false);
  });
});

describe("a tool that is copied from an image", () => {
  const findings = (image: string) =>
    dockerfileFindings(input(["FROM node", ...COMMIT, `COPY --from=${image} /uv /bin/`, "COPY . ."]));

  it.each([
    "ghcr.io/astral-sh/uv:0.5.11",
    "composer:2",
    "node:24-bookworm-slim",
    `busybox@sha256:${"a".repeat(64)}`,
  ])("is accepted by a version's tag or a digest: %s", (image) => expect(findings(image)).toEqual([]));

  it.each(["composer", "ghcr.io/astral-sh/uv:latest", "team/app:main", "localhost:5000/app"])(
    "is refused as %s",
    (image) => {
      expect(findings(image)).toMatchObject([{ why: expect.stringContaining(image) }]);
    },
  );

  it("is watched like a base image", () => {
    const dockerfile = "FROM node:24\nCOPY --from=composer:2 /usr/bin/composer /bin/\n";
    expect(baseImages(dockerfile, {}).sort()).toEqual(["composer:2", "node:24"]);
  });
});

describe("an unprovable or impossible build is refused before it starts", () => {
  const judge = (line: string, more: Partial<DockerfileInput> = {}) =>
    dockerfileVerdict(
      input(["FROM node", ...COMMIT, line, "COPY . ."], { contextFiles: ["a.js", "package.json"], ...more }),
    );

  it("source that is mounted and not copied, with the COPY that replaces it", () => {
    expect(judge("RUN --mount=type=bind,target=/src cp /src/a.js /out")).toMatchObject({
      wrong: expect.stringMatching(/^Dockerfile:4: RUN --mount=type=bind reads source/),
      remedy: expect.stringContaining("COPY . /src"),
    });
  });

  it.each([
    "RUN --mount=type=bind,source=package.json,target=package.json npm ci",
    "RUN --mount=type=cache,target=/root/.npm npm ci",
    "RUN --mount=type=tmpfs,target=/x make",
  ])("not %s", (line) => {
    expect(judge(line).status).toBe("proven");
  });

  const judgeLines = (...lines: string[]) =>
    dockerfileVerdict({
      ...{ service: "web", path: "Dockerfile", args: {}, commitFile: "/app/COMMIT" },
      dockerfile: lines.join("\n"),
    });
  const begin = ["FROM a", "ARG GIT_COMMIT_HASH", "RUN echo $GIT_COMMIT_HASH > /app/COMMIT"];

  it.each([
    ["ADD app.tar.gz /app/", "COPY app /app/", "ADD unpacks an archive"],
    ["COPY --parents src/a ./", "COPY src/a ./src/", "COPY --parents cannot be compared"],
    ["COPY --exclude=*.md . .", "COPY . .", "COPY --exclude cannot be compared"],
  ])("a copy that cannot be compared: %s", (line, mended, why) => {
    expect(judgeLines(...begin, line)).toMatchObject({
      wrong: expect.stringContaining(`Dockerfile:4: ${why}`),
      remedy: expect.stringContaining("Change line 4 of Dockerfile"),
    });
    expect(judgeLines(...begin, mended).status).toBe("proven");
  });

  it("a variable in --from, until it is a stage", () => {
    const rest = [...begin, "COPY . /app", "COPY --from=$NODE /n /n"];
    expect(judgeLines("ARG NODE=node:24", ...rest)).toMatchObject({
      wrong: expect.stringContaining("Dockerfile:6: COPY has a variable in --from"),
      remedy: expect.stringContaining("FROM $NODE AS tools"),
    });
    const mended = rest.map((line) => line.replace("$NODE", "tools"));
    expect(judgeLines("ARG NODE=node:24", "FROM $NODE AS tools", ...mended).status).toBe("proven");
  });

  it.each([
    "apk --no-cache add tzdata",
    "apt-get update && apt-get install -y curl && rm -rf /var/lib/apt/lists/*",
    "DEBIAN_FRONTEND=noninteractive apt-get install -y curl && useradd party",
  ])("a last stage without the commit file, which %s cannot bring", (command) => {
    const built = ["FROM a AS build", ...begin.slice(1), "COPY . /src", "FROM b", `RUN ${command}`];
    const copied = [...built, "COPY --from=build /src/party /usr/bin/party"];
    expect(judgeLines(...copied)).toMatchObject({
      wrong: expect.stringContaining("has no /app/COMMIT"),
      remedy: expect.stringContaining("COPY --from=build /app/COMMIT /app/COMMIT"),
    });
    expect(judgeLines(...copied, "COPY --from=build /app/COMMIT /app/COMMIT").status).toBe("proven");
  });

  it.each(["apt-get install -y /src/party.deb", "./prepare", "apk add tzdata && ./prepare"])(
    "not a last stage in which %s may bring the commit file",
    (command) => {
      const built = ["FROM a AS build", ...begin.slice(1), "COPY . /src", "FROM b", `RUN ${command}`];
      expect(judgeLines(...built, "COPY --from=build /src/party /usr/bin/party").status).toBe("proven");
    },
  );

  it("a link that is committed as a file", () => {
    expect(judgeLines("docker/Dockerfile.prod")).toMatchObject({
      wrong: expect.stringContaining("holds a path, as a symbolic link does that was committed as a file"),
    });
  });

  it("a stage without a name that brings sources to another one", () => {
    const copied = [
      "FROM a",
      "ARG GIT_COMMIT_HASH",
      "RUN echo $GIT_COMMIT_HASH > /app/COMMIT",
      "COPY . /app",
    ];
    const input = { service: "web", path: "Dockerfile", args: {}, commitFile: "/app/COMMIT" };
    const verdict = (from: string) =>
      dockerfileVerdict({
        ...input,
        dockerfile: [from, ...copied.slice(1), "FROM b", "COPY --from=0 /app /app"].join("\n"),
      });
    expect(verdict("FROM a")).toMatchObject({
      wrong: expect.stringMatching(/^Dockerfile:1: the stage brings sources and has no name/),
      found: "FROM a",
      remedy: expect.stringContaining("FROM a AS stage0 (COPY --from=0 may stay)"),
    });
    expect(verdict("FROM a AS stage0").status).toBe("proven");
  });

  it.each([
    ["RUN --mount=type=secret,id=token x", "token"],
    ["RUN --mount=type=secret,target=/run/secrets/token x", "token"],
    ["RUN --mount=type=ssh npm ci", "ssh"],
  ])("a secret that is not configured: %s", (line, name) => {
    expect(judge(line)).toMatchObject({
      wrong: expect.stringMatching(/^Dockerfile:4: /),
      remedy: expect.stringContaining(`watch-party:services.web.buildSecrets.${name}`),
    });
    expect(judge(line, { buildSecrets: [name] }).status).toBe("proven");
  });
});
