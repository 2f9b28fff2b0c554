/** The contract of a docker provider over ssh, from the series ssh-*; the "server" is this machine's own engine. */

import { join } from "node:path";
import { afterAll, beforeAll, expect, it, jest } from "@jest/globals";
import { SshServer } from "../support/sshd";
import { freePort } from "../support/stack";
import { Life, Plugin, type Props } from "./client";
import { baseImage, cleanUp, context, docker, folder, labels, mark, removeMarked } from "./world";

// Engines and servers are real, and may be slow on a small machine.
jest.setTimeout(60_000);

const imageType = "docker:index/image:Image";
const containerType = "docker:index/container:Container";
let server: SshServer;
let project: string;

beforeAll(async () => {
  server = await SshServer.start();
  project = await folder();
  await context(await baseImage(), join(project, "app"));
});

afterAll(async () => {
  await removeMarked();
  await cleanUp();
  await server?.remove();
});

/** Host and options as in the series; `known` decides whether the host key is. */
type Reached = Pick<SshServer, "port" | "user" | "keyFile" | "knownHosts">;

function config({ port, user, keyFile, knownHosts }: Reached, known = true): Props {
  const pinned = `UserKnownHostsFile=${known ? knownHosts : "/dev/null"}`;
  return {
    host: `ssh://${user}@127.0.0.1:${port}`,
    sshOpts: JSON.stringify(["-i", keyFile, "-o", pinned, "-o", "StrictHostKeyChecking=yes"]),
  };
}

function image(): Props {
  const build = { args: { GIT_COMMIT_HASH: "c3" }, builderVersion: "BuilderBuildKit", context: "app" };
  return { build, buildOnPreview: false, imageName: `${mark}/backend`, skipPush: true };
}

const container = (id: string): Props => ({
  envs: ["V=c3"],
  healthcheck: { interval: "1s", retries: 2, tests: ["CMD-SHELL", "exit 0"], timeout: "3s" },
  image: id,
  init: true,
  labels,
  wait: true,
  waitTimeout: 20,
});

async function withPlugin(settings: Props, use: (plugin: Plugin) => Promise<void>): Promise<void> {
  const plugin = await Plugin.start("docker", { cwd: project, config: settings });
  try {
    await use(plugin);
  } finally {
    await plugin.stop();
  }
}

it("builds and runs on the server, changes nothing on a second up, and removes the container", async () => {
  await withPlugin(config(server), async (plugin) => {
    const backend = new Life(plugin, imageType, "backend");
    expect(await backend.up(image())).toBe("create");
    const id = String(backend.state?.properties.repoDigest);
    expect(await docker("image", "inspect", "--format", "{{.Id}}", `${mark}/backend`)).toBe(id);
    const running = new Life(plugin, containerType, "backend");
    expect(await running.up(container(id))).toBe("create");
    expect(await running.up(container(id))).toBe("same");
    expect(await docker("inspect", "--format", "{{.State.Health.Status}}", running.state?.id ?? "")).toBe(
      "healthy",
    );
    await running.destroy();
  });
});

it("a preview needs no server", async () => {
  const { user, keyFile, knownHosts } = server;
  const nowhere = { user, keyFile, knownHosts, port: await freePort() };
  await withPlugin(config(nowhere), async (plugin) => {
    const news = await plugin.check(imageType, "backend", {}, image());
    expect(await plugin.create(imageType, "backend", news, true)).toMatchObject({ id: "" });
    const box = await plugin.check(containerType, "backend", {}, container("sha256:0"));
    expect(await plugin.create(containerType, "backend", box, true)).toMatchObject({ id: "" });
  });
});

it("an unknown host key fails a build and a container", async () => {
  await withPlugin(config(server, false), async (plugin) => {
    await expect(new Life(plugin, imageType, "backend").up(image())).rejects.toThrow(/host key/i);
    await expect(new Life(plugin, containerType, "backend").up(container("sha256:0"))).rejects.toThrow(
      /host key/i,
    );
  });
});

it("changed ssh options update the provider and never replace it", async () => {
  await withPlugin({}, async (plugin) => {
    const diff = await plugin.diffConfig(config(server), config(server, false));
    expect(diff).toMatchObject({
      changes: "DIFF_SOME",
      diffs: ["sshOpts"],
      detailedDiff: { sshOpts: "UPDATE" },
      replaces: [],
    });
    expect(await plugin.diffConfig(config(server), config(server))).toMatchObject({
      changes: "DIFF_UNKNOWN",
      diffs: [],
    });
  });
});
