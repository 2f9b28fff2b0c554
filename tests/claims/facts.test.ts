import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import execa from "execa";

const DOCUMENT = resolve(__dirname, "..", "..", "docs", "DOCKER_CACHE_FIX.md");

/** One line of the document, what it printed, and whether it succeeded. */
interface Typed {
  readonly fact: string;
  readonly line: string;
  /** What stands behind it as a comment. */
  readonly comment: string;
  readonly said: string;
  readonly ok: boolean;
}

/** The shell lines of the document's facts, by the heading that they stand under. */
function factLines(): Omit<Typed, "said" | "ok">[] {
  const [, facts = ""] = /^## Seven facts$([\s\S]*?)^## The flow before$/m.exec(
    readFileSync(DOCUMENT, "utf8"),
  )!;
  return facts.split(/^### /m).flatMap((section) => {
    const fact = /^(\d)\. /.exec(section)?.[1] ?? "";
    return [...section.matchAll(/^```sh\n([\s\S]*?)^```$/gm)].flatMap(([, block]) =>
      block!
        .split("\n")
        .filter((line) => line.trim() !== "")
        .map((line) => {
          const [, typed = line, comment = ""] = /^(.*?\S)\s{2,}#\s*(.*)$/.exec(line) ?? [];
          return { fact, line: typed, comment };
        }),
    );
  });
}

/** The steps of a build's plain log: name → whether it came from the cache. */
function steps(log: string): Map<string, boolean> {
  const cached = new Set([...log.matchAll(/^#(\d+) CACHED$/gm)].map(([, id]) => id!));
  const named = [...log.matchAll(/^#(\d+) \[([\w -]+ )?\d+\/\d+\] ((?:RUN|COPY) .*)$/gm)];
  return new Map(named.map(([, id, stage = "", name]) => [`${stage}${name}`, cached.has(id!)]));
}

describe("the facts of docs/DOCKER_CACHE_FIX.md, run line by line", () => {
  const folder = mkdtempSync(join(tmpdir(), "watch-party-facts-"));
  let typed: Typed[] = [];
  let major = 0;

  beforeAll(async () => {
    const { stdout } = await execa("docker", ["version", "--format", "{{.Server.Version}}"]);
    major = Number(stdout.split(".")[0]);
    const hasBuildx = !(await execa("docker", ["buildx", "version"], { reject: false })).failed;
    const lines = factLines().filter(({ line }) => hasBuildx || !line.startsWith("docker buildx"));
    // One shell, as the lines go on from one another.
    const script = lines.map(({ line }, at) => `echo "@@${at}"\n${line} 2>&1 || echo "@@failed"`).join("\n");
    const ran = await execa("bash", ["-c", script], { cwd: folder, reject: false, all: true });
    const said = (ran.all ?? "").split(/^@@(?=\d+$)/m).slice(1);
    typed = lines.map((line, at) => ({
      ...line,
      said: (said[at] ?? "").replace(/^\d+\n?/, ""),
      ok: said[at] !== undefined && !said[at].includes("@@failed"),
    }));
  });
  afterAll(async () => {
    rmSync(folder, { recursive: true, force: true });
    await execa("docker", ["image", "rm", "--force", "cache-facts", "cache-facts/deps"], { reject: false });
  });

  /** The last line of a fact whose comment has these words. */
  const find = (fact: string, comment: string) => {
    const found = typed.findLast((each) => each.fact === fact && each.comment.includes(comment));
    if (!found) throw new Error(`fact ${fact} has no line with "${comment}"`);
    return found;
  };

  it("every line succeeds", () => {
    expect(typed.length).toBeGreaterThan(25);
    expect(typed.filter(({ ok }) => !ok)).toEqual([]);
  });

  it("1: after a prune a second build of the same commit comes entirely from the cache", () => {
    const made = steps(find("1", "CACHED, every step").said);
    expect(made.size).toBe(2);
    expect([...made.values()]).toEqual([true, true]);
  });

  it("2: an ARG alone does not invalidate a COPY, a RUN that uses it does", () => {
    expect(steps(find("2", "COPY: CACHED").said).get("COPY . /app")).toBe(true);
    expect(steps(find("2", "COPY runs").said).get("COPY . /app")).toBe(false);
  });

  it("3: the build stage is cached although the image carries the new commit", () => {
    expect(steps(find("3", "COPY: CACHED").said).get("builder COPY . /app")).toBe(true);
    expect(find("3", "b").said.trim()).toBe("b");
  });

  it("4: a COPY contains other bytes than the disk, on the named engine", () => {
    const { said } = find("4", "one, on 20.10");
    expect(said.trim()).toBe(major <= 20 ? "one" : "two");
  });

  it("5: new source runs old bytecode", () => {
    expect(
      typed.filter(({ fact, comment }) => fact === "5" && comment === "one").map(({ said }) => said.trim()),
    ).toEqual(["one", "one"]);
  });

  it("6: the layers of a tagged stage survive the prune, layers from source do not", () => {
    const made = steps(find("6", "sleep: CACHED").said);
    expect([...made].find(([name]) => name.includes("sleep 5"))?.[1]).toBe(true);
    expect(made.get("stage-1 COPY . /app") ?? made.get("COPY . /app")).toBe(false);
  });
});
