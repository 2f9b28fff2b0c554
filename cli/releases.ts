import { registryOf } from "../engine/registry";
import { goneReleases } from "../proof/keptReleases";
import { listReleases } from "../release/releases";
import { shortIdentity } from "../source/checkout";
import { ProjectCommand } from "./command";
import { run } from "./project";
import { reachEngine } from "./server";
import { readRecord, readSecretConfig } from "./state";

const command = new ProjectCommand("releases")
  .description("Lists the releases to roll back to, newest first.")
  .ofStack()
  .json();

run(async () => {
  const { stack, json } = command.parse().opts<{ stack: string; json?: boolean }>();
  const [config, record] = await Promise.all([readSecretConfig(stack), readRecord(stack)]);
  const reading = reachEngine(config).then((engine) =>
    goneReleases(engine, record.releases, registryOf(config)),
  );
  // The state has the list: without an engine it only lacks the images' state.
  const gone = await reading.catch((cause: Error) => {
    process.stderr.write(`warning: could not list the engine's images: ${cause.message}\n`);
    return new Map<string, readonly string[]>();
  });
  const listed = listReleases(record).map((each) => ({ ...each, gone: gone.get(each.commit) ?? [] }));
  if (json) process.stdout.write(`${JSON.stringify(listed, null, 2)}\n`);
  else
    for (const { commit, time, by, seconds, running, rolledBack, gone } of listed) {
      const state = running ? "running" : rolledBack ? "rolled back" : "";
      const lost = gone.length > 0 ? `cannot be rolled back to: no image of ${gone.join(" and ")}` : "";
      const note = [state, lost].filter((words) => words !== "").join(", ");
      const columns = [shortIdentity(commit).padEnd(12), time, `${seconds.toFixed(1)} s`.padStart(8), by];
      process.stdout.write(`${[...columns, note].join("  ").trimEnd()}\n`);
    }
  return 0;
});
