import { existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { Argument } from "commander";
import execa from "execa";
import type { DeployConfig } from "../config/types";
import { NAMESPACE } from "../config/types";
import type { DockerEngine } from "../engine/docker";
import { dataVolumes } from "../engine/volumes";
import { commandLine } from "../freshness/project";
import { imageRepositories } from "../release/resourceNames";
import { ProjectCommand } from "./command";
import { PROJECT, pulumi, readStackConfig, run, stackFile, UsageError } from "./project";
import { openServer, reachEngine } from "./server";
import { readSecretConfig } from "./state";
import { setOutput } from "./summary";

/** The stack whose file is the template of all others. It is never deployed. */
const TEMPLATE = "pr";
/** Stands for the stack's name in the template. */
const PLACEHOLDER = /\bpr-N\b/g;

const command = new ProjectCommand("pr")
  .description(
    "Environments of pull requests: stacks pr-NUMBER behind a front. `add` writes the configuration of one from Pulumi.pr.yaml, in which pr-N stands for its name, and `up --stack pr-NUMBER` deploys it; `remove` destroys it with its volumes and images; `list` names all.",
  )
  .addArgument(new Argument("<action>", "add, remove or list").choices(["add", "remove", "list"]))
  .argument("[number]", "the pull request's number")
  .option("--most <count>", "`add` fails if so many others exist already", "5")
  .json();

run(async () => {
  const { most, json } = command.parse().opts<{ most: string; json?: boolean }>();
  const [action, number] = command.processedArgs as ["add" | "remove" | "list", string | undefined];
  const stacks = await environments();
  if (action === "list") {
    process.stdout.write(json ? `${JSON.stringify(stacks)}\n` : stacks.map((name) => `${name}\n`).join(""));
    return 0;
  }
  if (!/^[1-9]\d{0,8}$/.test(number ?? ""))
    throw new UsageError(`the number is "${number ?? ""}"; allowed: the number of a pull request`);
  const stack = `${TEMPLATE}-${number}`;
  if (!/^\d{1,3}$/.test(most)) throw new UsageError(`--most is "${most}"; allowed: a whole number`);
  const config = writeConfig(stack);
  if (action === "remove") return remove(stack, stacks.includes(stack));
  const others = stacks.filter((name) => name !== stack);
  if (others.length >= Number(most)) {
    rmSync(stackFile(stack));
    throw new Error(
      `${others.length} of ${most} environments of pull requests exist: ${others.join(", ")}; remove one with "${commandLine("pr remove NUMBER")}"`,
    );
  }
  setOutput("stack", stack);
  setOutput("url", config.publicUrl);
  if (json) process.stdout.write(`${JSON.stringify({ stack, url: config.publicUrl })}\n`);
  else
    process.stdout.write(`wrote Pulumi.${stack}.yaml; "${commandLine(`up --stack ${stack}`)}" deploys it\n`);
  return 0;
});

/** The stacks of pull requests in the backend. */
async function environments(): Promise<string[]> {
  const { stdout, stderr, failed } = await execa("pulumi", ["stack", "ls", "--json"], {
    cwd: PROJECT,
    reject: false,
  });
  if (failed) throw new Error(stderr.replace(/^error: /, "").trim());
  return (JSON.parse(stdout) as { readonly name: string }[])
    .map(({ name }) => name.slice(name.lastIndexOf("/") + 1))
    .filter((name) => /^pr-\d+$/.test(name))
    .sort((a, b) => Number(a.slice(3)) - Number(b.slice(3)));
}

/**
 * Writes a stack's configuration from the template, whose secrets keep their passphrase.
 *
 * @throws UsageError if two environments could not be told apart by their names
 */
function writeConfig(stack: string): DeployConfig {
  const template = stackFile(TEMPLATE);
  if (!existsSync(template))
    throw new UsageError(
      `there is no Pulumi.${TEMPLATE}.yaml; write the configuration that all environments share, with ${NAMESPACE}:behind and ${NAMESPACE}:domain: pr-N.example.org`,
    );
  const text = readFileSync(template, "utf8");
  writeFileSync(stackFile(stack), text.replace(PLACEHOLDER, stack));
  const config = readStackConfig(stack);
  const problem =
    config.behind === undefined
      ? `has no ${NAMESPACE}:behind; set it to the stack of the front`
      : new URL(config.publicUrl).hostname.includes(stack)
        ? undefined
        : `has the name ${new URL(config.publicUrl).hostname} for all; put pr-N into ${NAMESPACE}:domain, such as pr-N.example.org`;
  if (problem === undefined) return config;
  rmSync(stackFile(stack));
  throw new UsageError(`Pulumi.${TEMPLATE}.yaml ${problem}`);
}

/** Destroys an environment and all that a destroyed stack leaves: its data is of no use to anyone. */
async function remove(stack: string, exists: boolean): Promise<number> {
  if (!exists) {
    rmSync(stackFile(stack));
    process.stdout.write(`there is no stack ${stack}\n`);
    return 0;
  }
  // Read the key first: a stack that is removed has none.
  const engine = await reachEngine(await readSecretConfig(stack));
  await openServer(stack);
  const status = await pulumi(["destroy", "--yes", "--remove", "--stack", stack], "stderr");
  if (status !== 0) return 1;
  await removeRest(engine, stack);
  rmSync(stackFile(stack), { force: true });
  process.stdout.write(`removed stack ${stack}, its volumes and its images\n`);
  return 0;
}

async function removeRest(engine: DockerEngine, stack: string): Promise<void> {
  for (const { name } of await dataVolumes(engine, stack)) await engine.docker(["volume", "rm", name]);
  const repository = imageRepositories(NAMESPACE, stack);
  await engine.removeTags(await engine.listTags([repository, `${repository}/*`]));
}
