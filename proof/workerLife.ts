import { execFile } from "node:child_process";
import { realpathSync } from "node:fs";
import { dirname, join } from "node:path";
import * as z from "zod";
import { cacheStorage } from "../freshness/browser/cacheStorage";
import { type Life, type LifeResult, replay } from "../freshness/browser/replay";
import { NEW_BROWSER } from "../freshness/browser/worker";
import { makeWorld } from "../freshness/browser/world";
import { must } from "../freshness/sure";

/** CPU time and memory limits of a script. A worker answers in milliseconds. */
const LIMITS = { milliseconds: 2_500, bytes: 256 * 1024 * 1024, stack: 256 * 1024 };
/** Maximum time of the surrounding process, including its start on a busy machine. */
const PROCESS_MS = 15_000;
const MOST_OUTPUT = 64_000_000;
const MOST_REASON = 300;

/**
 * Code that runs in the sandbox before the script: a function of the two functions that reach out of it, and the life.
 */
const GUEST = `(parse, run, life) => {
  const __name = (value) => value;
  const makeWorld = ${makeWorld};
  const replay = ${replay};
  const cacheStorage = ${cacheStorage};
  const { parse: read, stringify } = JSON;
  const next = makeWorld(globalThis, parse);
  let result = "";
  replay(read(life), run, cacheStorage).then((of) => { result = stringify(of); });
  return { next, result: () => result };
}`;

/**
 * The process: QuickJS in WebAssembly, without any host API. The script can call two functions that take text: one
 * parses a URL, one runs an imported script in the same sandbox.
 */
const HOST = `
const [core, variant] = process.argv.slice(1);
const PARTS = "href protocol username password host hostname port pathname search hash".split(" ");
let text = "";
process.stdin.setEncoding("utf8").on("data", (more) => { text += more; }).on("end", async () => {
  const { guest, life, limits } = JSON.parse(text);
  const { newQuickJSWASMModuleFromVariant } = require(core);
  const { default: release } = require(variant);
  const quickjs = await newQuickJSWASMModuleFromVariant(release);
  const runtime = quickjs.newRuntime();
  runtime.setMemoryLimit(limits.bytes);
  runtime.setMaxStackSize(limits.stack);
  const spent = () => { const { user, system } = process.cpuUsage(); return (user + system) / 1000; };
  const end = spent() + limits.milliseconds;
  runtime.setInterruptHandler(() => spent() > end);
  const vm = runtime.newContext();
  const parse = vm.newFunction("parse", (...given) => {
    const [address, base, part, value] = given.map((each) => vm.getString(each));
    try {
      const url = base === "" ? new URL(address) : new URL(address, base);
      if (PARTS.includes(part)) url[part] = value;
      const of = Object.fromEntries(PARTS.map((each) => [each, url[each]]));
      return vm.newString(JSON.stringify({ ...of, origin: url.origin }));
    } catch {
      return vm.newString("");
    }
  });
  const run = vm.newFunction("run", (code, name) => {
    const done = vm.evalCode(vm.getString(code), vm.getString(name), { type: "global" });
    if (done.error) return { error: done.error };
    done.value.dispose();
  });
  let result = "";
  const of = vm.evalCode(guest, "guest", { type: "global" });
  const begun = of.error ? of : vm.callFunction(of.value, vm.undefined, parse, run, vm.newString(life));
  if (!begun.error) {
    const [next, ask] = ["next", "result"].map((name) => vm.getProp(begun.value, name));
    while (spent() <= end) {
      const jobs = runtime.executePendingJobs(500);
      const said = vm.callFunction(ask, vm.undefined);
      result = said.error ? "" : vm.getString(said.value);
      if (result !== "") break;
      if (jobs.error || jobs.value > 0) continue;
      const more = vm.callFunction(next, vm.undefined);
      if (!more.error && vm.typeof(more.value) === "boolean" && !vm.dump(more.value)) break;
    }
  }
  const why = spent() > end ? "it does not finish" : "it cannot be run";
  process.stdout.write(result === "" ? JSON.stringify({ why }) : result, () => process.exit());
});
`;

const text = z.string();
const RESULT = z.object({
  profile: z.object({
    caches: z.array(
      z.object({
        cache: text,
        url: text,
        status: z.number(),
        headers: z.array(z.tuple([text, text])),
        body: text,
      }),
    ),
    preload: z.boolean(),
  }),
  skipsWaiting: z.boolean(),
  unregisters: z.boolean(),
  missing: z.array(text),
  body: text.optional(),
  error: text,
});

/**
 * Runs a worker's life in a sandbox in its own process, because the script came over the network. The sandbox has no
 * modules, files, network or other processes. The process has no environment, may read only the sandbox's files, may
 * start no program, and ends after a time limit.
 */
export function liveApart(life: Life): Promise<LifeResult> {
  const { core, variant, folders } = engine();
  const flag = ["--permission", "--experimental-permission"].find((each) =>
    process.allowedNodeEnvironmentFlags.has(each),
  );
  const permissions = flag ? [flag, ...folders.map((folder) => `--allow-fs-read=${folder}/`)] : [];
  // A life is too short to compile WebAssembly twice: that alone takes longer.
  const flags = [
    ...permissions,
    "--liftoff-only",
    "--no-warnings",
    "--max-old-space-size=256",
    "--eval",
    HOST,
    core,
    variant,
  ];
  return new Promise((resolve) => {
    const options = {
      env: {},
      timeout: PROCESS_MS,
      killSignal: "SIGKILL",
      maxBuffer: MOST_OUTPUT,
    } as const;
    const child = execFile(process.execPath, flags, options, (cause, stdout) => {
      const late = cause?.killed === true;
      resolve(readResult(stdout, late ? "it does not finish" : "it cannot be run"));
    });
    // The exit of the process reports that it ended before it read its input.
    const input = must(child.stdin, "standard input of the sandbox");
    input.on("error", () => {});
    input.end(JSON.stringify({ guest: GUEST, life: JSON.stringify(life), limits: LIMITS }));
  });
}

/** The script controls the result as much as this program does, so it is validated. */
function readResult(said: string, otherwise: string): LifeResult {
  const nothing = { profile: NEW_BROWSER, skipsWaiting: false, unregisters: false, missing: [] };
  try {
    const given: unknown = JSON.parse(said);
    const { data } = RESULT.safeParse(given);
    if (data) return { ...data, error: plain(data.error) };
    const { why } = z.object({ why: text }).parse(given);
    return { ...nothing, error: plain(why) };
  } catch {
    return { ...nothing, error: otherwise };
  }
}

/** A reason is the script's own text. */
function plain(reason: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: a terminal would take them for commands
  return reason.slice(0, MOST_REASON).replace(/[\u0000-\u001f\u007f-\u009f]+/g, " ");
}

/** Paths of the sandbox's packages. */
function engine(): { core: string; variant: string; folders: string[] } {
  const core = realpathSync(require.resolve("quickjs-emscripten-core"));
  const variant = realpathSync(require.resolve("@jitl/quickjs-wasmfile-release-sync"));
  // Each package's files are in its folder `dist`; the second has its types beside it.
  return { core, variant, folders: [join(dirname(core), ".."), join(dirname(variant), "..", "..")] };
}
