import { Readable } from "node:stream";
import { describe, expect, it } from "@jest/globals";
import execa from "execa";
import { hashTar, readSaved } from "../../engine/tarFiles";
import { bytesVerdict, type ComparedCopy, placeFiles, throughLinks } from "../../freshness/bytes";
import { filledFolder, leftoversVerdict, originsOf } from "../../freshness/bytes/leftovers";
import { readStages, stagesToKeep, targetStage } from "../../freshness/dockerfile/stages";
import { expand } from "../../freshness/dockerfile/words";
import { contextFiles } from "../../freshness/dockerignore";
import type { Files, ImageFile, TreeEntry } from "../../freshness/files";

const file = (hash: string, more: Partial<ImageFile> = {}): ImageFile => ({
  kind: "file",
  hash,
  executable: false,
  ...more,
});
const files = (...paths: string[]): Files => new Map(paths.map((path) => [path, file(path)]));
const CONTEXT = files(
  "package.json",
  "package-lock.json",
  "a.txt",
  "src/main.py",
  "src/sub/x.py",
  "other/y.py",
);

/** The only copy of a one-stage Dockerfile. */
const copyOf = (instructions: string, args: Record<string, string> = {}) =>
  readStages(`FROM base AS one\n${instructions}`, args)[0]!.steps.find(({ copy }) => copy)!.copy!;

