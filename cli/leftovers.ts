import execa from "execa";
import { removeOrphans } from "../engine/orphans";
import { commandLine } from "../freshness/project";
import { readStanding } from "../release/readStanding";
import { hasStrays, listed } from "../release/standing";
import { ProjectCommand } from "./command";
import { ensureStack, PROJECT, readStackConfig, run, stackName } from "./project";
import { reachEngine } from "./server";
import { readSecretConfig } from "./state";

const command = new ProjectCommand("leftovers")
  .description(
    "Lists the stack's resources on the engine that are not in its state, and removes them with --remove. Never removes a volume.",
  )
  .ofStack()
  .option("--remove", "remove the listed containers and networks, and the services and secrets of a Swarm")
  .json();

run(async () => {
  const { stack, remove, json } = command.parse().opts<{ stack: string; remove?: boolean; json?: boolean }>();
  let config = readStackConfig(stack);
  if (config.server) {
    // The CLI reads the server's key, even from a stack whose state is lost.
    await ensureStack(stack);
    config = await readSecretConfig(stack);
  }
  const engine = await reachEngine(config);
  await engine.assertReachable();
  const known = await idsInState(stack);
  const isSwarm = config.cluster !== undefined;
  const standing = await readStanding(engine, stackName(stack), { known, isSwarm });
  const say = (text: string) => (json ? process.stderr : process.stdout).write(`${text}\n`);
  say(hasStrays(standing) ? listed(standing) : `nothing: everything is in the state of stack ${stack}`);
  if (remove) {
    const containers = standing.containers.map(({ id }) => ({ kind: "container" as const, id }));
    await removeOrphans(engine, [...containers, ...standing.others]);
    if (containers.length + standing.others.length > 0) say("removed; volumes stay");
  }
  if (standing.volumes.length > 0)
    say(
      `volumes: "${commandLine(`up --stack ${stack} --adopt`)}" takes over volumes that are not in the state, "docker volume rm NAME" deletes one with its data`,
    );
  if (json) process.stdout.write(`${JSON.stringify({ ...standing, removed: remove === true }, null, 2)}\n`);
  return 0;
});

/** The IDs in the stack's state, including resources about to be deleted; none if the stack does not exist. */
async function idsInState(stack: string): Promise<string[]> {
  const exported = await execa("pulumi", ["stack", "export", "--stack", stack], {
    cwd: PROJECT,
    reject: false,
  });
  if (exported.failed) {
    if (/no stack named/.test(exported.stderr)) return [];
    throw new Error(exported.stderr.replace(/^error: /, "").trim());
  }
  type Exported = { readonly deployment: { readonly resources?: readonly { readonly id?: string }[] } };
  const { deployment } = JSON.parse(exported.stdout) as Exported;
  return (deployment.resources ?? []).flatMap(({ id }) => (id ? [id] : []));
}
