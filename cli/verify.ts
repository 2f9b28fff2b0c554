import { Command } from "commander";
import { proveDeployment } from "../engine/prove";
import { assertUnbroken, certify } from "../freshness/chain";
import { certificateMarkdown } from "./markdown";
import { run, stackName } from "./project";
import { reachEngine } from "./server";
import { readRecord, readSecretConfig } from "./state";
import { judgeStrays } from "./strays";
import { summarize } from "./summary";
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
  const [config, record] = await Promise.all([readSecretConfig(stack), readRecord(stack)]);
  const deployment = { ...record.deployment, url: config.publicUrl };
  const engine = await reachEngine(config);
  await engine.assertReachable();
  const { commit, url } = deployment;
  const [links, strays] = await Promise.all([
    proveDeployment(engine, deployment),
    judgeStrays({ engine, stack, config, record }),
  ]);
  const certificate = certify({
    stack: name,
    ...{ commit, url, versions: record.current.versions },
    links: [...links, strays],
  });
  summarize(certificateMarkdown(certificate));
  process.stdout.write(json ? `${JSON.stringify(certificate, null, 2)}\n` : `${table(certificate.links)}\n`);
  assertUnbroken(certificate.links);
  if (!json) process.stdout.write(`\n${url} serves ${commit}\n`);
  return 0;
});
