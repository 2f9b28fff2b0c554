/** The contract of docker.Service, docker.Secret and an overlay docker.Network, from the series service-*. */

import { afterAll, beforeAll, describe, expect, it, jest } from "@jest/globals";
import execa from "execa";
import { stopCommand } from "../../components/run/swarmStop";
import { freePort } from "../support/stack";
import { TestSwarm, until } from "../support/swarm";
import { Life, Plugin, type Props, urnOf } from "./client";
import { cleanUp, failure, mark, removeMarked, sleepingImage } from "./world";

jest.setTimeout(120_000);

const type = "docker:index/service:Service";
const networkType = "docker:index/network:Network";
const secretType = "docker:index/secret:Secret";
const unknown = "04da6b54-80e4-46f7-96ec-b56ff0331ba9";

let swarm: TestSwarm;
let plugin: Plugin;
let net: Life;
let image: string;

beforeAll(async () => {
  image = await sleepingImage();
  swarm = await TestSwarm.start(1);
  await swarm.load([image]);
  plugin = await Plugin.start("docker", { config: { host: swarm.manager.host } });
  net = new Life(plugin, networkType, "net");
});
afterAll(async () => {
  await plugin?.stop();
  await swarm?.remove();
  await removeMarked();
  await cleanUp();
});

/** A port of each node, as a service asks for it. */
const published = { protocol: "tcp", publishMode: "host", targetPort: 80 };

type Change = { [key: string]: Props[string] | undefined };

/** The inputs of the series, with what a case says otherwise of the container and of the service. */
function inputs(container: Change = {}, service: Change = {}): Props {
  const { restartPolicy, ...others } = service;
  const all = {
    convergeConfig: { delay: "1s", timeout: "60s" },
    endpointSpec: { mode: "dnsrr" },
    labels: [{ label: "service", value: "frontend" }],
    mode: { replicated: { replicas: 2 } },
    name: `${mark}-frontend`,
    rollbackConfig: {
      ...{ delay: "0s", failureAction: "pause", maxFailureRatio: "0.0", monitor: "1s" },
      ...{ order: "start-first", parallelism: 1 },
    },
    taskSpec: {
      containerSpec: defined({
        env: { V: "c1" },
        healthcheck: {
          ...{ interval: "500ms", retries: 2, startPeriod: "500ms" },
          ...{ tests: ["CMD-SHELL", "exit 0"], timeout: "3s" },
        },
        image,
        init: true,
        // The plugin waits no longer than this for containers to be removed, which takes a Swarm some seconds.
        stopGracePeriod: "20s",
        ...container,
      }),
      networksAdvanceds: [{ aliases: ["frontend"], id: net.state?.id ?? unknown }],
      restartPolicy: restartPolicy ?? { condition: "any", delay: "1s" },
    },
    updateConfig: {
      ...{ delay: "0s", failureAction: "rollback", maxFailureRatio: "0.0", monitor: "2s" },
      ...{ order: "start-first", parallelism: 1 },
    },
    ...others,
  };
  return defined(all);
}

function defined(props: Change): Props {
  return Object.fromEntries(Object.entries(props).filter(([, value]) => value !== undefined)) as Props;
}

/** The V of each of the service's containers. */
async function tasks(): Promise<string[]> {
  const containers = await swarm.manager.docker("ps", "--quiet", "--filter", `name=${mark}-frontend.`);
  const ids = containers.split("\n").filter((id) => id !== "");
  const env = await Promise.all(
    ids.map((id) => swarm.manager.docker("inspect", "--format", "{{json .Config.Env}}", id)),
  );
  return env.flatMap((list) => (JSON.parse(list) as string[]).filter((each) => each.startsWith("V=")));
}

/** A rolling update is over when the new tasks run: the last of the old ones may still be going. */
const becomes = (...wanted: string[]) =>
  until(`tasks ${wanted}`, async () => `${(await tasks()).sort()}` === `${wanted}`);

