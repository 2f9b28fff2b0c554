/** What the engine needs of any plugin, whatever its resources. */

import { spawn } from "node:child_process";
import { once } from "node:events";
import { afterAll, describe, expect, it, jest } from "@jest/globals";
import { Life, locate, Plugin, type PluginName } from "./client";
import { cleanUp } from "./world";

// Engines and servers are real, and may be slow on a small machine.
jest.setTimeout(60_000);

afterAll(cleanUp);

describe.each<PluginName>(["docker", "command"])("the plugin %s", (name) => {
  it("exits when the CLI interrupts it: the CLI waits five seconds for each plugin that does not", async () => {
    const { executable, dispose } = await locate(name);
    const child = spawn(executable, ["127.0.0.1:1"], { stdio: ["pipe", "pipe", "ignore"] });
    const [port] = await once(child.stdout, "data");
    expect(String(port)).toMatch(/^\d+\n$/);
    const started = Date.now();
    child.kill("SIGINT");
    await once(child, "exit");
    expect(Date.now() - started).toBeLessThan(3000);
    await dispose();
  });

  it("refuses an unknown type, and continues", async () => {
    const plugin = await Plugin.start(name);
    await expect(plugin.check(`${name}:index:Nothing`, "x", {}, {})).rejects.toThrow();
    expect(await plugin.checkConfig({ version: "1.0.0" })).toMatchObject({ version: "1.0.0" });
    // The plugin command takes a text for JSON where it can.
    const version = name === "command" ? 1 : "1";
    expect(await plugin.checkConfig({ version: "1" })).toMatchObject({ version });
    await plugin.stop();
  });
});

it("Cancel ends running calls", async () => {
  const plugin = await Plugin.start("command");
  const cmd = new Life(plugin, "command:local:Command", "cmd");
  // It says when it runs, so that nothing has to be waited for by the clock.
  const failed = cmd.up({ create: "echo here; exec sleep 600" }).catch((error: Error) => error.message);
  await plugin.heard("here");
  await plugin.cancel();
  expect(await failed).toMatch(/signal|exit status/);
  await plugin.stop();
});
