import { spawn } from "node:child_process";
import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import execa from "execa";
import { TestApp } from "../support/app";
import { underLoad } from "../support/load";
import { FULL } from "../support/matrix";
import { descendants, kill, type Process } from "../support/processes";
import { leftovers, TestStack } from "../support/stack";

/** Who is killed: told from the others by its command line. */
const VICTIMS = {
  CLI: /(^|\/)pulumi up /,
  program: /@pulumi\/pulumi\/cmd\/run/,
  "docker plugin": /pulumi-resource-docker/,
  everything: /./,
} as const;

/** When: the first moment in which this is so. */
type Moment = (at: Watched) => boolean | Promise<boolean>;

interface Watched {
  /** What the deploy has said so far. */
  readonly said: string;
  readonly processes: readonly Process[];
  readonly stack: TestStack;
  /** Containers that there were before. */
  readonly before: ReadonlySet<string>;
  /** The commit that was served before. */
  readonly old: string;
}

const runs =
  (words: RegExp): Moment =>
  ({ processes }) =>
    processes.some(({ args }) => words.test(args));
const served = async (stack: TestStack): Promise<string> => {
  const answer = await fetch(`${stack.url}/.freshness/backend`, { signal: AbortSignal.timeout(10_000) });
  return ((await answer.json()) as { commit: string }).commit;
};
const containers = async (stack: TestStack, ...filters: string[]): Promise<string[]> => {
  const labels = [`label=watch-party.stack=${stack.name}`, ...filters].flatMap((each) => ["--filter", each]);
  const { stdout } = await execa("docker", ["ps", "--all", "--quiet", ...labels]);
  return stdout.split("\n").filter((id) => id !== "");
};

const MOMENTS: Readonly<Record<string, Moment>> = {
  "reads the source": ({ said }) => said.includes("Building from commit"),
  prunes: runs(/docker builder prune/),
  "builds an image": runs(/docker (image )?build|docker buildx build|\bbuild --/),
  "proves the images": runs(/docker (container create|image save|cp|container cp)/),
  "starts a container": async ({ stack, before }) => (await containers(stack)).some((id) => !before.has(id)),
  "asks the new containers": runs(/docker exec .*wget/),
  "has switched the edge": async ({ stack, old }) => (await served(stack)) !== old,
};

const POINTS: readonly (readonly [moment: string, victim: keyof typeof VICTIMS, ci: boolean])[] = [
  ["reads the source", "CLI", false],
  ["prunes", "CLI", true],
  ["prunes", "docker plugin", false],
  ["builds an image", "docker plugin", true],
  ["builds an image", "everything", false],
  ["proves the images", "CLI", true],
  ["proves the images", "program", false],
  ["starts a container", "CLI", true],
  ["starts a container", "docker plugin", false],
  ["starts a container", "everything", true],
  ["asks the new containers", "program", false],
  ["has switched the edge", "CLI", true],
  ["has switched the edge", "everything", false],
];

describe("a deploy that is killed", () => {
  const rows: string[] = [];
  let app: TestApp;
  let stack: TestStack;

  beforeAll(async () => {
    app = await TestApp.create();
    stack = await TestStack.create({ source: app.folder });
    const { ok, said } = await stack.up();
    if (!ok) throw new Error(said);
  });
  afterAll(async () => {
    await stack?.remove();
    app?.remove();
    const head = "killed while it … | victim | requests, failed | next up, seconds\n--- | --- | --- | ---";
    process.stderr.write(`\n${head}\n${rows.join("\n")}\n\n`);
  });

  it.each(POINTS.filter(([, , ci]) => ci || FULL))(
    "while it %s (%s): served on, and the next one finishes",
    async (moment, victim) => {
      const old = await served(stack);
      const before = new Set(await containers(stack));
      const commit = await app.commit({ "backend/message.txt": `${moment} ${victim} ${Date.now()}\n` });
      const { result, requests, failures } = await underLoad(
        [`${stack.url}/api/hello`, `${stack.url}/`],
        async () => {
          await killAt(stack, MOMENTS[moment]!, VICTIMS[victim], { before, old });
          expect([old, commit]).toContain(await served(stack));
          const started = performance.now();
          const { status, stderr } = await stack.command("up");
          expect({ status, stderr: status === 0 ? "" : stderr }).toEqual({ status: 0, stderr: "" });
          return (performance.now() - started) / 1000;
        },
      );
      rows.push(`${moment} | ${victim} | ${requests}, ${failures.length} | ${result.toFixed(1)}`);
      expect(failures.slice(0, 5)).toEqual([]);
      expect(await served(stack)).toBe(commit);
      // One of each service, the edge, its network and two volumes: nothing of the killed deploy is left.
      expect((await leftovers(stack.name)).map((each) => each.replace(/-[0-9a-f]{7}$/, "")).sort()).toEqual([
        "container backend",
        "container edge",
        "container frontend",
        "network edge-network",
        "volume edge-certificates",
        "volume edge-routes",
      ]);
      expect(await probes()).toEqual([]);
      expect((await stack.verify()).status).toBe(0);
    },
  );
});

/** Deploys, and kills at a moment; waits until all that the deploy started has ended or is none of its victims. */
async function killAt(
  stack: TestStack,
  moment: Moment,
  victim: RegExp,
  was: Pick<Watched, "before" | "old">,
): Promise<void> {
  const { file, args, options } = stack.commandLine("up");
  const child = spawn(file, args, { ...options, detached: true, stdio: ["ignore", "pipe", "pipe"] });
  let said = "";
  const hear = (chunk: Buffer) => {
    said += chunk;
  };
  for (const output of [child.stdout, child.stderr]) output.on("data", hear);
  const ended = new Promise<void>((resolve) => child.once("close", () => resolve()));
  let isOver = false;
  void ended.then(() => {
    isOver = true;
  });
  for (;;) {
    const processes = await descendants(child.pid!);
    if (await moment({ said, processes, stack, ...was })) {
      const victims = processes.filter(({ args }) => victim.test(args));
      if (victims.length > 0) {
        kill([...victims, ...(victim.source === "." ? [{ pid: child.pid!, args: "" }] : [])]);
        break;
      }
    }
    if (isOver) throw new Error(`it ended before it came to that:\n${said}`);
    await new Promise((resume) => setTimeout(resume, 5));
  }
  await ended;
  // A program that outlives its CLI could switch the edge while the next deploy is under way.
  for (const deadline = Date.now() + 10_000; (await programs(stack)).length > 0; ) {
    if (Date.now() > deadline) throw new Error("the killed deploy's program goes on");
    await new Promise((resume) => setTimeout(resume, 50));
  }
}

/** The processes that run a stack's program. */
async function programs(stack: TestStack): Promise<Process[]> {
  const runs = new RegExp(`cmd/run/index\\.js .*--stack ${stack.name}( |$)`);
  return (await descendants(1)).filter(({ args }) => runs.test(args));
}

/** Containers from which proofs read images. */
async function probes(): Promise<string[]> {
  const { stdout } = await execa("docker", [
    "ps",
    "--all",
    "--filter",
    "label=watch-party.owner",
    "--format",
    "{{.Names}}",
  ]);
  return stdout.split("\n").filter((name) => name !== "");
}
