import { registryOf } from "../engine/registry";
import { startEarly } from "../engine/until";
import {
  assertUnbroken,
  certify,
  EVERY_SERVICE,
  FreshnessError,
  isBroken,
  warningsOf,
} from "../freshness/chain";
import { proveDeployment } from "../proof/proofs";
import { notify } from "../release/notify";
import { ProjectCommand } from "./command";
import { certificateMarkdown } from "./markdown";
import { enterStack } from "./openStack";
import { run, stackName } from "./project";
import { readRecord } from "./state";
import { setOutput, summarize } from "./summary";
import { table } from "./table";
import { warn } from "./tellFailure";
import { isUnderWay } from "./underWay";

const command = new ProjectCommand("verify")
  .description(
    "Proves again that a running deployment serves its commit; reads only the state and the engine.",
  )
  .ofStack()
  .json("certificate");

run(async () => {
  const { stack, json } = command.parse().opts<{ stack: string; json?: boolean }>();
  const name = stackName(stack);
  const { config, record, engine } = await enterStack(stack);
  const deployment = { ...record.deployment, url: config.publicUrl };
  const { commit, url } = deployment;
  const proving = startEarly(
    proveDeployment(engine, deployment, {
      stack,
      name,
      config,
      releases: record.releases,
      registry: registryOf(config),
      deploymentNow: async () => (await readRecord(stack)).deployment,
      isUnderWay: () => isUnderWay(stack),
    }),
  );
  // An engine that does not answer is reported before what was not proven for that.
  await engine.assertReachable();
  const links = await proving;
  const certificate = certify({
    stack: name,
    commit,
    url,
    versions: record.current.versions,
    links,
  });
  // Kept releases are no link of the served one.
  for (const { link, service, found } of links)
    if (link === "image" && service === EVERY_SERVICE) process.stderr.write(`warning: ${found}\n`);
  summarize(certificateMarkdown(certificate));
  process.stdout.write(json ? `${JSON.stringify(certificate, null, 2)}\n` : `${table(certificate.links)}\n`);
  const drift = certificate.links.find(isBroken);
  if (drift) {
    const { message: error } = new FreshnessError(drift);
    setOutput("error", error);
    await notify(config, { event: "drifted", stack: name, url, commit, error }, warn);
  }
  assertUnbroken(certificate.links);
  process.stderr.write(
    warningsOf(certificate.links)
      .map((warning) => `warning: ${warning}\n`)
      .join(""),
  );
  if (!json) process.stdout.write(`\n${url} serves ${commit}\n`);
  return 0;
});
