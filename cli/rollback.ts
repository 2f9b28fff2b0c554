import { resolve } from "node:path";
import type { DeployConfig } from "../config/types";
import { ONE_BEFORE, writeIntent } from "../release/intent";
import type { DeployRecord, ReleaseRecord } from "../release/record";
import { releaseBefore, releaseNamed } from "../release/releases";
import { commitsBetween } from "../source/between";
import { shortIdentity } from "../source/checkout";
import { ProjectCommand } from "./command";
import { deploy } from "./deploy";
import { PROJECT, readStackConfig, run, UsageError } from "./project";
import { readRecord } from "./state";

const command = new ProjectCommand("rollback")
  .description("Rolls back to an earlier release without a build, with the same proofs, and stays there.")
  .ofStack()
  .option("--to <commit>", "commit of the release, or its first digits (default: the previous release)")
  .json("certificate");

run(async () => {
  const started = performance.now();
  const { stack, to, json } = command.parse().opts<{ stack: string; to?: string; json?: boolean }>();
  const config = readStackConfig(stack);
  const reading = readRecord(stack);
  const args = ["--yes", "--skip-preview"];
  if (to !== undefined) {
    const record = await reading;
    const release = named(record, to);
    await tell(config, record, release);
    writeIntent({ rollback: release.commit });
    return deploy(stack, args, { json, started });
  }
  // The program selects the release; the commits being rolled back are listed while it starts.
  writeIntent({ rollback: ONE_BEFORE });
  const telling = reading
    .then((record) => tell(config, record, releaseBefore(record, stack)))
    .then(
      () => "",
      (cause: Error) => `could not list the commits being rolled back: ${cause.message}\n`,
    );
  const status = await deploy(stack, args, { json, started });
  const untold = await telling;
  // A failed deploy has printed its errors.
  if (status === 0) process.stderr.write(untold);
  return status;
});

/** Prints the release to roll back to, and the commits that are rolled back. */
async function tell(config: DeployConfig, { current }: DeployRecord, release: ReleaseRecord): Promise<void> {
  const from = current.commit;
  process.stderr.write(
    `rolling back from ${shortIdentity(from)} to ${shortIdentity(release.commit)}, deployed ${release.time} by ${release.by}\n`,
  );
  for (const line of await leftBehind(resolve(PROJECT, config.source), release.commit, from))
    process.stderr.write(`  ${line}\n`);
  const kept = config.services.flatMap(({ volumes }) => Object.keys(volumes));
  if (kept.length > 0)
    process.stderr.write(`  volumes keep what the newer release wrote: ${kept.join(", ")}\n`);
}

function named(record: DeployRecord, to: string): ReleaseRecord {
  try {
    return releaseNamed(record, to);
  } catch (cause) {
    throw new UsageError((cause as Error).message);
  }
}

/** The commits that are rolled back, without merges, ten at most. */
async function leftBehind(source: string, to: string, from: string): Promise<string[]> {
  const commits = await commitsBetween(source, to, from);
  if (commits === undefined) return ["the commits between are not in this checkout"];
  const lines = commits.map(({ id, subject }) => `${shortIdentity(id)} ${subject}`);
  const more = lines.length > 10 ? [`and ${lines.length - 10} more`] : [];
  return lines.length === 0 ? [] : ["left behind:", ...lines.slice(0, 10), ...more];
}
