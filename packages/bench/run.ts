import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { cpus, totalmem } from "node:os";
import { dirname, join, resolve } from "node:path";
import { Command, InvalidArgumentError } from "commander";
import { measuredOn } from "../../tests/support/measuredOn";
import {
  benchDocument,
  goalsTable,
  growthTables,
  linksTable,
  overviewTable,
  restTable,
  stepsTable,
  timesTable,
} from "./document";
import { type Deployer, openFlow } from "./flows";
import { measureGrowth } from "./growth";
import { measureLinks } from "./links";
import { diskUse, measure } from "./measure";
import { measureRest } from "./rest";
import {
  APPS,
  type App,
  CASES,
  type Case,
  FLOWS,
  type Flow,
  type Results,
  type Round,
  type Row,
} from "./results";
import { validationDocument } from "./validation";

const PROJECT = resolve(__dirname, "..", "..");
const DOCS = join(PROJECT, "docs");
/** Commits of the case `ten`. */
const IN_A_ROW = 10;
/** Rounds of a flow before the next one has its turn. */
const IN_A_TURN = 3;

/** Commander tells what is wrong with an option that throws this. */
const chosen =
  <const T extends readonly string[]>(allowed: T) =>
  (text: string): T[number][] => {
    const words = text.split(",");
    const unknown = words.find((word) => !allowed.includes(word));
    if (unknown === undefined) return words;
    throw new InvalidArgumentError(`"${unknown}" is not known; allowed: ${allowed.join(", ")}`);
  };

const options = new Command("bench")
  .description(
    "Deploys apps by several flows in turn and measures each deploy. What was measured is kept in --out, so that it can be done in parts.",
  )
  .option("--apps <list>", `of ${APPS.join(", ")}`, chosen(APPS), ["example", "large"])
  .option("--cases <list>", `of ${CASES.join(", ")}`, chosen(CASES), [...CASES])
  .option("--flows <list>", `of ${FLOWS.join(", ")}`, chosen(FLOWS), [...FLOWS])
  .option("--rounds <n>", "rounds of each case and flow", "6")
  .option("--minutes <n>", "begin no round after so many minutes", "240")
  .option("--growth", "measure how deploys grow instead: by services, source files and releases kept")
  .option("--links", "measure the commands over links with latency instead, to a server by ssh")
  .option(
    "--rest",
    "measure what a stack uses at rest instead, and what a request and a WebSocket cost at its edge",
  )
  .option(
    "--quick",
    "at most ten minutes: the apps fixture and example, the flows original, build, own and empty; prints one table",
  )
  .option("--measured", "measure nothing: tell of what --out holds")
  .option("--out <file>", "where results are kept", join(PROJECT, ".work", "bench.json"))
  .option("--write", "write docs/bench.md, docs/bench.json and docs/CACHE_FIX_VALIDATION.md")
  .exitOverride((error) => process.exit(error.exitCode === 0 ? 0 : 2))
  .parse()
  .opts<{
    apps: App[];
    cases: Case[];
    flows: Flow[];
    rounds: string;
    minutes: string;
    growth?: boolean;
    links?: boolean;
    rest?: boolean;
    quick?: boolean;
    measured?: boolean;
    out: string;
    write?: boolean;
  }>();

/** Of a quick run. */
const QUICK = {
  apps: ["fixture", "example"],
  cases: ["commit", "nothing", "preview", "rollback"],
  flows: ["original", "build", "own", "empty"],
  rounds: "2",
  minutes: "9",
} as const;

const { apps, cases, flows: chosenFlows, rounds: asked, minutes } = options.quick ? QUICK : options;
const rounds = Number(asked);
const deadline = performance.now() + Number(minutes) * 60_000;
let stopped = false;
// A second one ends at once; the first lets what was made be removed.
process.once("SIGINT", () => {
  stopped = true;
});
const enough = () => stopped || performance.now() > deadline;
const say = (text: string) => process.stderr.write(`${new Date().toISOString().slice(11, 19)} ${text}\n`);

async function main(): Promise<void> {
  if (!options.measured && options.growth) keep({ growth: await measureGrowth(rounds, enough, say) });
  else if (!options.measured && options.links) keep({ links: await measureLinks(rounds, enough, say) });
  else if (!options.measured && options.rest) keep({ rest: await measureRest(rounds, enough, say) });
  else if (!options.measured) for (const app of apps) await measureApp(app);
  const results = await read();
  if (options.quick) {
    process.stdout.write(`${overviewTable(results.rows)}\n`);
    return;
  }
  process.stdout.write(
    `${goalsTable(results.rows)}\n\n${timesTable(results.rows)}\n\n${stepsTable(results.rows)}\n\n${growthTables(results.growth)}\n\n${linksTable(results.links)}\n\n${restTable(results.rest ?? [])}\n\n${overviewTable(results.rows)}\n`,
  );
  if (options.write) write(results);
}

/** Flows whose rounds take turns, then the one that takes all caches away. */
async function measureApp(app: App): Promise<void> {
  const flows = chosenFlows.filter((flow) => !(app === "fixture" && flow === "framework"));
  await measureFlows(
    app,
    flows.filter((flow) => flow !== "purging"),
  );
  if (flows.includes("purging")) await measureFlows(app, ["purging"]);
}

