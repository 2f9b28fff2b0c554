import { afterAll, beforeAll, describe, expect, it, jest } from "@jest/globals";
import { TestSwarm, until } from "../support/swarm";

jest.setTimeout(180_000);

const PORT = 8080;
let swarm: TestSwarm;

beforeAll(async () => {
  swarm = await TestSwarm.start(3);
});
afterAll(() => swarm?.remove());

/** What a node's published port answers; empty where it does not. */
async function answer(address: string): Promise<string> {
  const options = { signal: AbortSignal.timeout(2_000) };
  return fetch(`http://${address}:${PORT}`, options).then(
    (response) => response.text(),
    () => "",
  );
}

const statuses = () => swarm.manager.docker("node", "ls", "--format", "{{.Hostname}} {{.Status}}");

describe("the Swarm of the tests", () => {
  it("has three nodes that are ready, each by a name and an address of its own", async () => {
    const ready = swarm.nodes.map(({ name }) => `${name} Ready`);
    expect((await statuses()).split("\n").sort()).toEqual(ready.sort());
    expect(new Set(swarm.nodes.map(({ address }) => address)).size).toBe(3);
  });

  it("runs a service on all of them, each pulling it from the registry", async () => {
    const [image] = await swarm.publish(["caddy:2.11"]);
    expect(image).toContain(swarm.registry);
    await swarm.manager.docker("network", "create", "--driver", "overlay", "--attachable", "bed");
    const where = ["--mode", "global", "--endpoint-mode", "dnsrr", "--network", "bed"];
    const ports = ["--publish", `mode=host,target=80,published=${PORT}`];
    const run = ["caddy", "respond", "--listen", ":80", "here"];
    const options = ["--detach", "--quiet", "--name", "web", ...where, ...ports];
    await swarm.manager.docker("service", "create", ...options, image!, ...run);
    for (const { address } of swarm.nodes)
      await until(`an answer of ${address}`, async () => (await answer(address)) === "here");
  });
});
