import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
import { createContext, Script } from "node:vm";
import { afterAll, describe, expect, it } from "@jest/globals";
import fc from "fast-check";
import { readReport } from "../../cli/deploy";
import { certificateMarkdown } from "../../cli/markdown";
import { table } from "../../cli/table";
import { parseConfig } from "../../config";
import { parseStackText } from "../../config/text";
import { ConfigError } from "../../config/types";
import { hashTar, readSaved } from "../../engine/tarFiles";
import { namedByPage, registrations, textOfPage } from "../../freshness/browser/html";
import { privateLifetime } from "../../freshness/browser/lifetime";
import { composeFindings } from "../../freshness/cache/compose";
import { dockerfileVerdict } from "../../freshness/dockerfile";
import { ignoreRules } from "../../freshness/dockerignore";
import { cachedBy, commitOf, versionVerdict } from "../../freshness/served";
import { readAnswer } from "../../freshness/served/asking";
import { pagesVerdict } from "../../freshness/served/pages";
import { parseBaseline } from "../../packages/doctor/baseline";
import { study } from "../../packages/doctor/examine";
import { pointerOf } from "../../source/largeFiles";
import { parseBatch } from "../../source/objects";
import { parseTree, TreeError } from "../../source/tree";
import { repositoryOf } from "../support/repositories";

/** Seconds for each reader: a second in CI, hours by hand. */
const SECONDS = Number(process.env.WATCH_PARTY_FUZZ_SECONDS ?? "1");
/** Processor time of one execution. All readers need milliseconds for inputs of this size. */
const LIMIT_MS = 5_000;
/** What ends one: on a machine that others keep busy, five seconds of the processor take longer. */
const END_MS = 60_000;
const LONGEST = 64 * 1024;
const CORPUS = join(__dirname, "corpus");
const SHA = "0123456789abcdef0123456789abcdef01234567";

const scratch = mkdtempSync(join(tmpdir(), "watch-party-fuzz-"));
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

interface Reader {
  readonly name: string;
  /** Folder of the corpus. */
  readonly corpus: string;
  readonly read: (bytes: Buffer) => unknown;
  /** Whether a reader refuses an input with this error. Any other error is a crash. */
  readonly refuses?: (cause: Error) => boolean;
}

const answer = (body: string) => ({
  url: "https://a.test/",
  address: "",
  status: 200,
  headers: {},
  body,
  error: "",
});
/** `doctor` reads files of a repository under a time limit of its own, and lists what exceeds it. */
const doctor = (path: string) => (bytes: Buffer) => {
  study(repositoryOf({ [path]: bytes.toString() }));
};

