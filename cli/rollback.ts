import { resolve } from "node:path";
import { Command } from "commander";
import type { DeployRecord } from "../components/lastDeploy";
import { type ReleaseRecord, releaseNamed } from "../components/releases";
import { commitsBetween } from "../source/between";
import { shortIdentity } from "../source/checkout";
import { deploy } from "./deploy";
import { PROJECT, readStackConfig, run, UsageError } from "./project";
import { readRecord } from "./state";

const command = new Command("rollback")
  .description("Goes back to an earlier release without a build, with the same proofs, and holds it.")
  .option("--stack <name>", "the stack", "dev")
  .option("--to <commit>", "the release, by its commit or the first digits of it (default: the one before)")
  .option("--json", "print the certificate as JSON alone on stdout")
  .exitOverride((error) => process.exit(error.exitCode === 0 ? 0 : 2));

run(async () => {
  const started = performance.now();
  const { stack, to, json } = command.parse().opts<{ stack: string; to?: string; json?: boolean }>();
  const config = readStackConfig(stack);
  const record = await readRecord(stack);
  const release = to === undefined ? oneBefore(record) : named(record, to);
  const from = record.current.commit;
  process.stderr.write(
    `going back from ${shortIdentity(from)} to ${shortIdentity(release.commit)}, deployed ${release.time} by ${release.by}\n`,
  );
  for (const line of await leftBehind(resolve(PROJECT, config.source), release.commit, from))
    process.stderr.write(`  ${line}\n`);
  const kept = config.services.flatMap(({ volumes }) => Object.keys(volumes));
  if (kept.length > 0)
    process.stderr.write(`  volumes keep what the newer release wrote: ${kept.join(", ")}\n`);

  process.env.WATCH_PARTY_ROLLBACK = release.commit;
  return deploy(stack, ["--yes", "--skip-preview"], { json, started });
});

function named(record: DeployRecord, to: string): ReleaseRecord {
  try {
    return releaseNamed(record, to);
  } catch (cause) {
    throw new UsageError((cause as Error).message);
  }
}

function oneBefore({ releases, current }: DeployRecord): ReleaseRecord {
  const at = releases.findIndex(({ commit }) => commit === current.commit);
  const before = releases[at + 1];
  if (before) return before;
  throw new Error(
    `there is no release before ${shortIdentity(current.commit)}; watch-party:keepReleases says how many are kept`,
  );
}

/** The commits that will not be served any more, without merges, ten of them at most. */
async function leftBehind(source: string, to: string, from: string): Promise<string[]> {
  const commits = await commitsBetween(source, to, from);
  if (commits === undefined) return ["the commits between are not in this checkout"];
  const lines = commits.map(({ id, subject }) => `${shortIdentity(id)} ${subject}`);
  const more = lines.length > 10 ? [`and ${lines.length - 10} more`] : [];
  return lines.length === 0 ? [] : ["left behind:", ...lines.slice(0, 10), ...more];
}
