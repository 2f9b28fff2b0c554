import { Command } from "commander";
import { isMaintenance } from "../edge/maintenance";
import { readEdge } from "../edge/switch";
import { registryOf } from "../engine/registry";
import { assertUnbroken, certify, warningsOf } from "../freshness/chain";
import { keptReleasesVerdict } from "../freshness/image/releases";
import { edgeFilesVerdicts } from "../freshness/served/edge";
import { maintenanceVerdict } from "../freshness/served/maintenance";
import { proveAccessories } from "../proof/accessory";
import { proveDeployment } from "../proof/prove";
import { goneReleases } from "../release/releases";
import { certificateMarkdown } from "./markdown";
import { run, stackName } from "./project";
import { reachEngine } from "./server";
import { readRecord, readSecretConfig } from "./state";
import { judgeStrays } from "./strays";
import { summarize } from "./summary";
import { table } from "./table";

const command = new Command("verify")
  .description(
    "Proves again that a running deployment serves its commit; reads only the state and the engine.",
  )
  .option("--stack <name>", "the stack", "dev")
  .option("--json", "print only the certificate, as JSON, on stdout")
  .exitOverride((error) => process.exit(error.exitCode === 0 ? 0 : 2));

run(async () => {
  const { stack, json } = command.parse().opts<{ stack: string; json?: boolean }>();
  const name = stackName(stack);
  const [config, record] = await Promise.all([readSecretConfig(stack), readRecord(stack)]);
  const deployment = { ...record.deployment, url: config.publicUrl };
  const engine = await reachEngine(config);
  await engine.assertReachable();
  const { commit, url } = deployment;
  const hasAssets = deployment.services.some(({ service }) => Object.keys(service.assets).length > 0);
  const builds = hasAssets ? record.releases.map(({ commit, build }) => [commit, build.id] as const) : [];
  const [proofs, accessories, edge, gone, strays] = await Promise.all([
    proveDeployment(engine, deployment),
    proveAccessories(engine, { ...deployment, stack: name }),
    // The proofs of what is served report a missing edge.
    readEdge(engine, deployment.edge).then(
      (files) => [
        ...maintenanceVerdict(stack, files.state !== undefined && isMaintenance(files.state.caddyfile)),
        ...edgeFilesVerdicts(deployment.id, new Map(builds), files),
      ],
      () => [],
    ),
    goneReleases(engine, record, registryOf(config)),
    judgeStrays({ engine, stack, config, record }),
  ]);
  const earlier = [...gone].filter(([of]) => of !== commit);
  const kept = keptReleasesVerdict(name, record.releases.length, new Map(earlier));
  const certificate = certify({
    stack: name,
    commit,
    url,
    versions: record.current.versions,
    links: [...edge, ...accessories, ...proofs, strays, ...kept],
  });
  for (const { found } of kept) process.stderr.write(`warning: ${found}\n`);
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
