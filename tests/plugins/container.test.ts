/** The contract of docker.Container, docker.Network and docker.Volume, from the series container-* and network-*. */

import { afterAll, beforeAll, describe, expect, it, jest } from "@jest/globals";
import { freePort } from "../support/stack";
import { type Diff, Life, Plugin, type Props, type State, urnOf } from "./client";
import { cleanUp, docker, failure, labels, mark, removeMarked, sleepingImage, takenPort } from "./world";

// Engines and servers are real, and may be slow on a small machine.
jest.setTimeout(60_000);

const type = "docker:index/container:Container";
const networkType = "docker:index/network:Network";
const volumeType = "docker:index/volume:Volume";
const unknown = "04da6b54-80e4-46f7-96ec-b56ff0331ba9";

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

/** The inputs of the series, with what a case says otherwise; `undefined` takes one out. */
function inputs(other: { [key: string]: Props[string] | undefined } = {}): Props {
  const all = {
    capabilities: { drops: ["ALL"] },
    envs: ["V=c1"],
    healthcheck: {
      tests: ["CMD-SHELL", "exit 0"],
      interval: "1s",
      timeout: "3s",
      retries: 3,
      startPeriod: "1s",
    },
    image,
    init: true,
    labels: [...labels, { label: "service", value: "frontend" }],
    logDriver: "json-file",
    logOpts: { "max-size": "10m" },
    memory: 64,
    memorySwap: 64,
    mustRun: true,
    networksAdvanced: [{ aliases: ["frontend"], name: `${mark}-net` }],
    readOnly: true,
    restart: "unless-stopped",
    securityOpts: ["no-new-privileges:true"],
    stopTimeout: 5,
    tmpfs: { "/tmp": "" },
    volumes: [{ containerPath: "/data", volumeName: `${mark}-data` }],
    wait: true,
    waitTimeout: 20,
    ...other,
  };
  return Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined)) as Props;
}

const check = (news: Props): Promise<Props> => plugin.check(type, "frontend", {}, news);
const running = (id: string): Promise<string> => docker("inspect", "--format", "{{.State.Running}}", id);

describe("Check", () => {
  it("adds the defaults, and marks them as defaults", async () => {
    const news = inputs({ name: "fixed", ports: [{ internal: 80, external: 8080, ip: "127.0.0.1" }] });
    const found = await check(news);
    expect(found).toMatchObject({
      __defaults: ["containerReadRefreshTimeoutMilliseconds", "networkMode", "removeVolumes", "start"],
      containerReadRefreshTimeoutMilliseconds: 15000,
      healthcheck: { __defaults: ["startInterval"], startInterval: "0s", startPeriod: "1s" },
      networkMode: "bridge",
      ports: [{ __defaults: ["protocol"], external: 8080, internal: 80, ip: "127.0.0.1", protocol: "tcp" }],
      removeVolumes: true,
      start: true,
    });
    for (const key of Object.keys(news)) expect(found).toHaveProperty(key);
  });

  it("accepts unknown values", async () => {
    expect(await check(inputs({ image: unknown }))).toMatchObject({ image: unknown });
  });
});

describe("Create in a preview", () => {
  it("returns the inputs, without ID, and leaves the engine's outputs unknown", async () => {
    const made = await plugin.create(type, "frontend", await check(inputs({ name: "fixed" })), true);
    expect(made.id).toBe("");
    expect(made.properties).toMatchObject({
      attach: false,
      capabilities: { adds: [], drops: ["ALL"] },
      command: unknown,
      entrypoints: unknown,
      envs: ["V=c1"],
      hostname: unknown,
      id: unknown,
      memory: 64,
      name: "fixed",
      networkDatas: unknown,
      ports: [],
      readOnly: true,
    });
  });
});

