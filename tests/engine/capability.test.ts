import { expect, it } from "@jest/globals";
import execa from "execa";
import { capabilityName } from "../../components/run/capabilities";
import { parseConfig } from "../../config";
import { capabilityRemedy, missingCapability } from "../../freshness/container/capability";

/** Runs what servers do when they start as root: it gives a folder to another user. */
async function start(capabilities: readonly string[]): Promise<{ exitCode: number; log: string }> {
  const kept = capabilities.flatMap((each) => ["--cap-add", capabilityName(each)]);
  const image = ["debian:bookworm-slim", "chown", "33", "/var/cache"];
  const run = ["run", "--rm", "--network", "none", "--cap-drop", "ALL", ...kept, ...image];
  const { exitCode, stderr } = await execa("docker", run, { reject: false });
  return { exitCode, log: stderr };
}

/** The capabilities of a service for which the configuration says so. */
function configured(capabilities: unknown): readonly string[] {
  const given = { route: "/", port: 80, capabilities };
  return parseConfig({ services: { web: given } }).services[0]?.capabilities ?? [];
}

it("a missing capability is the one in the remedy: with it the program works", async () => {
  const refused = await start(configured([]));
  expect(refused.exitCode).toBe(1);
  const lacks = missingCapability(refused.log, configured([]));
  const remedy = lacks ? capabilityRemedy("web", lacks) : "";
  const [, preset = "", alone = ""] = /capabilities to (\w+),.* or to \[(\w+)\]/.exec(remedy) ?? [];
  expect([preset, alone]).toEqual(["webserver", "CHOWN"]);
  for (const setting of [preset, [alone]]) {
    const capabilities = configured(setting);
    expect(await start(capabilities)).toMatchObject({ exitCode: 0 });
  }
});
