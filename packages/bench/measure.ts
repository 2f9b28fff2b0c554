import { readFileSync } from "node:fs";
import execa from "execa";
import { OpenLoad } from "../../tests/support/openLoad";
import type { Deployer } from "./flows";
import type { Round } from "./results";

/**
 * Requests a second on the public address while something is deployed: few, for each renders a page, on the processors
 * that build.
 */
const RATE = 5;
const MEMORY_EVERY_MS = 200;

/**
 * Measures a piece of work of a flow: its time, what its public address answered meanwhile, and the machine's memory.
 *
 * @param text what the page has to show afterwards; undefined where it stays as it is, and is not asked for
 */
export async function measure(
  flow: Deployer,
  work: () => Promise<void>,
  text: string | undefined,
): Promise<Round> {
  const url = text === undefined ? undefined : flow.url();
  const load = url === undefined ? undefined : new OpenLoad(url, RATE);
  const memory = watchMemory();
  const started = performance.now();
  try {
    await work();
  } catch (cause) {
    await load?.stop();
    memory.end();
    throw cause;
  }
  const ended = performance.now();
  const samples = (await load?.stop()) ?? [];
  const first =
    text === undefined ? undefined : samples.find(({ at, body }) => at >= started && body?.includes(text));
  return {
    seconds: (ended - started) / 1000,
    servedSeconds: first ? (first.at + first.milliseconds - started) / 1000 : null,
    stale: text === undefined || flow.flow === "build" ? null : await isStale(flow.url(), text),
    requests: load ? samples.length : null,
    failed: load ? samples.filter(({ failure }) => failure !== "").length : null,
    memoryMiB: memory.end(),
    steps: (await flow.steps?.()) ?? null,
  };
}

/** What a visitor gets once the deploy has ended. */
async function isStale(url: string | undefined, text: string): Promise<boolean | null> {
  if (url === undefined) return null;
  const answer = await fetch(url, { signal: AbortSignal.timeout(15_000) });
  return !(await answer.text()).includes(text);
}

function watchMemory(): { end(): number } {
  const available = () =>
    Number(/^MemAvailable:\s+(\d+)/m.exec(readFileSync("/proc/meminfo", "utf8"))?.[1]) / 1024;
  const before = available();
  let least = before;
  const timer = setInterval(() => {
    least = Math.min(least, available());
  }, MEMORY_EVERY_MS);
  return {
    end() {
      clearInterval(timer);
      return Math.round(before - Math.min(least, available()));
    },
  };
}

/** What the engine holds, by kind. */
export async function diskUse(): Promise<Record<string, string>> {
  const { stdout } = await execa("docker", ["system", "df", "--format", "{{.Type}}\t{{.Size}}"]);
  return Object.fromEntries(stdout.split("\n").map((line) => line.split("\t") as [string, string]));
}
