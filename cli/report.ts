import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { diskUse } from "../engine/caches";
import { workFolder } from "../engine/workFolder";
import { certify, isBroken } from "../freshness/chain";
import { proveDeployment } from "../proof/proofs";
import { listReleases } from "../release/releases";
import { ProjectCommand } from "./command";
import { PROJECT, run, stackName } from "./project";
import { page, type Report } from "./report/page";
import { reachEngine } from "./server";
import { readOutputs, readSecretConfig } from "./state";

const command = new ProjectCommand("report")
  .description(
    "Writes one HTML file: the chain per service, proven again, the releases and their times, disk and cache.",
  )
  .ofStack()
  .option("--out <file>", "output file (default: .work/STACK/report.html)");

run(async () => {
  const { stack, out } = command.parse().opts<{ stack: string; out?: string }>();
  const name = stackName(stack);
  const [config, outputs] = await Promise.all([readSecretConfig(stack), readOutputs(stack)]);
  const { record, freshness, seconds } = outputs;
  const deployment = { ...record.deployment, url: config.publicUrl };
  const { commit, url, services } = deployment;
  const { versions, source } = record.current;
  const kept: Report = {
    certificate: freshness,
    isLive: false,
    releases: listReleases(record),
    seconds,
    services: services.map(({ service }) => service.name),
  };
  let report = kept;
  try {
    const engine = await reachEngine(config);
    await engine.assertReachable();
    const [proofs, disk, free] = await Promise.all([
      proveDeployment(engine, deployment),
      diskUse(engine),
      engine.freeBytes(),
    ]);
    // Proofs of images and their source stay valid as long as the images exist.
    const lasting = [...source, ...Object.values(record.current.images).flatMap(({ verdicts }) => verdicts)];
    const certificate = certify({
      stack: name,
      commit,
      url,
      versions,
      links: [...lasting, ...proofs],
    });
    report = { ...kept, certificate, isLive: true, disk, free };
  } catch (cause) {
    report = { ...kept, problem: `Now: ${(cause as Error).message.split("\n")[0]}` };
  }
  const file = resolve(process.env.INIT_CWD ?? ".", out ?? join(PROJECT, workFolder(name), "report.html"));
  mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
  writeFileSync(file, page(report), { mode: out ? 0o644 : 0o600 });
  process.stdout.write(`${file}\n`);
  if (report.problem) process.stderr.write(`error: ${report.problem}\n`);
  return report.problem || report.certificate.links.some(isBroken) ? 1 : 0;
});