const READERS: readonly Reader[] = [
  {
    name: "Dockerfile",
    corpus: "dockerfile",
    read: (bytes) =>
      dockerfileVerdict({
        service: "web",
        path: "Dockerfile",
        dockerfile: bytes.toString(),
        args: { A: "b" },
        commitFile: "/app/COMMIT",
        contextFiles: ["package.json", "src/a.js"],
      }),
  },
  {
    name: ".dockerignore",
    corpus: "ignore",
    read: (bytes) => {
      const rules = ignoreRules(bytes.toString());
      for (const path of ["a/b/c.pyc", ".git", "node_modules/x", "build", "a".repeat(200)])
        rules.ignores(path);
    },
  },
  {
    name: "compose file",
    corpus: "compose",
    read: (bytes) => {
      composeFindings("compose.yaml", bytes.toString());
      doctor("compose.yaml")(bytes);
    },
  },
  { name: "workflow", corpus: "workflow", read: doctor(".github/workflows/deploy.yml") },
  { name: "shell script", corpus: "script", read: doctor("deploy.sh") },
  { name: "next.config", corpus: "next", read: doctor("next.config.js") },
  {
    name: "page",
    corpus: "html",
    read: (bytes) => {
      const html = bytes.toString();
      const { inline, base } = namedByPage(html, "https://a.test/app/");
      for (const code of inline) registrations(code, base);
      textOfPage(html);
      pagesVerdict("web", SHA, [answer(html)]);
    },
  },
  {
    name: "version",
    corpus: "version",
    read: (bytes) => {
      const body = bytes.toString();
      commitOf({ body });
      versionVerdict({ link: "served", service: "web", commit: SHA }, [answer(body)]);
    },
  },
  {
    name: "health answer",
    corpus: "answer",
    read: (bytes) => {
      const { headers = {} } = readAnswer(bytes) ?? {};
      privateLifetime(headers, new Date(0));
      cachedBy(headers);
    },
  },
  {
    name: "layer of an image",
    corpus: "tar",
    read: (bytes) => hashTar(Readable.from([bytes]), "sha1"),
    refuses: ({ message }) => message.startsWith("the archive "),
  },
  {
    name: "saved image",
    corpus: "image",
    read: (bytes) => readSaved(Readable.from([bytes]), "sha1"),
    // zlib and zstd refuse what only begins like them.
    refuses: (cause) => cause.message.startsWith("the archive ") || /^(Z_|ZSTD_)/.test(codeOf(cause)),
  },
  {
    name: "tree of a commit",
    corpus: "tree",
    read: (bytes) => {
      for (const { path } of parseTree(bytes, "web")) expect(path.split("/")).not.toContain("..");
    },
    refuses: (cause) => cause instanceof TreeError,
  },
  {
    name: "objects of git",
    corpus: "objects",
    read: (bytes) => parseBatch(bytes, [SHA, SHA]),
    refuses: ({ message }) => / is missing: /.test(message),
  },
  { name: "pointer of Git LFS", corpus: "pointer", read: pointerOf },
  {
    name: "certificate",
    corpus: "certificate",
    read: (bytes) => {
      const file = join(scratch, "certificate.json");
      writeFileSync(file, bytes);
      const { certificate, seconds } = readReport(file);
      table(certificate.links);
      certificateMarkdown(certificate, seconds);
    },
    refuses: ({ message }) => / is not a certificate of this program/.test(message),
  },
  { name: "baseline of the doctor", corpus: "baseline", read: (bytes) => parseBaseline(bytes.toString()) },
  {
    name: "configuration of a stack",
    corpus: "stack",
    read: (bytes) => {
      const { config } = parseStackText(bytes.toString());
      const own = Object.entries(config).map(([key, value]) => [key.replace(/^watch-party:/, ""), value]);
      parseConfig(Object.fromEntries(own));
    },
    refuses: (cause) => cause instanceof ConfigError || /^YAML/.test(cause.name),
  },
];

function codeOf(cause: Error): string {
  return String((cause as NodeJS.ErrnoException).code ?? "");
}

