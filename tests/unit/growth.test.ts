import { describe, expect, it } from "@jest/globals";
import { isManifest, visibleFiles } from "../../freshness/dockerfile/manifests";
import { contextFiles } from "../../freshness/dockerignore";
import { parseTree } from "../../source/tree";

const [FEW, MANY] = [5_000, 40_000];
/** A quadratic step would take eight times as long again. */
const SPREAD = 3;
const NOISE_SECONDS = 0.3;

/** What `git ls-tree -r -t -z` prints of so many files, a hundred in a folder. */
function listing(count: number): Buffer {
  const lines: string[] = [];
  const hash = (of: number) => of.toString(16).padStart(40, "0");
  for (let at = 0; at < count; at++) {
    const folder = `src/part-${Math.floor(at / 100)}`;
    if (at === 0) lines.push(`040000 tree ${hash(1)}\tsrc`);
    if (at % 100 === 0) lines.push(`040000 tree ${hash(at + 2)}\t${folder}`);
    lines.push(`100644 blob ${hash(at + 3)}\t${folder}/module-${at}.ts`);
  }
  return Buffer.from(`${lines.join("\0")}\0`);
}

/** Processor seconds of a piece of work: other programs of the machine do not count. */
function processorSeconds(work: () => void): number {
  const before = process.cpuUsage();
  work();
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1e6;
}

describe("a commit of eight times as many files takes about eight times as long", () => {
  const trees = new Map([FEW, MANY].map((count) => [count, parseTree(listing(count), "app")]));
  const paths = (count: number) => trees.get(count)!.map(({ path }) => path);
  let texts = 0;
  // A text that was read before is not judged again.
  const ignored = () => `node_modules\n**/*.log\n.git\n*.md\nsrc/*/build\n!**/keep.log\n# ${texts++}`;
  const steps: Record<string, (count: number) => void> = {
    "to read git's list": (count) => void parseTree(listing(count), "app"),
    "to leave out what .dockerignore names": (count) =>
      void contextFiles(trees.get(count)!, new Map(), ignored(), "Dockerfile"),
    "to list what a build sees": (count) => void visibleFiles(paths(count), ignored()),
    "to judge a COPY": (count) => {
      const context = { files: paths(count) };
      for (const source of [".", "src/*/package.json", "src/part-1/", "*.lock"]) isManifest(source, context);
    },
  };

  it.each(Object.entries(steps))("%s", (_, step) => {
    // The first run compiles.
    step(FEW);
    const few = processorSeconds(() => step(FEW));
    const many = processorSeconds(() => step(MANY));
    expect(many).toBeLessThanOrEqual((few * MANY * SPREAD) / FEW + NOISE_SECONDS);
    expect(many).toBeLessThan(4);
  });
});