describe("Check of a service", () => {
  it("marks defaults at every depth", async () => {
    const found = await plugin.check(type, "frontend", {}, inputs({}, { updateConfig: {} }));
    expect(found).toMatchObject({
      __defaults: [],
      convergeConfig: { __defaults: [], timeout: "60s" },
      labels: [{ __defaults: [], label: "service" }],
      mode: { __defaults: [], replicated: { __defaults: [], replicas: 2 } },
      taskSpec: {
        __defaults: [],
        containerSpec: { __defaults: ["isolation"], env: { V: "c1" }, isolation: "default" },
        networksAdvanceds: [{ __defaults: [], aliases: ["frontend"] }],
      },
      updateConfig: {
        __defaults: ["delay", "failureAction", "maxFailureRatio", "monitor", "order", "parallelism"],
        ...{ failureAction: "pause", monitor: "5s", order: "stop-first", parallelism: 1 },
      },
    });
    expect((found.taskSpec as { containerSpec: Props }).containerSpec.env).toEqual({ V: "c1" });
  });

  it("generates a missing name", async () => {
    const found = await plugin.check(type, "frontend", {}, inputs({}, { name: undefined }));
    expect(found).toMatchObject({
      __defaults: ["name"],
      name: expect.stringMatching(/^frontend-[0-9a-f]{7}$/),
    });
  });

  it("refuses inputs that the stand-in does not support, by path", async () => {
    const checked = plugin.check(type, "frontend", {}, inputs({ hosts: [] }, { secret: "x" }));
    const isOfficial = await checked.then(
      () => true,
      () => false,
    );
    // The official plugin has no such input either.
    if (!isOfficial) await expect(checked).rejects.toThrow(/^secret: the stand-in|unknown key/);
  });
});

describe("Create of a service in a preview", () => {
  it("leaves the engine's outputs unknown", async () => {
    const made = await plugin.create(type, "frontend", inputs(), true);
    expect(made).toMatchObject({
      id: "",
      properties: {
        id: unknown,
        mode: { global: false, replicated: { replicas: 2 } },
        endpointSpec: { mode: "dnsrr", ports: [] },
        taskSpec: { forceUpdate: unknown, placement: unknown, resources: unknown, runtime: unknown },
      },
    });
  });
});