it("runs with all its options, and a second up is no change", async () => {
  const options = {
    ...{ command: ["600"], entrypoints: ["sleep"], init: false, stopSignal: "SIGQUIT", stopTimeout: 30 },
    ...{ user: "1000:1000", tmpfs: { "/tmp": "", "/scratch": "" }, shmSize: 96, cpus: "0.5" },
    hosts: [
      { host: "db", ip: "192.0.2.7" },
      { host: "engine", ip: "host-gateway" },
    ],
    ...{ dnsSearches: ["release.internal"], dnsOpts: ["ndots:1"], destroyGraceSeconds: 1 },
    ...{ networksAdvanced: undefined, volumes: undefined, wait: undefined, waitTimeout: undefined },
  };
  const life = new Life(plugin, type, "options");
  try {
    expect(await life.up(inputs(options))).toBe("create");
    const id = life.state?.id ?? "";
    const format =
      "{{json .Config.Cmd}} {{json .Config.Entrypoint}} {{.Config.StopSignal}} {{.Config.StopTimeout}} {{.Config.User}} " +
      "{{.HostConfig.ShmSize}} {{.HostConfig.NanoCpus}} {{json .HostConfig.ExtraHosts}} {{json .HostConfig.DnsSearch}}";
    expect(await docker("inspect", "--format", format, id)).toBe(
      `["600"] ["sleep"] SIGQUIT 30 1000:1000 ${96 * 1024 ** 2} 500000000 ` +
        '["db:192.0.2.7","engine:host-gateway"] ["release.internal"]',
    );
    expect(await life.up(inputs(options))).toBe("same");
    await life.refresh();
    expect(await life.up(inputs(options))).toBe("same");
  } finally {
    await life.destroy();
  }
});