describe("where a COPY puts its files", () => {
  it.each([
    ["a folder's content", "COPY src /app", ["app/main.py", "app/sub/x.py"]],
    ["the whole context", "WORKDIR /srv\nCOPY . .", [...CONTEXT.keys()].map((path) => `srv/${path}`)],
    ["a file into a folder", "COPY a.txt /app/", ["app/a.txt"]],
    ["a file in place of a path", "COPY a.txt /app/b.txt", ["app/b.txt"]],
    ["several files", "COPY a.txt package.json /app/", ["app/a.txt", "app/package.json"]],
    ["the matches of a wildcard", "COPY package*.json ./", ["package.json", "package-lock.json"]],
    ["a wildcard's folders by their content", "COPY s*c o?her /x/", ["x/main.py", "x/sub/x.py", "x/y.py"]],
    ["no deeper than one level", "COPY src/*.py /x/", ["x/main.py"]],
    ["the JSON form", 'COPY ["a.txt", "/with space/"]', ["with space/a.txt"]],
    ["an expanded target", "ENV HOME=/srv\nWORKDIR $HOME/app\nCOPY a.txt ${DIR:-in}/", ["srv/app/in/a.txt"]],
    ["a build argument", "ARG DIR=x\nCOPY ${DIR} /y", ["y/main.py", "y/sub/x.py"]],
    ["paths that would leave the context", "COPY ../src/./ /x", ["x/main.py", "x/sub/x.py"]],
    ["ADD like COPY", "ADD src /x", ["x/main.py", "x/sub/x.py"]],
    ["flags and continued lines", "COPY --chown=1:1 --link \\\n  a.txt \\\n  /x/", ["x/a.txt"]],
  ])("%s", (_, instructions, expected) => {
    const placed = placeFiles(copyOf(instructions, { DIR: "src" }), CONTEXT, new Map());
    expect([...placed.keys()].sort()).toEqual([...expected].sort());
  });

  it("puts a file into a folder that the image had, and follows a link that is asked for by name", () => {
    const copy = copyOf("COPY a.txt /app");
    expect([...placeFiles(copy, CONTEXT, files("app/a.txt")).keys()]).toEqual(["app/a.txt"]);
    const linked = new Map(CONTEXT).set("link", file("l", { kind: "link", target: "src/main.py" }));
    expect(placeFiles(copyOf("COPY link /z"), linked, new Map())).toEqual(
      new Map([["z", file("src/main.py")]]),
    );
    expect(placeFiles(copyOf("COPY . /"), linked, new Map()).get("link")).toMatchObject({ kind: "link" });
  });

  it.each([
    ["COPY src /bin", files("usr/bin/main.py", "usr/bin/sub/x.py")],
    ["COPY a.txt /bin/", files("usr/bin/a.txt")],
    ["COPY src/main.py /bin/x", files("usr/bin/x")],
  ])("%s lands where a link of the image leads", (instruction, found) => {
    const copy = copyOf(instruction);
    const placed = throughLinks(copy, placeFiles(copy, CONTEXT, found), found);
    expect([...placed.keys()]).toEqual([...found.keys()]);
    expect(throughLinks(copy, placeFiles(copy, CONTEXT, files()), files())).toEqual(
      placeFiles(copy, CONTEXT, files()),
    );
  });

  it("uses the value of an ENV at the COPY, not at the end", () => {
    const [stage] = readStages("FROM base\nARG DIR=x\nCOPY a $DIR/\nENV DIR=y", {});
    expect(stage).toMatchObject({ sets: ["DIR"], steps: [{ copy: { target: "x" } }] });
  });

  // As BuildKit of Engine 20.10 does, measured.
  it.each([
    ["an ARG overrides an ENV before it", "FROM base\nENV DIR=env\nARG DIR=arg\nCOPY a /$DIR/", "arg"],
    ["an ENV overrides an ARG before it", "FROM base\nARG DIR=arg\nENV DIR=env\nCOPY a /$DIR/", "env"],
    [
      "an ARG reaches a stage based on its stage",
      "FROM base AS one\nARG DIR=arg\nFROM one\nCOPY a /$DIR/",
      "arg",
    ],
    [
      "an ENV overrides it there",
      "FROM base AS one\nENV DIR=env\nARG DIR=arg\nFROM one\nCOPY a /$DIR/",
      "env",
    ],
  ])("%s", (_, dockerfile, target) => {
    expect(readStages(dockerfile, {}).at(-1)?.steps).toMatchObject([{ copy: { target } }]);
  });

  it("knows the commit in a path", () => {
    const [stage] = readStages("FROM base\nARG GIT_COMMIT_HASH\nCOPY a /$GIT_COMMIT_HASH/", {
      GIT_COMMIT_HASH: "c0ffee",
    });
    expect(stage?.steps).toMatchObject([{ copy: { target: "c0ffee" } }]);
  });

  it("runs ONBUILD instructions of the base stage once", () => {
    const stages = readStages("FROM base AS one\nONBUILD COPY a /x\nFROM one AS two\nFROM two", {});
    expect(stages.map(({ steps }) => steps.map(({ copy }) => copy?.target))).toEqual([[], ["x"], []]);
  });

  it.each([
    ["ADD sources.tar.gz /x/", /unpacks/],
    ["COPY --parents src/main.py /x/", /--parents/],
    ["ADD a.txt https://example.org/x /x/", /URL/],
  ])("reports %s as unknown", (instruction, why) => {
    expect(copyOf(instruction).refusal).toMatch(why);
  });

  it("ignores files from outside this build", () => {
    expect(copyOf("COPY --from=busybox:1 /bin/sh /sh").from).toBe("elsewhere");
    expect(copyOf("ADD https://example.org/x /x").from).toBe("elsewhere");
    expect(copyOf("COPY <<EOF /x\nhello\nEOF").from).toBe("elsewhere");
  });

  it.each([
    ["$A/b", "1/b"],
    ["${A}b", "1b"],
    ["${B:-x}${A:+y}${B:+z}", "xy"],
    ["'$A'\\$A\"$A\"", "$A$A1"],
  ])("expands %s to %s", (word, expected) => expect(expand(word, new Map([["A", "1"]]))).toBe(expected));
});

