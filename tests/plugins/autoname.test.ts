/** The contract of containers without a name of their own, from the series autoname-* and swap-*. */

import { afterAll, beforeAll, describe, expect, it, jest } from "@jest/globals";
import { Life, Plugin, type Props } from "./client";
import { cleanUp, docker, labels, removeMarked, sleepingImage } from "./world";

// Engines and servers are real, and may be slow on a small machine.
jest.setTimeout(60_000);

const type = "docker:index/container:Container";
let plugin: Plugin;
let image: string;

beforeAll(async () => {
  image = await sleepingImage();
  plugin = await Plugin.start("docker");
});

afterAll(async () => {
  await plugin?.stop();
  await removeMarked();
  await cleanUp();
});

function inputs(commit: string, healthy = true): Props {
  return {
    envs: [`V=${commit}`],
    healthcheck: {
      interval: "500ms",
      retries: 1,
      tests: ["CMD-SHELL", healthy ? "exit 0" : "exit 1"],
      timeout: "3s",
    },
    image,
    init: true,
    labels,
    restart: "unless-stopped",
    wait: true,
    waitTimeout: healthy ? 20 : 1,
  };
}

const exists = (id: string): Promise<boolean> =>
  docker("inspect", id).then(
    () => true,
    () => false,
  );

describe("a generated name", () => {
  it("is the resource's name and seven hex digits, different each time", async () => {
    const names = await Promise.all(
      [1, 2].map(async () => (await plugin.check(type, "backend", {}, inputs("c1"))).name),
    );
    for (const name of names) expect(name).toMatch(/^backend-[0-9a-f]{7}$/);
    expect(names[0]).not.toBe(names[1]);
  });

  it("stays while the old name was generated, and is no change", async () => {
    const before = await plugin.check(type, "backend", {}, inputs("c1"));
    expect(before.__defaults).toContain("name");
    expect((await plugin.check(type, "backend", before, inputs("c2"))).name).toBe(before.name);
  });

  it("is replaced by a name from the program", async () => {
    const before = await plugin.check(type, "backend", {}, inputs("c1"));
    expect((await plugin.check(type, "backend", before, { ...inputs("c2"), name: "mine" })).name).toBe(
      "mine",
    );
  });
});

describe("by default the old container is removed first", () => {
  it("an unhealthy commit removes it, and the retry works and cleans up", async () => {
    const backend = new Life(plugin, type, "backend");
    await backend.up(inputs("c1"));
    const old = backend.state?.id ?? "";
    expect((await backend.plan(inputs("c2"))).diff).toMatchObject({
      replaces: ["envs"],
      deleteBeforeReplace: true,
      detailedDiff: { "envs[0]": "UPDATE_REPLACE" },
    });

    await expect(backend.up(inputs("c2", false))).rejects.toThrow("container failed to be in healthy state");
    const sick = backend.state?.id ?? "";
    expect(await exists(old)).toBe(false);
    expect(await exists(sick)).toBe(true);

    const diff = (await backend.plan(inputs("c2"))).diff;
    expect(diff?.detailedDiff).toMatchObject({
      command: "ADD_REPLACE",
      entrypoints: "ADD_REPLACE",
      networkDatas: "ADD",
    });
    expect(await backend.up(inputs("c2"))).toBe("replace");
    expect(await exists(sick)).toBe(false);
    expect(backend.state?.properties).toMatchObject({
      envs: ["V=c2"],
      networkDatas: [{ networkName: "bridge" }],
    });
    await backend.destroy();
  });
});

describe("with deleteBeforeReplace: false", () => {
  it("the old container stays until the new one is healthy, through failed attempts", async () => {
    const backend = new Life(plugin, type, "backend", false);
    await backend.up(inputs("c1"));
    const old = backend.state?.id ?? "";
    const attempts: string[] = [];
    for (let attempt = 0; attempt < 2; attempt++) {
      await expect(backend.up(inputs("c2", false))).rejects.toThrow(
        "container failed to be in healthy state",
      );
      attempts.push(backend.state?.id ?? "");
      expect(await exists(old)).toBe(true);
    }
    expect(await backend.up(inputs("c2"))).toBe("replace");
    for (const gone of [old, ...attempts]) expect(await exists(gone)).toBe(false);
    expect(await exists(backend.state?.id ?? "")).toBe(true);
    await backend.destroy();
  });
});
