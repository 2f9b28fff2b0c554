import { join } from "node:path";
import { Command } from "commander";
import execa from "execa";
import { engineTarget } from "../components/engineAccess";
import type { DeployRecord } from "../components/lastDeploy";
import { ownKeys, parseConfig } from "../config";
import { DockerEngine } from "../engine/docker";
import { proveDeployment } from "../engine/prove";
import { sshFolder } from "../engine/workFolder";
import { assertUnbroken, certify } from "../freshness/chain";
import { PROJECT, run, stackName } from "./project";
import { table } from "./table";

const command = new Command("verify")
  .description(
    "Proves again that a running deployment serves its commit, from its state and the engine alone.",
  )
  .option("--stack <name>", "the stack", "dev")
  .option("--json", "print the certificate as JSON alone on stdout")
  .exitOverride((error) => process.exit(error.exitCode === 0 ? 0 : 2));

run(async () => {
  const { stack, json } = command.parse().opts<{ stack: string; json?: boolean }>();
  const name = stackName(stack);
  const [config, record] = await Promise.all([configOf(stack), recordOf(stack)]);
  const deployment = { ...record.deployment, url: config.publicUrl };
  const engine = new DockerEngine(await engineTarget(config, join(PROJECT, sshFolder(name))));
  await engine.assertReachable();
  const { commit, url } = deployment;
  const certificate = certify({
    stack: name,
    ...{ commit, url, versions: record.versions },
    links: await proveDeployment(engine, deployment),
  });
  process.stdout.write(json ? `${JSON.stringify(certificate, null, 2)}\n` : `${table(certificate.links)}\n`);
  assertUnbroken(certificate.links);
  if (!json) process.stdout.write(`\n${url} serves ${commit}\n`);
  return 0;
});

/** The stack's configuration with its secrets: the server's key is one of them. */
async function configOf(stack: string) {
  const values = await pulumiJson<Record<string, { value?: string }>>([
    "config",
    "--json",
    "--show-secrets",
    "--stack",
    stack,
  ]);
  const own = Object.entries(ownKeys(values));
  return parseConfig(Object.fromEntries(own.map(([key, { value }]) => [key, value])));
}

async function recordOf(stack: string): Promise<DeployRecord> {
  const outputs = await pulumiJson<{ record?: DeployRecord }>([
    "stack",
    "output",
    "--json",
    "--show-secrets",
    "--stack",
    stack,
  ]);
  if (outputs.record?.deployment) return outputs.record;
  throw new Error(
    `stack ${stack} has no deployment that succeeded; deploy it with "npm run up -- --stack ${stack}"`,
  );
}

async function pulumiJson<T>(args: readonly string[]): Promise<T> {
  const { stdout, stderr, failed } = await execa("pulumi", args, { cwd: PROJECT, reject: false });
  if (failed) throw new Error(stderr.replace(/^error: /, "").trim());
  return JSON.parse(stdout) as T;
}