describe("the stages that are images of their own", () => {
  const kept = (dockerfile: string, target?: string) => {
    const stages = readStages(dockerfile, {});
    return stagesToKeep(stages, targetStage(stages, target)).map(({ name }) => name);
  };

  it.each([
    ["none for a single stage", "FROM a\nCOPY . .", []],
    ["the one that copies the sources", "FROM a AS b\nCOPY . .\nFROM a\nCOPY --from=b /x /x", ["b"]],
    [
      "not the one it begins with",
      "FROM a AS deps\nCOPY package.json .\nFROM deps AS b\nCOPY . .\nFROM a\nCOPY --from=deps /m /m\nCOPY --from=b /x /x",
      ["b"],
    ],
    [
      "a separate stage of dependencies",
      "FROM a AS deps\nCOPY package.json .\nFROM a AS b\nCOPY --from=deps /m /m\nCOPY . .\nFROM a\nCOPY --from=b /x /x",
      ["deps", "b"],
    ],
    [
      "each that hands the sources on",
      "FROM a AS src\nCOPY . .\nFROM a AS b\nCOPY --from=src / /\nFROM a\nCOPY --from=1 /x /x",
      ["src", "b"],
    ],
    ["none that the target does not need", "FROM a AS tests\nCOPY . .\nFROM a\nCOPY . .", []],
    ["none that the target is based on", "FROM a AS b\nCOPY . .\nFROM b", []],
  ])("%s", (_, dockerfile, expected) => expect(kept(dockerfile)).toEqual(expected));

  it("knows the target by its name", () => {
    const dockerfile = "FROM a AS b\nCOPY . .\nFROM a AS run\nCOPY --from=b /x /x\nFROM a AS other\nCOPY . .";
    expect(kept(dockerfile, "run")).toEqual(["b"]);
    expect(() => kept(dockerfile, "none")).toThrow("the Dockerfile has no stage none");
  });
});

describe("the build context", () => {
  const tree = (...paths: string[]): TreeEntry[] =>
    paths.map((path) => ({ mode: "100644", hash: `h-${path}`, path }));
  const left = (ignored: string, ...paths: string[]) => [
    ...contextFiles(tree(...paths), new Map(), ignored, "Dockerfile").keys(),
  ];

  it.each([
    ["*.md\n!keep.md", ["a.md", "keep.md", "x/a.md"], ["keep.md", "x/a.md"]],
    ["**/*.md", ["a.md", "x/y/a.md", "b"], ["b"]],
    ["docs\n# b\n\n", ["docs/a", "docs/x/a", "b", "x/docs/a"], ["b", "x/docs/a"]],
    ["docs\n!docs/keep", ["docs/a", "docs/keep"], ["docs/keep"]],
    ["/A", ["A", "a"], ["a"]],
    ["*\n!src", ["a", "src/b"], ["src/b"]],
  ])("%j keeps the same files as Docker", (ignored, paths, expected) =>
    expect(left(ignored, ...paths)).toEqual(expected),
  );

  it("allows a client to send the ignored Dockerfile", () => {
    const found = contextFiles(tree("Dockerfile", "a"), new Map(), "*\n", "Dockerfile");
    expect([...found]).toEqual([["Dockerfile", file("h-Dockerfile", { optional: true })]]);
  });

  it("knows modes and links, and no submodules", () => {
    const entries: TreeEntry[] = [
      { mode: "100755", hash: "1", path: "run" },
      { mode: "120000", hash: "2", path: "link" },
      { mode: "160000", hash: "3", path: "module" },
    ];
    expect([...contextFiles(entries, new Map([["2", "run"]]), "", "Dockerfile")]).toEqual([
      ["run", file("1", { executable: true })],
      ["link", file("2", { kind: "link", target: "run" })],
    ]);
  });
});

