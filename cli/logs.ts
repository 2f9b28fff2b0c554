import { setTimeout as sleep } from "node:timers/promises";
import { secretsOf } from "../config/secrets";
import { attach, exitOf } from "../engine/attached";
import { stackLabel } from "../engine/inventory";
import { MaskedLines, maskOf } from "../engine/mask";
import { ACCESSORY_LABEL, SERVICE_LABEL } from "../freshness/labels";
import { ProjectCommand } from "./command";
import { inOrder, type LogLine, readLine, sinceOf } from "./logLines";
import { namesOf, type OpenStack, openStack } from "./openStack";
import { run, UsageError } from "./project";

interface Options {
  readonly stack: string;
  readonly follow?: boolean;
  readonly since?: string;
  readonly grep?: string;
  readonly tail?: string;
}

/** What is shown where nothing says how much. */
const TAIL = 100;
/** How often new containers are looked for while logs are followed. */
const LOOK_MS = 1_000;

const command = new ProjectCommand("logs")
  .description(
    "Prints what a stack's containers have printed, in the order of time and without its secrets: those of the served release, and of earlier and refused ones that are still there.",
  )
  .argument("[service]", "a service, or edge (default: all services)")
  .ofStack()
  .option("-f, --follow", "go on with what comes, also of new containers, until interrupted")
  .option("--since <time>", "from then on: 90s, 15m, 2h or 3d ago, or a date such as 2026-01-31T12:00:00Z")
  .option("--grep <re>", "only lines that match this regular expression, of JavaScript")
  .option("--tail <lines>", `the last lines, or all (default: ${TAIL}, or all with --since or --grep)`);

run(async () => {
  const options = command.parse().opts<Options>();
  const [service] = command.processedArgs as [string | undefined];
  const wanted = readOptions(options);
  const open = await openStack(options.stack);
  const names = namesOf(open);
  if (service !== undefined && ![...names, "edge"].includes(service))
    throw new UsageError(
      `stack ${open.stack} has no service "${service}"; allowed: ${[...names, "edge"].join(", ")}`,
    );
  const mask = maskOf(secretsOf(open.config));
  const show = ({ time, source, text }: LogLine) => {
    const shown = mask(text);
    if (wanted.grep === undefined || wanted.grep.test(shown))
      process.stdout.write(`${time.slice(0, 23)} ${source} | ${shown}\n`);
  };
  process.stdout.on("error", () => process.exit(0)); // `| head` has ended.
  const sources = await findSources(open, service);
  // A line that does not match is none of the last ones.
  const tail = wanted.grep === undefined ? wanted.tail : "all";
  const past = sources.map((each) => read(open, each, { since: wanted.since, tail }));
  const lines = inOrder((await Promise.all(past)).flat()).filter(
    ({ text }) => wanted.grep?.test(mask(text)) ?? true,
  );
  for (const line of wanted.tail === "all" ? lines : lines.slice(-Number(wanted.tail))) show(line);
  if (!options.follow) return 0;
  return follow(open, service, sources, lines, show);
});

function readOptions({ since, grep, tail }: Options): { since?: string; grep?: RegExp; tail: string } {
  const from = since === undefined ? undefined : sinceOf(since);
  if (since !== undefined && from === undefined)
    throw new UsageError(`--since is "${since}"; allowed: such as 15m, 2h, 3d, or a date`);
  const standard = since === undefined && grep === undefined ? String(TAIL) : "all";
  const last = tail ?? standard;
  if (!/^(all|\d{1,9})$/.test(last))
    throw new UsageError(`--tail is "${last}"; allowed: a whole number, or all`);
  try {
    return { since: from, grep: grep === undefined ? undefined : new RegExp(grep), tail: last };
  } catch (cause) {
    throw new UsageError(`--grep is no regular expression: ${(cause as Error).message}`);
  }
}

/** Something that has a log: a container, or a service of a Swarm. */
interface Source {
  readonly id: string;
  readonly name: string;
  readonly kind: "container" | "service";
  readonly running: boolean;
}

