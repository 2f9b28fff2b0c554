import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { beginMaintenance, DEFAULT_PAGE, endMaintenance, MOST_PAGE_BYTES } from "../edge/maintenance";
import { isMaintenance, readEdge } from "../engine/edgeFiles";
import { NAMESPACE } from "../freshness/project";
import { ProjectCommand } from "./command";
import { type OpenStack, openStack } from "./openStack";
import { PROJECT, run, UsageError } from "./project";
import { isUnderWay } from "./underWay";

interface Options {
  readonly stack: string;
  readonly page?: string;
  readonly retryAfter: string;
}

const command = new ProjectCommand("maintenance")
  .description(
    "on: the edge answers 503 with a page until `off`, or until a deploy, a rollback or a restart succeeds. Without an argument it says which it is.",
  )
  .argument("[state]", "on or off")
  .ofStack()
  .option(
    "--page <file>",
    `an HTML file (default: ${NAMESPACE}:maintenancePage, else a page of the program's)`,
  )
  .option("--retry-after <seconds>", "what the answer's Retry-After says", "300");

run(async () => {
  const options = command.parse().opts<Options>();
  const [state] = command.processedArgs as [string | undefined];
  if (state !== undefined && state !== "on" && state !== "off")
    throw new UsageError(`"${state}" is no state; allowed: on, off`);
  if (!/^[1-9]\d{0,6}$/.test(options.retryAfter))
    throw new UsageError(`--retry-after is "${options.retryAfter}"; allowed: a whole number of seconds`);
  const open = await openStack(options.stack);
  const { engine, record, stack } = open;
  const { edge, followers } = record.deployment;
  const { state: led } = await readEdge(engine, edge);
  if (led === undefined) throw new Error(`the edge of stack ${stack} leads to no release; deploy first`);
  const { caddyfile } = led;
  if (state === undefined) {
    process.stdout.write(`${isMaintenance(caddyfile) ? "on" : "off"}\n`);
    return 0;
  }
  if (followers)
    throw new Error("the edges on other nodes cannot answer 503 yet; allowed: with edges: manager");
  if (isUnderWay(options.stack))
    throw new Error(`a deploy of stack ${stack} is under way; wait until it has ended`);
  if (state === "off") await endMaintenance(engine, edge, caddyfile);
  else {
    const page = readPage(open, options.page);
    await beginMaintenance(engine, edge, { page, retryAfter: Number(options.retryAfter), caddyfile });
  }
  const url = open.config.publicUrl;
  process.stdout.write(
    state === "on" ? `${url} answers 503\n` : `${url} serves ${record.deployment.commit}\n`,
  );
  return 0;
});

/** The page of the command line, of the configuration, or the program's own. */
function readPage({ config }: OpenStack, given: string | undefined): string {
  const { maintenancePage, source } = config;
  const file =
    given !== undefined
      ? resolve(process.env.INIT_CWD ?? ".", given)
      : maintenancePage && resolve(PROJECT, source, maintenancePage);
  if (!file) return DEFAULT_PAGE;
  let page: string;
  try {
    page = readFileSync(file, "utf8");
  } catch (cause) {
    throw new UsageError(`the page cannot be read: ${(cause as Error).message}`);
  }
  if (Buffer.byteLength(page) > MOST_PAGE_BYTES)
    throw new UsageError(`${file} has more than ${MOST_PAGE_BYTES} bytes; allowed: a smaller page`);
  return page;
}