describe("the verdict on the bytes", () => {
  const where = "COPY . . (Dockerfile:7, stage builder)";
  const copy = (found: Files, more: Partial<ComparedCopy> = {}): ComparedCopy => ({
    where,
    against: "context",
    expected: files("app/a", "app/b"),
    found,
    modes: true,
    ...more,
  });

  it("proves equal files", () => {
    expect(bytesVerdict("web", [copy(files("app/a", "app/b"))], [])).toEqual({
      link: "bytes",
      service: "web",
      status: "proven",
      expected: "2 files of the commit",
      found: "2 files of the commit",
      evidence: `the layers of ${where}`,
    });
  });

  it.each<[string, Files, string]>([
    ["a stale file", new Map([...files("app/b"), ["app/a", file("old")]]), "1 differs: /app/a"],
    ["a missing file", files("app/a"), "1 missing: /app/b"],
    ["a stray file", files("app/a", "app/b", "app/c"), "1 not in the commit: /app/c"],
    [
      "another mode",
      new Map([...files("app/b"), ["app/a", file("app/a", { executable: true })]]),
      "1 differs: /app/a",
    ],
    [
      "a link in place of a file",
      new Map([...files("app/b"), ["app/a", file("app/a", { kind: "link" })]]),
      "1 differs: /app/a",
    ],
    ["an empty layer", new Map(), "2 missing: /app/a, /app/b"],
  ])("breaks on %s", (_, found, said) => {
    const verdict = bytesVerdict("web", [copy(found)], []);
    expect(verdict).toMatchObject({ status: "broken", expected: "2 files of the commit", found: said });
    expect(verdict).toMatchObject({ wrong: `${where} put files into the image that differ from the commit` });
  });

  it("counts all and names ten", () => {
    const many = files(...Array.from({ length: 12 }, (_, at) => `app/${at}`));
    const { found } = bytesVerdict("web", [copy(files("app/a", "app/b", ...many.keys()))], []);
    expect(found).toMatch(/^12 not in the commit: (\/app\/\d+, ){10}…$/);
  });

  it("names the stage that the image was not made from", () => {
    const handed = copy(files("app/a"), { against: { stage: "builder" } });
    expect(bytesVerdict("web", [copy(files("app/a", "app/b")), handed], [])).toMatchObject({
      status: "broken",
      wrong: `${where} was not made from the stage that was compared with the commit`,
      expected: "2 files of stage builder",
    });
  });

  it("accepts a mode set by COPY, and an optional file", () => {
    const found = new Map([...files("app/b"), ["app/a", file("app/a", { executable: true })]]);
    const expected = new Map([...files("app/a", "app/b"), ["app/Dockerfile", file("d", { optional: true })]]);
    expect(bytesVerdict("web", [copy(found, { expected, modes: false })], [])).toMatchObject({
      status: "proven",
      expected: "2 files of the commit",
    });
  });

  it("fails if no file was compared or a file cannot be compared", () => {
    expect(bytesVerdict("web", [], [])).toMatchObject({ status: "broken", found: "nothing to compare" });
    expect(bytesVerdict("web", [copy(new Map(), { expected: new Map() })], [])).toMatchObject({
      status: "broken",
    });
    const refusal = { where: "ADD x.tar /", why: "it is unpacked", remedy: "COPY it." };
    expect(bytesVerdict("web", [copy(files("app/a", "app/b"))], [refusal])).toMatchObject({
      status: "broken",
      wrong: "ADD x.tar /: it is unpacked",
      remedy: "COPY it.",
    });
  });
});

describe("files read from an archive", () => {
  /** Hashes that `git hash-object` gives for "hello\n" and for a link to "a". */
  const HELLO = "ce013625030ba8dba906f756967f9e9ca394464a";
  const LINK = "2e65efe2a145dda7ee51d1741299f848e5bf752e";
  const LONG = `${"long-".repeat(30)}name`;
  const archive = async (format: string) => {
    const script = `d=$(mktemp -d) && cd $d && echo hello > a && ln a hard && ln -s a link && mkdir f && echo hello > f/${LONG} && chmod 755 f/${LONG} && chmod 644 a && tar --format=${format} -c a hard link f; rm -r $d`;
    return (await execa("bash", ["-c", script], { encoding: null })).stdout as unknown as Buffer;
  };
  const contents = new Map<string, unknown>([
    ["a", file(HELLO)],
    ["hard", file(HELLO)],
    ["link", file(LINK, { kind: "link", target: "a" })],
    [`f/${LONG}`, file(HELLO, { executable: true })],
  ]);

  it.each(["gnu", "pax"])("have git's hashes, read in small pieces, in %s's format", async (format) => {
    const bytes = await archive(format);
    const pieces = Array.from({ length: Math.ceil(bytes.length / 100) }, (_, at) =>
      bytes.subarray(at * 100, at * 100 + 100),
    );
    expect(await hashTar(Readable.from(pieces), "sha1")).toEqual(contents);
    await expect(hashTar(Readable.from(pieces.slice(0, 6)), "sha1")).rejects.toThrow("ends in the middle");
  });

  it("are found in a saved image, compressed or not", async () => {
    const layer = await archive("pax");
    const script =
      'd=$(mktemp -d) && cd $d && mkdir one && cat > one/layer.tar && gzip -k one/layer.tar && echo "[]" > manifest.json && ln -s one/layer.tar two && tar -c manifest.json one two; rm -r $d';
    const saved = (await execa("bash", ["-c", script], { encoding: null, input: layer })).stdout;
    const { documents, archives } = await readSaved(Readable.from([saved as unknown as Buffer]), "sha1");
    expect(documents.get("manifest.json")).toBe("[]\n");
    expect(archives).toEqual(
      new Map(["one/layer.tar", "one/layer.tar.gz", "two"].map((name) => [name, contents])),
    );
  });
});

