import { FreshnessError } from "../freshness/chain";
import { checkSource } from "../source/prepare";
import { ProjectCommand } from "./command";
import { type Proposal, proposalMarkdown } from "./markdown";
import { operate } from "./operate";
import { assertStack, ensureStack, readStackConfig, run, stackName } from "./project";
import { propose } from "./proposal";
import { setOutput, summarize } from "./summary";

interface Options {
  readonly stack: string;
  readonly diff?: boolean;
  readonly json?: boolean;
  readonly markdown?: boolean;
}

const command = new ProjectCommand("preview")
  .description(
    "Shows what a deploy would change. Contacts neither the server nor an engine, and builds nothing.",
  )
  .ofStack()
  .option("--diff", "show the changes in full")
  .json()
  .option(
    "--markdown",
    "print only a pull request's summary on stdout: the running release, the new one, the changes",
  );

run(async () => {
  const { stack, diff, json, markdown } = command.parse().opts<Options>();
  assertStack(stack);
  if (markdown) return describe(stack);
  await checkSource(readStackConfig(stack));
  await ensureStack(stack);
  const flags = [...(diff ? ["--diff"] : []), ...(json ? ["--json"] : [])];
  const { status, errors } = await operate(stack, ["preview", ...flags]);
  process.stderr.write(errors.map((error) => `error: ${error}\n`).join(""));
  return status;
});

/** Prints the result even after a failure: a pull request's comment must not keep showing an earlier commit. */
async function describe(stack: string): Promise<number> {
  try {
    const proposal = await propose(stack, readStackConfig(stack));
    tell(proposal);
    const { findings, errors } = proposal;
    const said = [...findings.map((finding) => new FreshnessError(finding).message), ...errors];
    process.stderr.write(said.map((error) => `error: ${error}\n`).join(""));
    return said.length > 0 ? 1 : 0;
  } catch (cause) {
    tell({ stack, changes: [], findings: [], errors: [(cause as Error).message] });
    throw cause;
  }
}

function tell(proposal: Proposal): void {
  const markdown = proposalMarkdown({ ...proposal, stack: stackName(proposal.stack) });
  process.stdout.write(markdown);
  summarize(markdown);
  setOutput("markdown", markdown);
}