async function measureFlows(app: App, names: readonly Flow[]): Promise<void> {
  const flows: Deployer[] = [];
  try {
    for (const name of names) {
      if (enough()) return;
      say(`${app}: first deploy by ${name} …`);
      const flow = await openFlow(name, app);
      flows.push(flow);
      await flow.deploy();
    }
    for (const what of cases) {
      if (app === "fixture" && what === "dependency") continue;
      const taking = flows.filter((flow) => takesPart(flow, what));
      if (what === "ten") for (const flow of taking) await measureRounds(app, what, [flow], IN_A_ROW);
      else await measureRounds(app, what, taking, rounds);
    }
  } finally {
    for (const flow of flows) await flow.remove();
  }
}

function takesPart({ flow, preview, rollback }: Deployer, what: Case): boolean {
  if (what === "rollback") return rollback !== undefined;
  if (what === "preview") return preview !== undefined;
  if (flow === "empty") return what === "nothing";
  return flow !== "framework" || what === "commit";
}

/**
 * All rounds of a case, the flows in turn; what was measured is kept after each round.
 *
 * A flow's turn begins with a deploy that is not measured: its prune takes away what the others have left in the build
 * cache, which it would not find if it ran alone.
 */
async function measureRounds(app: App, what: Case, flows: readonly Deployer[], times: number): Promise<void> {
  const measured = new Map<Flow, Round[]>();
  const inATurn = flows.length === 1 ? times : IN_A_TURN;
  for (let done = 0; done < times; done += inATurn)
    for (const flow of flows) {
      if (enough()) return;
      if (what !== "preview") await settle(flow);
      for (let round = done; round < Math.min(times, done + inATurn); round++) {
        if (enough()) return;
        const taken = await once(flow, what);
        const all = [...(measured.get(flow.flow) ?? []), taken];
        measured.set(flow.flow, all);
        const failed = taken.failed === null ? "" : `, ${taken.failed} of ${taken.requests} requests failed`;
        say(
          `${app}, ${what}, ${flow.flow}: ${taken.seconds.toFixed(1)} s${failed}${taken.stale ? ", stale" : ""}`,
        );
        const row = { app, case: what, flow: flow.flow, rounds: all, disk: await diskUse() };
        keep({ rows: [{ ...row, time: new Date().toISOString() }] });
      }
    }
}

let texts = 0;
const newText = () => `Text ${process.pid}-${texts++}.`;

async function settle(flow: Deployer): Promise<void> {
  if (!flow.app || flow.flow === "framework") return;
  await flow.app.changeSource(newText());
  await flow.deploy();
}

async function once(flow: Deployer, what: Case): Promise<Round> {
  const { app, preview, rollback } = flow;
  if (what === "preview" && preview) return measure(flow, () => preview.call(flow), undefined);
  if (what === "nothing") return measure(flow, () => (flow.pulumi ?? flow.deploy)(), undefined);
  if (!app || flow.flow === "framework") return measure(flow, () => flow.deploy(), undefined);
  const text = newText();
  if (what === "rollback" && rollback) {
    for (const each of [text, newText()]) {
      await app.changeSource(each);
      await flow.deploy();
    }
    return measure(flow, () => rollback.call(flow), text);
  }
  if (what === "dependency") await app.changeDependency(text);
  else await app.changeSource(text);
  return measure(flow, () => flow.deploy(), text);
}

function stored(): Partial<Results> {
  return existsSync(options.out) ? JSON.parse(readFileSync(options.out, "utf8")) : {};
}

/** Puts rows in the place of those of the same app, case and flow. */
function keep(more: Partial<Pick<Results, "rows" | "growth" | "links" | "rest">>): void {
  const { rows = [], growth = [], links = [], rest = [] } = stored();
  const key = ({ app, case: what, flow }: Row) =>
    (APPS.indexOf(app) * CASES.length + CASES.indexOf(what)) * FLOWS.length + FLOWS.indexOf(flow);
  const others = rows.filter((row) => !more.rows?.some((each) => key(each) === key(row)));
  const all = [...others, ...(more.rows ?? [])].sort((a, b) => key(a) - key(b));
  mkdirSync(dirname(options.out), { recursive: true });
  writeFileSync(
    options.out,
    JSON.stringify({
      rows: all,
      growth: more.growth ?? growth,
      links: more.links ?? links,
      rest: more.rest ?? rest,
    }),
  );
}

async function read(): Promise<Results> {
  const { versions } = await measuredOn();
  const machine = `${cpus().length} processors, ${Math.round(totalmem() / 1024 ** 3)} GiB of memory`;
  const { rows = [], growth = [], links = [], rest = [] } = stored();
  const results: Results = {
    schema: "watch-party/bench/1",
    machine,
    versions,
    rows,
    growth,
    links,
    rest,
  };
  writeFileSync(options.out, `${JSON.stringify(results, null, 2)}\n`);
  return results;
}

function write(results: Results): void {
  writeFileSync(join(DOCS, "bench.md"), benchDocument(results));
  writeFileSync(join(DOCS, "bench.json"), `${JSON.stringify(results, null, 2)}\n`);
  const faults = /^\*\*(.*)\.\*\*$/m.exec(readFileSync(join(DOCS, "faults.md"), "utf8"))?.[1];
  if (faults === undefined) throw new Error("docs/faults.md has no summary");
  const date = new Date().toISOString().slice(0, 10);
  writeFileSync(join(DOCS, "CACHE_FIX_VALIDATION.md"), validationDocument(results, faults, date));
}

main().catch((cause: Error) => {
  process.stderr.write(`error: ${cause.message}\n`);
  process.exitCode = 1;
});