/** Changed copies of the corpus: bytes, parts that are left out or said over and over, words of other files. */
function inputsOf(corpus: string): fc.Arbitrary<Buffer> {
  const folder = join(CORPUS, corpus);
  const seeds = readdirSync(folder).map((name) => readFileSync(join(folder, name)));
  const words = [
    ...new Set(seeds.flatMap((seed) => seed.toString("latin1").match(/\w+|[^\w\s]+|\s+/g) ?? [])),
  ];
  const at = fc.double({ min: 0, max: 1, noNaN: true });
  const word = fc.oneof(
    fc.constantFrom(
      ...words,
      "__proto__",
      "constructor",
      "null",
      "\0",
      "\ud83d\ude00",
      "\u2028",
      "9".repeat(400),
    ),
    fc.string({ unit: "binary", maxLength: 6 }),
  );
  const times = fc.constantFrom(...Array(20).fill(1), 2, 3, 50, 50, 1_000, 20_000);
  const change = fc.oneof(
    fc.record({ kind: fc.constant("byte" as const), at, value: fc.nat({ max: 255 }) }),
    fc.record({ kind: fc.constant("word" as const), at, word, times }),
    fc.record({ kind: fc.constant("cut" as const), at, to: at }),
    fc.record({ kind: fc.constant("repeat" as const), at, length: fc.nat({ max: 60 }), times }),
  );
  type Change = typeof change extends fc.Arbitrary<infer T> ? T : never;
  const apply = (bytes: Buffer, each: Change): Buffer => {
    const place = Math.floor(each.at * bytes.length);
    const [before, after] = [bytes.subarray(0, place), bytes.subarray(place)];
    if (each.kind === "word")
      return Buffer.concat([
        before,
        Buffer.from(each.word.repeat(fitting(each.times, each.word.length))),
        after,
      ]);
    if (each.kind === "cut") {
      const end = Math.floor(each.to * bytes.length);
      return Buffer.concat([bytes.subarray(0, Math.min(place, end)), bytes.subarray(Math.max(place, end))]);
    }
    if (each.kind === "repeat") {
      const part = after.subarray(0, each.length);
      return Buffer.concat([before, ...Array(fitting(each.times, part.length)).fill(part), after]);
    }
    const changed = Buffer.from(bytes);
    if (place < changed.length) changed[place] = each.value;
    return changed;
  };
  return fc
    .tuple(fc.constantFrom(...seeds), fc.array(change, { maxLength: 8 }))
    .map(([seed, changes]) => changes.reduce(apply, seed).subarray(0, LONGEST));
}

/** How often a text may stand in an input. */
function fitting(times: number, length: number): number {
  return Math.min(times, Math.floor(LONGEST / Math.max(length, 1)));
}

const CALL = new Script("task()");
const context = createContext({ task: () => undefined }) as { task: () => void };

/** Runs a reader with a limit that ends a loop too. */
async function bounded({ read }: Reader, bytes: Buffer): Promise<void> {
  let result: unknown;
  context.task = () => {
    result = read(bytes);
  };
  const before = process.cpuUsage();
  CALL.runInContext(context, { timeout: END_MS });
  await result;
  const { user, system } = process.cpuUsage(before);
  if ((user + system) / 1000 > LIMIT_MS) throw new Hang();
}

class Hang extends Error {}

const isHang = (cause: Error) => cause instanceof Hang || codeOf(cause) === "ERR_SCRIPT_EXECUTION_TIMEOUT";

describe("a reader of untrusted input", () => {
  const report: string[] = [];
  afterAll(() => {
    const head = `${"reader".padEnd(26)}${"executions".padStart(12)}${"crashes".padStart(9)}${"hangs".padStart(7)}`;
    process.stderr.write(`\n${[head, ...report].join("\n")}\n`);
  });

  it.each(READERS)(
    "$name: no crash and no hang",
    async (reader) => {
      const found = { executions: 0, crashes: 0, hangs: 0 };
      const property = fc.asyncProperty(inputsOf(reader.corpus), async (bytes) => {
        found.executions++;
        try {
          await bounded(reader, bytes);
        } catch (cause) {
          if (reader.refuses?.(cause as Error)) return;
          if (isHang(cause as Error)) found.hangs++;
          else found.crashes++;
          throw cause;
        }
      });
      const { failed, counterexample, errorInstance, seed } = await fc.check(property, {
        numRuns: Number.MAX_SAFE_INTEGER,
        interruptAfterTimeLimit: SECONDS * 1_000,
        markInterruptAsFailure: false,
      });
      const { executions, crashes, hangs } = found;
      report.push(
        `${reader.name.padEnd(26)}${String(executions).padStart(12)}${String(crashes > 0 ? 1 : 0).padStart(9)}${String(hangs > 0 ? 1 : 0).padStart(7)}`,
      );
      // An input that fails belongs into the corpus.
      const shown = failed
        ? `seed ${seed}: ${JSON.stringify(String(counterexample?.[0]).slice(0, 2_000))}`
        : "";
      expect([shown, (errorInstance as Error | null)?.stack ?? ""]).toEqual(["", ""]);
      expect(executions).toBeGreaterThan(0);
    },
    SECONDS * 1_000 + 120_000,
  );
});