describe("a network, a volume and a container", () => {
  let net: Life;
  let data: Life;
  let frontend: Life;
  const netInputs: Props = { labels, name: `${mark}-net` };
  const dataInputs: Props = { labels, name: `${mark}-data` };

  beforeAll(() => {
    net = new Life(plugin, networkType, "net");
    data = new Life(plugin, volumeType, "data");
    frontend = new Life(plugin, type, "frontend");
  });

  it("are created, with the engine's outputs", async () => {
    expect(await net.up(netInputs)).toBe("create");
    expect(await data.up(dataInputs)).toBe("create");
    expect(await frontend.up(inputs())).toBe("create");
    expect(net.state).toMatchObject({
      id: await docker("network", "inspect", "--format", "{{.Id}}", `${mark}-net`),
      properties: {
        attachable: false,
        driver: "bridge",
        internal: false,
        ipamDriver: "default",
        labels,
        scope: "local",
      },
    });
    expect(data.state).toMatchObject({
      id: `${mark}-data`,
      properties: { driver: "local", labels, mountpoint: expect.stringContaining(`${mark}-data`) },
    });
    const { id = "", properties } = frontend.state ?? {};
    expect(properties).toMatchObject({
      bridge: "",
      command: ["sleep", "600"],
      entrypoints: [],
      hostname: id.slice(0, 12),
      id,
      image,
      ipcMode: "private",
      memory: 64,
      memorySwap: 64,
      mustRun: true,
      networkDatas: [{ networkName: `${mark}-net`, ipAddress: expect.stringMatching(/^\d+\./) }],
      networkMode: "bridge",
      networksAdvanced: [{ aliases: ["frontend"], name: `${mark}-net` }],
      platform: "linux",
      readOnly: true,
      runtime: "runc",
      volumes: [{ containerPath: "/data", hostPath: "", volumeName: `${mark}-data` }],
    });
    const found = JSON.parse(await docker("inspect", id))[0];
    expect(found.HostConfig).toMatchObject({
      Binds: [`${mark}-data:/data:rw`],
      CapDrop: ["ALL"],
      Init: true,
      LogConfig: { Type: "json-file", Config: { "max-size": "10m" } },
      Memory: 64 * 1024 * 1024,
      MemorySwap: 64 * 1024 * 1024,
      ReadonlyRootfs: true,
      RestartPolicy: { Name: "unless-stopped" },
      SecurityOpt: ["no-new-privileges:true"],
      Tmpfs: { "/tmp": "" },
    });
    expect(Object.keys(found.NetworkSettings.Networks)).toEqual([`${mark}-net`]);
  });

  it("a second up changes nothing, before and after a refresh", async () => {
    for (const refresh of [false, true]) {
      if (refresh) for (const each of [net, data, frontend]) expect(await each.refresh()).toBeDefined();
      expect(await net.up(netInputs)).toBe("same");
      expect(await data.up(dataInputs)).toBe("same");
      expect(await frontend.up(inputs())).toBe("same");
    }
  });

  const cases: [string, { [key: string]: Props[string] | undefined }, Record<string, string>][] = [
    ["an environment variable", { envs: ["V=c2"] }, { "envs[0]": "UPDATE_REPLACE" }],
    [
      "a label",
      { labels: [...labels, { label: "service", value: "x" }] },
      { "labels[1].value": "UPDATE_REPLACE" },
    ],
    ["the name", { name: "other" }, { name: "UPDATE_REPLACE" }],
    ["the image", { image: "sha256:0" }, { image: "UPDATE_REPLACE" }],
    ["an image that is not known yet", { image: unknown }, { image: "UPDATE_REPLACE" }],
    ["a root that may be written", { readOnly: false }, { readOnly: "UPDATE_REPLACE" }],
    ["a file", { uploads: [{ content: "key=1", file: "/etc/app.conf" }] }, { uploads: "ADD_REPLACE" }],
    ["a port", { ports: [{ internal: 80, external: 8080, ip: "127.0.0.1" }] }, { ports: "ADD_REPLACE" }],
    [
      "a network that is being replaced",
      { networksAdvanced: [{ aliases: ["frontend"], name: unknown }] },
      { networksAdvanced: "UPDATE_REPLACE" },
    ],
    [
      "only the health check",
      {
        healthcheck: {
          tests: ["CMD-SHELL", "exit 1"],
          interval: "1s",
          timeout: "3s",
          retries: 3,
          startPeriod: "1s",
        },
      },
      { "healthcheck.tests[1]": "UPDATE" },
    ],
    ["a set in another order", { labels: [{ label: "service", value: "frontend" }, ...labels] }, {}],
  ];

  it.each(cases)("Diff of %s", async (_, change, detailedDiff) => {
    const { diff } = await frontend.plan(inputs(change));
    const replaces = Object.keys(detailedDiff).filter((path) => detailedDiff[path]?.endsWith("_REPLACE"));
    const top = (path: string): string => path.split(/[.[]/, 1)[0] ?? "";
    const wanted: Diff = {
      changes: Object.keys(detailedDiff).length > 0 ? "DIFF_SOME" : "DIFF_NONE",
      detailedDiff,
      diffs: Object.keys(detailedDiff).map(top),
      replaces: replaces.map(top),
      // Whatever the name: the plugin always asks for it.
      deleteBeforeReplace: replaces.length > 0,
      hasDetailedDiff: true,
    };
    expect(diff).toEqual(wanted);
  });

  it("memory without memorySwap is a change at the next up, and after each refresh", async () => {
    const news = inputs({ memorySwap: undefined });
    const other = new Life(plugin, type, "greedy");
    expect(await other.up(news)).toBe("create");
    expect(other.state?.properties).toMatchObject({ memory: 64, memorySwap: 128 });
    for (let up = 0; up < 2; up++) {
      expect((await other.plan(news)).diff?.diffs).toEqual(["memorySwap"]);
      expect(await other.up(news)).toBe("update");
      expect(await other.up(news)).toBe("same");
      await other.refresh();
    }
    await other.destroy();
  });

  it("a refresh notices that it was stopped, and the next up starts it", async () => {
    const id = frontend.state?.id ?? "";
    await docker("stop", "--time", "1", id);
    expect((await frontend.refresh())?.properties).toMatchObject({
      mustRun: false,
      exitCode: expect.any(Number),
    });
    expect(frontend.state?.inputs.mustRun).toBe(false);
    expect((await frontend.plan(inputs())).diff?.detailedDiff).toEqual({ mustRun: "UPDATE" });
    expect(await frontend.up(inputs())).toBe("update");
    expect(frontend.state?.properties.mustRun).toBe(true);
    expect(await running(id)).toBe("true");
  });

  it("a refresh reads a capability as the engine writes it: without CAP_ it is replaced, with it unchanged", async () => {
    const asks = (capability: string) => inputs({ capabilities: { adds: [capability], drops: ["ALL"] } });
    const other = new Life(plugin, type, "capable");
    await other.up(asks("NET_BIND_SERVICE"));
    expect(await other.up(asks("NET_BIND_SERVICE"))).toBe("same");
    await other.refresh();
    expect(other.state).toMatchObject({
      inputs: { capabilities: { adds: ["CAP_NET_BIND_SERVICE"], drops: ["ALL"] } },
      properties: { capabilities: { adds: ["CAP_NET_BIND_SERVICE"], drops: ["ALL"] } },
    });
    expect((await other.plan(asks("NET_BIND_SERVICE"))).diff?.detailedDiff).toEqual({
      "capabilities.adds[0]": "UPDATE_REPLACE",
    });
    expect((await other.plan(asks("CAP_NET_BIND_SERVICE"))).diff?.changes).toBe("DIFF_NONE");
    await other.destroy();
  });

  it("a stopped container with a published port is replaced after a refresh", async () => {
    const publishes = inputs({ ports: [{ internal: 80, ip: "127.0.0.1" }] });
    const other = new Life(plugin, type, "publishing");
    await other.up(publishes);
    await other.refresh();
    expect(await other.up(publishes)).toBe("same");
    await docker("stop", "--time", "1", other.state?.id ?? "");
    await other.refresh();
    expect((await other.plan(publishes)).diff?.detailedDiff).toEqual({
      mustRun: "UPDATE",
      ports: "ADD_REPLACE",
    });
    await other.destroy();
  });

  it("only a refresh notices a removed container; then it is created again", async () => {
    await docker("rm", "-f", frontend.state?.id ?? "");
    expect(await frontend.up(inputs())).toBe("same");
    expect(await frontend.refresh()).toBeUndefined();
    expect(await frontend.up(inputs())).toBe("create");
  });

  it("a changed restart policy is applied to the running container", async () => {
    const before = frontend.state?.id ?? "";
    expect(await frontend.up(inputs({ restart: "always" }))).toBe("update");
    expect(frontend.state).toMatchObject({ id: before, properties: { restart: "always" } });
    expect(await docker("inspect", "--format", "{{.HostConfig.RestartPolicy.Name}}", before)).toBe("always");
  });

  it("a file is uploaded, except with a read-only root", async () => {
    const uploads = [{ content: "key=1\n", file: "/etc/app.conf" }];
    expect(await frontend.up(inputs({ readOnly: false, uploads }))).toBe("replace");
    expect(await docker("exec", frontend.state?.id ?? "", "cat", "/etc/app.conf")).toBe("key=1");
    const other = new Life(plugin, type, "sealed");
    const error = await failure(other.up(inputs({ uploads })));
    expect(error.message).toContain("container rootfs is marked read-only");
    await other.destroy();
  });

  it("another label replaces a network", async () => {
    const { diff } = await net.plan({ ...netInputs, labels: [{ label: "contract", value: "other" }] });
    expect(diff).toMatchObject({ replaces: ["labels"], deleteBeforeReplace: true, diffs: ["labels"] });
    expect(diff?.detailedDiff).toEqual({ "labels[0].value": "UPDATE_REPLACE" });
  });

  it("are destroyed in reverse order, and nothing is left", async () => {
    const ids = [frontend, net].map(({ state }) => state?.id ?? "");
    for (const each of [frontend, data, net]) await each.destroy();
    for (const id of ids) await expect(docker("inspect", id)).rejects.toThrow("No such object");
    await expect(docker("volume", "inspect", `${mark}-data`)).rejects.toThrow(/no such volume/i);
  });
});

describe("a container that does not start", () => {
  const plain = { networksAdvanced: undefined, volumes: undefined, memory: undefined, memorySwap: undefined };
  const name = `${mark}-fixed`;
  const sick = { tests: ["CMD-SHELL", "exit 1"], interval: "500ms", timeout: "3s", retries: 1 };

  it("an unhealthy container fails, still exists, and blocks its fixed name", async () => {
    const life = new Life(plugin, type, "frontend", false);
    const error = await failure(life.up(inputs({ ...plain, name, healthcheck: sick, waitTimeout: 1 })));
    const reason = "1 error occurred:\n\t* container failed to be in healthy state\n\n";
    expect(error.message).toBe(`creating ${urnOf(type, "frontend")}: ${reason}`);
    expect(error.partial?.reasons).toEqual([error.message]);
    expect(error.partial?.properties).toMatchObject({
      id: error.partial?.id,
      name,
      envs: ["V=c1"],
      attach: false,
    });
    for (const key of ["command", "entrypoints", "networkDatas", "hostname"]) {
      expect(error.partial?.properties[key] ?? undefined).toBeUndefined();
    }
    const id = error.partial?.id ?? "";
    expect(await running(id)).toBe("true");

    const well = inputs({ ...plain, name });
    expect((await life.plan(well)).diff).toMatchObject({
      replaces: ["command", "entrypoints"],
      deleteBeforeReplace: true,
      detailedDiff: { command: "ADD_REPLACE", entrypoints: "ADD_REPLACE", networkDatas: "ADD" },
    });
    const clash = await failure(life.up(well));
    expect(clash.message).toMatch(
      /^1 error occurred:\n\t\* Unable to create container: Error response from daemon: Conflict\./,
    );
    expect(clash.message).toContain(`The container name "/${name}" is already in use by container "${id}"`);
    expect(clash.partial).toBeUndefined();
    life.pending.push(life.state as State);
    await life.destroy();
    await expect(docker("inspect", id)).rejects.toThrow("No such object");
  });

  it("with start false is created and not started, and is unchanged after a manual start", async () => {
    const life = new Life(plugin, type, "frontend");
    const news = inputs({ ...plain, start: false, mustRun: false, wait: undefined, healthcheck: undefined });
    await life.up(news);
    const id = life.state?.id ?? "";
    expect(await docker("inspect", "--format", "{{.State.Status}}", id)).toBe("created");
    await docker("start", id);
    await life.refresh();
    expect(life.state?.properties.mustRun).toBe(false);
    expect(await life.up(news)).toBe("same");
    await docker("stop", "--time", "1", id);
    await life.refresh();
    expect(await life.up(news)).toBe("same");
    await life.destroy();
  });

  it("a port in use fails the start, with the container in the state", async () => {
    const { port, close } = await takenPort();
    const life = new Life(plugin, type, "frontend");
    const ports = [{ internal: 80, external: port, ip: "127.0.0.1" }];
    const error = await failure(life.up(inputs({ ...plain, ports })));
    expect(error.message).toMatch(
      /^creating urn:.*: 1 error occurred:\n\t\* Unable to start container: Error response/,
    );
    expect(error.message).toMatch(/address already in use|port is already allocated/);
    expect(life.state?.id).toMatch(/^[0-9a-f]{64}$/);
    await close();
    expect(await life.up(inputs({ ...plain, ports }))).toBe("replace");
    await life.destroy();
  });

  it("a missing image fails before a container exists", async () => {
    const nowhere = `sha256:${"0".repeat(64)}`;
    const error = await failure(new Life(plugin, type, "frontend").up(inputs({ ...plain, image: nowhere })));
    const pull = `unable to pull image ${nowhere}: error pulling image ${nowhere}: Error response from daemon:`;
    expect(error.message).toContain(`Unable to create container with image ${nowhere}: ${pull}`);
    expect(error.partial).toBeUndefined();
  });

  it("an empty argument of the command fails before a container exists", async () => {
    const error = await failure(
      new Life(plugin, type, "frontend").up(inputs({ ...plain, command: ["echo", ""] })),
    );
    expect(error.message).toContain("values for command may not be empty");
    expect(error.partial).toBeUndefined();
  });

  it("a container that exits at once exists, and is a difference after a refresh", async () => {
    const news = inputs({
      ...plain,
      command: ["true"],
      healthcheck: undefined,
      restart: "no",
      wait: undefined,
      name,
    });
    const life = new Life(plugin, type, "frontend");
    expect(await life.up(news)).toBe("create");
    await docker("wait", name);
    expect((await life.refresh())?.properties).toMatchObject({ mustRun: false, exitCode: 0 });
    expect((await life.plan(news)).diff?.detailedDiff).toEqual({ mustRun: "UPDATE" });
    await life.destroy();
  });
});

describe("the rest of the inputs", () => {
  it("reach the engine", async () => {
    const port = await freePort();
    const life = new Life(plugin, type, "other");
    await life.up({
      capabilities: { adds: ["NET_BIND_SERVICE"], drops: ["ALL"] },
      command: ["600"],
      cpus: "0.5",
      destroyGraceSeconds: 1,
      dns: ["192.0.2.1"],
      entrypoints: ["sleep"],
      envs: ["A=with space", "B=two\nlines"],
      healthcheck: { tests: ["CMD", "true"], interval: "1m30s" },
      hostname: "box",
      hosts: [{ host: "peer", ip: "192.0.2.2" }],
      image,
      labels,
      mounts: [{ type: "tmpfs", target: "/scratch", readOnly: false }],
      ports: [
        { internal: 8080, external: port, ip: "127.0.0.1" },
        { internal: 9090, ip: "127.0.0.1" },
      ],
      stopSignal: "SIGKILL",
      sysctls: { "net.ipv4.ip_unprivileged_port_start": "0" },
      ulimits: [{ name: "nofile", soft: 1024, hard: 2048 }],
      user: "1000:1000",
      workingDir: "/tmp",
    });
    const { id = "", properties } = life.state ?? {};
    const { Config, HostConfig, NetworkSettings } = JSON.parse(await docker("inspect", id))[0];
    expect(Config).toMatchObject({
      Cmd: ["600"],
      Entrypoint: ["sleep"],
      Env: expect.arrayContaining(["A=with space", "B=two\nlines"]),
      Healthcheck: { Test: ["CMD", "true"], Interval: 90e9 },
      Hostname: "box",
      StopSignal: "SIGKILL",
      User: "1000:1000",
      WorkingDir: "/tmp",
    });
    expect(HostConfig).toMatchObject({
      CapAdd: [expect.stringContaining("NET_BIND_SERVICE")],
      Dns: ["192.0.2.1"],
      ExtraHosts: ["peer:192.0.2.2"],
      Mounts: [{ Type: "tmpfs", Target: "/scratch" }],
      NanoCpus: 5e8,
      Sysctls: { "net.ipv4.ip_unprivileged_port_start": "0" },
      Ulimits: [{ Name: "nofile", Soft: 1024, Hard: 2048 }],
    });
    const chosen = Number(NetworkSettings.Ports["9090/tcp"][0].HostPort);
    expect(properties?.ports).toMatchObject([{ external: port }, { external: chosen, internal: 9090 }]);
    expect((await life.plan(life.state?.inputs ?? {})).diff?.changes).toBe("DIFF_NONE");
    await life.destroy();
  });
});