/** All that has a log: what runs, and what was stopped and is still there. */
async function findSources(
  { engine, stack, record: { deployment } }: OpenStack,
  service: string | undefined,
): Promise<Source[]> {
  if (deployment.cluster !== undefined && service !== "edge")
    return deployment.services
      .filter((each) => service === undefined || each.service.name === service)
      .map(({ container, service: { name } }) => ({ id: container, name, kind: "service", running: true }));
  const listed = await engine.listContainers([stackLabel(stack)], { all: true });
  const ids = listed.filter(({ labels }) => {
    const name = labels[ACCESSORY_LABEL] ?? labels[SERVICE_LABEL];
    return name !== undefined && (service === undefined ? name !== "edge" : name === service);
  });
  const found = await engine.inspectContainers(ids.map(({ id }) => id));
  return found.map(({ id, name, running }) => ({
    id,
    name: running ? name : `${name} (stopped)`,
    kind: "container",
    running,
  }));
}

/** Starts `docker logs` and hands on each line, as it comes. */
function logsOf(
  { engine }: Pick<OpenStack, "engine">,
  { id, name, kind }: Source,
  flags: readonly string[],
  hear: (line: LogLine) => void,
) {
  const own = kind === "service" ? ["service", "logs", "--raw"] : ["logs"];
  const child = attach(engine, [...own, "--timestamps", ...flags, id], { stdio: ["ignore", "pipe", "pipe"] });
  const ended = [child.stdout, child.stderr].map((stream) => {
    // Masked when it is shown: whether it matches is asked of the masked line too.
    const lines = new MaskedLines(
      (text) => text,
      (line) => hear(readLine(name, line)),
    );
    return new Promise<void>((resolve) => {
      stream?.on("data", (chunk: Uint8Array) => lines.write(chunk));
      stream?.on("close", () => {
        lines.end();
        resolve();
      });
    });
  });
  return { child, over: Promise.all([exitOf(child), ...ended]).then(([status]) => status) };
}

async function read(
  open: OpenStack,
  source: Source,
  { since, tail }: { readonly since?: string; readonly tail: string },
): Promise<LogLine[]> {
  const lines: LogLine[] = [];
  const flags = ["--tail", tail, ...(since === undefined ? [] : ["--since", since])];
  const status = await logsOf(open, source, flags, (line) => void lines.push(line)).over;
  // One that was removed meanwhile has no log any more; of any other the engine has said why.
  const why = lines.at(-1)?.text ?? `exit status ${status}`;
  if (status !== 0 && !/no such container/i.test(why)) throw new Error(`docker logs ${source.name}: ${why}`);
  return status === 0 ? lines : [];
}

/** Shows what comes, of containers that are made meanwhile too, until this process is interrupted. */
async function follow(
  open: OpenStack,
  service: string | undefined,
  first: readonly Source[],
  shown: readonly LogLine[],
  show: (line: LogLine) => void,
): Promise<number> {
  const running = new Map<string, ReturnType<typeof logsOf>>();
  const last = new Map<string, string>();
  for (const { source, time } of shown) last.set(source, time);
  const end = () => {
    for (const { child } of running.values()) child.kill();
    process.exit(0);
  };
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.once(signal, end);
  // By the engine's clock, which gives the lines their times.
  const begun = new Date(await open.engine.now()).toISOString();
  const known = new Set(first.filter((each) => !each.running).map(({ id }) => id));
  for (let sources: readonly Source[] = first; ; sources = await findSources(open, service)) {
    for (const source of sources.filter(({ id }) => !known.has(id) && !running.has(id))) {
      const from = last.get(source.name);
      // What was shown already is not shown again.
      const hear = (line: LogLine) => {
        if (from !== undefined && line.time <= from) return;
        last.set(source.name, line.time);
        show(line);
      };
      const isNew = !first.some(({ id }) => id === source.id);
      const since = from ?? (isNew ? undefined : begun);
      const logs = logsOf(
        open,
        source,
        ["--follow", ...(since === undefined ? [] : ["--since", since])],
        hear,
      );
      running.set(source.id, logs);
      // It ends with its container, which may be started again.
      void logs.over.then(
        () => running.delete(source.id),
        () => running.delete(source.id),
      );
    }
    await sleep(LOOK_MS);
  }
}
