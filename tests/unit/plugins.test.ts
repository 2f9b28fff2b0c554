import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "@jest/globals";
import { parseConfig } from "../../config";
import { problemsForUp } from "../../config/problems";
import { pluginOrigins, pluginVersion } from "../../engine/plugins";
import { watchServer } from "../../engine/serverWatch";
import { standInOf } from "../../packages/stand-ins/plugins/standIn";

const home = mkdtempSync(join(tmpdir(), "watch-party-plugins-"));
afterAll(() => rmSync(home, { recursive: true }));

function install(content: string | Buffer, folder?: string): void {
  const name = "pulumi-resource-docker";
  const into = folder ?? join(home, "plugins", `resource-docker-v${pluginVersion("docker")}`);
  mkdirSync(into, { recursive: true });
  writeFileSync(join(into, name), content);
  chmodSync(join(into, name), 0o755);
}

describe("the origin of a plugin", () => {
  const env = { PULUMI_HOME: home, PATH: "" };
  const standIn = `#!/usr/bin/env node\n// ${standInOf("docker", "5.2.0")}\n`;

  it("is unknown before its installation", () => {
    expect(pluginOrigins(env)).toEqual({ docker: "unknown", command: "unknown" });
  });

  it.each([
    ["a stand-in identifies itself in its first lines", standIn, "stand-in"],
    ["a program of the machine is the official one", Buffer.from("7f454c4602010100", "hex"), "official"],
    ["another script is neither", "#!/bin/sh\n", "unknown"],
  ])("%s", (_, content, origin) => {
    install(content);
    expect(pluginOrigins(env).docker).toBe(origin);
  });

  it("is that of the plugin on PATH, unless Pulumi ignores PATH", () => {
    const folder = join(home, "bin");
    install(standIn, folder);
    expect(pluginOrigins({ ...env, PATH: folder }).docker).toBe("stand-in");
    const ignoring = { ...env, PATH: folder, PULUMI_IGNORE_AMBIENT_PLUGINS: "true" };
    expect(pluginOrigins(ignoring).docker).toBe("unknown");
  });
});

describe("a deploy on stand-ins", () => {
  const server = { host: "h", user: "u", hostKey: "ssh-ed25519 AAAA" };
  const on = (more: object) => parseConfig({ server, serverKey: "k", ...more });
  const origins = { docker: "stand-in", command: "official" } as const;

  it("to a server needs the key that allows it", () => {
    const [problem] = problemsForUp(on({}), origins);
    expect(problem).toMatch(
      /^watch-party:allowStandIns is false; allowed: true, .* stand-ins of the Pulumi plugins docker /,
    );
    expect(problemsForUp(on({ allowStandIns: true }), origins)).toEqual([]);
  });

  it("to the local engine needs none, and the official plugins never do", () => {
    expect(problemsForUp(parseConfig({}), origins)).toEqual([]);
    expect(problemsForUp(on({}), { docker: "official", command: "official" })).toEqual([]);
  });
});

describe("the watch over a server", () => {
  /** Resolves with the report; probes get the given answers, then the last one for ever. */
  const told = (answers: readonly boolean[], minutes?: number) => {
    let asked = 0;
    const ask = async () => {
      if (!answers[Math.min(asked++, answers.length - 1)]) throw new Error("no answer");
    };
    return new Promise<{ why: string; asked: number }>((resolve) => {
      // The watch keeps no process alive; here nothing else does.
      const alive = setInterval(() => undefined, 1000);
      watchServer({
        ...{ ask, everySeconds: 0.001, minutes },
        onSilence: (why) => {
          clearInterval(alive);
          resolve({ why, asked });
        },
      });
    });
  };

  it("reports silence after two unanswered probes, not after one", async () => {
    const { why, asked } = await told([true, false, true, false, false]);
    expect(why).toContain("has not answered");
    expect(asked).toBe(5);
  });

  it("limits a command's total time, even on a responsive server", async () => {
    expect((await told([true], 0.001)).why).toContain("has not ended within");
  });
});
