import { Command } from "commander";
import { proveDeployment } from "../engine/prove";
import { assertUnbroken, certify, warningsOf } from "../freshness/chain";
import { certificateMarkdown } from "./markdown";
import { run, stackName } from "./project";
import { reachEngine } from "./server";
import { readRecord, readSecretConfig } from "./state";
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
  const certificate = certify({
    stack: name,
    ...{ commit, url, versions: record.current.versions },
    links: await proveDeployment(engine, deployment),
  });
  summarize(certificateMarkdown(certificate));
  process.stdout.write(json ? `${JSON.stringify(certificate, null, 2)}\n` : `${table(certificate.links)}\n`);
  assertUnbroken(certificate.links);
  process.stderr.write(
    warningsOf(certificate.links)
      .map((warning) => `warning: ${warning}\n`)
      .join(""),
  );
  if (!json) process.stdout.write(`\n${url} serves ${commit}\n`);
  return 0;
});