describe("the files of a stage's base image", () => {
  it.each([
    ["COPY . /app", "app"],
    ["WORKDIR /usr/src/app\nCOPY . .", "usr/src/app"],
    ["COPY src /usr/share/nginx/html", "usr/share/nginx/html"],
    ["COPY src /opt/app", "opt/app"],
    ["COPY a.txt /app/b.txt", "app"],
    ["COPY . /", undefined],
    ["COPY src /usr/local/bin/", undefined],
    ["COPY a.txt /bin/start", undefined],
    ["COPY src /etc", undefined],
    ["COPY src /usr/local", undefined],
  ])("are searched where %j puts files", (instructions, folder) => {
    const copy = copyOf(instructions);
    expect(filledFolder(copy, placeFiles(copy, CONTEXT, new Map()))).toBe(folder);
  });

  const origins = (dockerfile: string, path: string) => {
    const stages = readStages(dockerfile, {});
    return originsOf(stages, targetStage(stages, undefined), path);
  };
  it.each([
    ["FROM a\nCOPY . /app", "app/old/x.py", ["old/x.py"]],
    ["FROM a\nCOPY src /app", "app/x.py", ["src/x.py", "x.py"]],
    ["FROM a\nCOPY a.py b.py /app/", "app/c.py", ["a.py/c.py", "c.py", "b.py/c.py"]],
    ["FROM a\nCOPY lib/*.py /app/", "app/c.py", ["lib/c.py"]],
    ["FROM a\nCOPY lib/a.py /app/main.py", "app/c.py", ["lib/a.py/c.py", "lib/c.py"]],
    ["FROM a AS b\nCOPY . /src\nFROM c\nCOPY --from=b /src/web /app", "app/c.js", ["web/c.js", "c.js"]],
    ["FROM a AS b\nCOPY . /app\nFROM b", "app/c.js", ["c.js"]],
    ["FROM a\nCOPY . /app", "srv/c.js", []],
    ["FROM a\nCOPY --from=nginx:1 /x /app", "app/c.js", []],
    ["FROM a\nCOPY . /app", "app/package-lock.json", []],
  ])("%j: %s could come from %j", (dockerfile, path, expected) => {
    expect(origins(dockerfile, path)).toEqual(expected);
  });

  const left = { where: "COPY . . (Dockerfile:3)", folder: "app", earlier: [], others: 0 };
  it("are judged by git history", () => {
    expect(leftoversVerdict("web", [], true)).toBeUndefined();
    expect(leftoversVerdict("web", [left], true)).toBeUndefined();
    expect(leftoversVerdict("web", [{ ...left, others: 2 }, left], true)).toMatchObject({
      ...{ link: "bytes", status: "proven", found: "none among its 2 files" },
      evidence: "/app of COPY . . (Dockerfile:3)",
    });
    expect(leftoversVerdict("web", [{ ...left, others: 1 }], false)).toMatchObject({
      status: "not checked",
      found: "1 file, but the checkout is shallow and lacks earlier commits to compare with",
    });
    expect(leftoversVerdict("web", [left, { ...left, earlier: ["app/old.py"] }], false)).toMatchObject({
      ...{ link: "bytes", service: "web", status: "broken", found: "1: /app/old.py" },
      wrong:
        "the image that the stage of COPY . . (Dockerfile:3) begins with contains files of an earlier commit",
    });
  });
});