describe("an overlay network, a secret and a service", () => {
  let frontend: Life;
  let secret: Life;

  it("are created, and the service converges", async () => {
    const overlay = { attachable: true, driver: "overlay", name: `${mark}-overlay` };
    expect(await net.up(overlay)).toBe("create");
    expect(net.state?.properties).toMatchObject({
      ...overlay,
      ...{ internal: false, ipamDriver: "default", scope: "swarm" },
    });
    expect(await net.up(overlay)).toBe("same");
    secret = new Life(plugin, secretType, "key");
    const data = Buffer.from("open sesame").toString("base64");
    expect(await secret.up({ name: `${mark}-key`, data })).toBe("create");
    expect(await secret.up({ name: `${mark}-key`, data })).toBe("same");
    frontend = new Life(plugin, type, "frontend");
    expect(await frontend.up(withSecret())).toBe("create");
    expect(frontend.state?.properties).toMatchObject({
      mode: { global: false, replicated: { replicas: 2 } },
      taskSpec: {
        containerSpec: { image, init: true },
        forceUpdate: 0,
        networksAdvanceds: [{ aliases: ["frontend"], driverOpts: [], id: net.state?.id, name: "" }],
        restartPolicy: { condition: "any", delay: "1s", maxAttempts: 0, window: "0s" },
        runtime: "container",
      },
    });
    expect(await tasks()).toEqual(["V=c1", "V=c1"]);
    const [id] = (await swarm.manager.docker("ps", "--quiet")).split("\n");
    expect(await swarm.manager.docker("exec", id!, "cat", "/run/secrets/KEY")).toBe("open sesame");
  });

  function withSecret(container: Change = {}, service: Change = {}): Props {
    const of = { fileName: "KEY", secretId: secret.state!.id, secretName: `${mark}-key` };
    return inputs({ secrets: [of], ...container }, service);
  }

  it("a second up is a change of an unset sysctl and window", async () => {
    const { diff } = await frontend.plan(withSecret());
    expect(diff).toMatchObject({
      ...{ changes: "DIFF_SOME", diffs: ["taskSpec"], replaces: [], deleteBeforeReplace: false },
      detailedDiff: {
        "taskSpec.containerSpec.sysctl": "ADD",
        "taskSpec.restartPolicy.window": "DELETE",
      },
    });
    expect(await frontend.up(withSecret())).toBe("update");
    expect((await frontend.plan(withSecret())).diff?.detailedDiff).toEqual({
      "taskSpec.restartPolicy.window": "DELETE",
    });
  });

  /** What avoids it: a sysctl that every engine sets anyway, and the window that means none. */
  const quiet = (container: Change = {}, service: Change = {}) =>
    withSecret(
      { sysctl: { "net.ipv4.ip_unprivileged_port_start": "0" }, ...container },
      { restartPolicy: { condition: "any", delay: "1s", window: "0s" }, ...service },
    );

  it("a sysctl that is added later replaces the service", async () => {
    expect((await frontend.plan(quiet())).diff).toMatchObject({
      ...{ replaces: ["taskSpec"], deleteBeforeReplace: true },
      detailedDiff: { 'taskSpec.containerSpec.sysctl["net.ipv4.ip_unprivileged_port_start"]': "ADD_REPLACE" },
    });
  });

  it("with both set, a second up changes nothing, before and after a refresh", async () => {
    expect(await frontend.up(quiet())).toBe("replace");
    expect(await frontend.up(quiet())).toBe("same");
    expect(await frontend.refresh()).toBeDefined();
    expect(await frontend.up(quiet())).toBe("same");
  });

  const cases: [string, () => Props, Record<string, string>, string[]][] = [
    ["env", () => quiet({ env: { V: "c2" } }), { "taskSpec.containerSpec.env.V": "UPDATE" }, []],
    [
      "replicas",
      () => quiet({}, { mode: { replicated: { replicas: 3 } } }),
      { "mode.replicated.replicas": "UPDATE" },
      [],
    ],
    ["another name", () => quiet({}, { name: "other" }), { name: "UPDATE_REPLACE" }, ["name"]],
    [
      "a container's label",
      () => quiet({ labels: [{ label: "a", value: "b" }] }),
      { "taskSpec.containerSpec.labels": "ADD_REPLACE" },
      ["taskSpec"],
    ],
    ["an unknown image", () => quiet({ image: unknown }), { "taskSpec.containerSpec.image": "UPDATE" }, []],
  ];
  it.each(cases)("Diff of %s", async (_, news, detailedDiff, replaces) => {
    const { diff } = await frontend.plan(news());
    expect(diff).toMatchObject({ changes: "DIFF_SOME", detailedDiff, replaces });
    // Two services cannot have one name: with one that was given, the old one goes first.
    expect(diff?.deleteBeforeReplace).toBe(replaces.length > 0);
  });

  it("a network by name differs after a refresh and replaces the service", async () => {
    const named = (): Props => {
      const { taskSpec, ...others } = quiet({}, { name: `${mark}-named` });
      const networksAdvanceds = [{ aliases: ["named"], name: net.state!.id }];
      return { ...others, taskSpec: { ...(taskSpec as Props), networksAdvanceds } };
    };
    const other = new Life(plugin, type, "named");
    await other.up(named());
    expect(await other.up(named())).toBe("same");
    await other.refresh();
    expect((await other.plan(named())).diff).toMatchObject({
      ...{ diffs: ["__meta", "taskSpec"], replaces: ["__meta"], deleteBeforeReplace: true },
      detailedDiff: { __meta: "UPDATE_REPLACE", "taskSpec.networksAdvanceds": "UPDATE" },
    });
    await other.destroy();
  });

  it("a changed env rolls the service, a changed number of replicas converges", async () => {
    expect(await frontend.up(quiet({ env: { V: "c2" } }))).toBe("update");
    await becomes("V=c2", "V=c2");
    const three = { mode: { replicated: { replicas: 3 } } };
    expect(await frontend.up(quiet({ env: { V: "c2" } }, three))).toBe("update");
    await becomes("V=c2", "V=c2", "V=c2");
    expect(await frontend.up(quiet({ env: { V: "c2" } }))).toBe("update");
    await becomes("V=c2", "V=c2");
  });

  it("an unhealthy version is rolled back and reported, and the next up tries it again", async () => {
    const sick = { interval: "500ms", retries: 1, tests: ["CMD-SHELL", "exit 1"], timeout: "3s" };
    const error = await failure(frontend.up(quiet({ env: { V: "c3" }, healthcheck: sick })));
    const reason = "1 error occurred:\n\t* service rollback completed: rollback completed\n\n";
    expect(error.message).toBe(`updating ${urnOf(type, "frontend")}: ${reason}`);
    expect(error.partial).toMatchObject({
      reasons: [error.message],
      properties: { taskSpec: { containerSpec: { env: { V: "c3" } } } },
    });
    await becomes("V=c2", "V=c2");
    frontend.state = { ...error.partial!, inputs: quiet({ env: { V: "c3" }, healthcheck: sick }) };
    expect(await frontend.up(quiet({ env: { V: "c3" } }))).toBe("update");
    await becomes("V=c3", "V=c3");
  });

  it("a service that never becomes healthy is removed", async () => {
    const sick = { interval: "300ms", retries: 1, tests: ["CMD-SHELL", "exit 1"], timeout: "3s" };
    const other = new Life(plugin, type, "sick");
    const never = quiet(
      { healthcheck: sick },
      { name: undefined, convergeConfig: { delay: "1s", timeout: "4s" } },
    );
    const error = await failure(other.up(never));
    expect(error.message).toMatch(
      /^1 error occurred:\n\t\* Service with ID \(\w+\) did not converge after 4s/,
    );
    expect(error.partial).toBeUndefined();
    const names = await swarm.manager.docker("service", "ls", "--format", "{{.Name}}");
    expect(names).toBe(`${mark}-frontend`);
  });

  it("whole minutes have no seconds in the state and are no change, before and after a refresh", async () => {
    const check = { interval: "500ms", retries: 2, tests: ["CMD-SHELL", "exit 0"], timeout: "3s" };
    const starting = (startPeriod: string) =>
      quiet({ healthcheck: { ...check, startPeriod } }, { name: undefined });
    const other = new Life(plugin, type, "slow");
    await other.up(starting("1m"));
    expect(await other.up(starting("1m"))).toBe("same");
    expect((await other.plan(starting("1m0s"))).diff?.detailedDiff).toEqual({
      "taskSpec.containerSpec.healthcheck.startPeriod": "UPDATE",
    });
    await other.refresh();
    expect(await other.up(starting("1m"))).toBe("same");
    await other.destroy();
  });

  it("the removal of a service that ignores SIGTERM fails although the service is gone, and later tries do not find it", async () => {
    const rude = ["sh", "-c", "trap '' TERM; while :; do sleep 1; done"];
    const other = new Life(plugin, type, "rude");
    await other.up(quiet({ commands: rude, stopGracePeriod: "2s" }, { name: undefined }));
    expect((await failure(other.destroy())).message).toContain("context deadline exceeded");
    expect((await failure(other.destroy())).message).toMatch(/service \S+ not found/);
    expect(await other.refresh()).toBeUndefined();
  });

  it("the same service is removed once its tasks have ended", async () => {
    const rude = ["sh", "-c", "trap '' TERM; while :; do sleep 1; done"];
    const other = new Life(plugin, type, "rude");
    await other.up(quiet({ commands: rude, stopGracePeriod: "2s" }, { name: undefined }));
    const env = { ...process.env, DOCKER_HOST: swarm.manager.host };
    await execa("sh", ["-c", stopCommand(other.state!.id)], { env });
    await other.destroy();
    // Ending a missing service is no failure.
    await execa("sh", ["-c", stopCommand("gone")], { env });
  });

  it("a global service with a host port reads back as declared", async () => {
    const port = await freePort();
    const {
      taskSpec,
      convergeConfig: _,
      ...others
    } = quiet(
      {
        ...{ capAdds: ["CAP_NET_BIND_SERVICE"], commands: ["sh", "-c", "exec sleep 600"] },
        mounts: [{ type: "volume", source: `${mark}-kept`, target: "/kept" }],
      },
      {
        ...{ name: `${mark}-everywhere`, mode: { global: true } },
        endpointSpec: { mode: "dnsrr", ports: [{ ...published, publishedPort: port }] },
      },
    );
    const chosen = (constraint: string): Props => ({
      ...{ ...others, taskSpec: { ...(taskSpec as Props), placement: { constraints: [constraint] } } },
    });
    const everywhere = new Life(plugin, type, "everywhere");
    // A service that fits no node fails while the plugin waits: the official plugin cannot know how many nodes it fits.
    expect(await everywhere.up(chosen("node.role==worker"))).toBe("create");
    expect(await everywhere.up(chosen("node.role==manager"))).toBe("update");
    expect(everywhere.state?.properties).toMatchObject({
      mode: { global: true },
      endpointSpec: { mode: "dnsrr", ports: [{ ...published, publishedPort: port }] },
      taskSpec: { placement: { constraints: ["node.role==manager"] } },
    });
    const container = async () =>
      swarm.manager.docker("ps", "--quiet", "--filter", `name=${mark}-everywhere.`);
    await until("a task", async () => (await container()) !== "");
    const ports = await swarm.manager.docker("port", await container());
    expect(ports).toContain(`80/tcp -> 0.0.0.0:${port}`);
    const format = "{{range .Mounts}}{{.Name}} {{.Destination}}{{end}}";
    expect(await swarm.manager.docker("inspect", "--format", format, await container())).toBe(
      `${mark}-kept /kept`,
    );
    expect(await everywhere.up(chosen("node.role==manager"))).toBe("same");
    await everywhere.refresh();
    expect(await everywhere.up(chosen("node.role==manager"))).toBe("same");
    await everywhere.destroy();
  });

  it("run with all their options, and a second up is no change", async () => {
    const { taskSpec, ...others } = inputs(
      {
        ...{ args: ["600"], commands: ["sleep"], user: "1000", stopSignal: "SIGQUIT", stopGracePeriod: "1m" },
        dnsConfig: { nameservers: [], searches: ["release.internal"], options: ["ndots:1"] },
        hosts: [{ host: "db", ip: "192.0.2.7" }],
        mounts: [
          { type: "tmpfs", target: "/scratch" },
          { type: "tmpfs", target: "/dev/shm", tmpfsOptions: { sizeBytes: 96 * 1024 ** 2, mode: 0o777 } },
        ],
        sysctl: { "net.ipv4.ip_unprivileged_port_start": "0" },
      },
      { name: `${mark}-options`, mode: { replicated: { replicas: 1 } } },
    );
    const all = {
      ...others,
      taskSpec: { ...(taskSpec as Props), restartPolicy: { condition: "any", delay: "1s", window: "0s" } },
    };
    const life = new Life(plugin, type, "options");
    expect(await life.up(all)).toBe("create");
    const [id] = (await swarm.manager.docker("ps", "--quiet", "--filter", `name=${mark}-options.`)).split(
      "\n",
    );
    const run = (...command: string[]) => swarm.manager.docker("exec", id!, ...command);
    expect(await run("cat", "/etc/resolv.conf")).toMatch(/search release\.internal[\s\S]*ndots:1/);
    expect(await run("cat", "/etc/hosts")).toMatch(/192\.0\.2\.7\s+db/);
    expect(await run("cat", "/proc/mounts")).toMatch(/ \/dev\/shm tmpfs .*size=98304k/);
    expect(await run("id", "-u")).toBe("1000");
    expect(await life.up(all)).toBe("same");
    await life.refresh();
    expect(await life.up(all)).toBe("same");
    // The plugin would wait for the whole stop grace period: `sleep` as process 1 does not end by its signal.
    await swarm.manager.docker("service", "rm", `${mark}-options`);
  });

  it("are destroyed, and only a refresh notices a removed service", async () => {
    await swarm.manager.docker("service", "rm", `${mark}-frontend`);
    expect(await frontend.refresh()).toBeUndefined();
    expect(await frontend.up(quiet())).toBe("create");
    await frontend.destroy();
    await secret.destroy();
    await net.destroy();
    expect(await swarm.manager.docker("service", "ls", "--quiet")).toBe("");
    expect(await swarm.manager.docker("secret", "ls", "--quiet")).toBe("");
    expect(await swarm.manager.docker("network", "ls", "--quiet", "--filter", `name=${mark}`)).toBe("");
  });
});
