import { afterAll, beforeAll, describe, expect, it, jest } from "@jest/globals";
import { TestApp } from "../support/app";
import { FULL } from "../support/matrix";
import { OpenLoad } from "../support/openLoad";
import { freePort, TestStack } from "../support/stack";
import { TestSwarm, until } from "../support/swarm";

jest.setTimeout(400_000);

/** As the form has it: all of it in full, what shows the same in CI. */
const REPLICAS = FULL ? 6 : 3;
const RATE = 200;
const SICK = 'import sys\nsys.exit("this version does not start")\n';

let swarm: TestSwarm;
let app: TestApp;
let stack: TestStack;
let listen: string;
let url: string;
let commit: string;

beforeAll(async () => {
  app = await TestApp.create();
  swarm = await TestSwarm.start(3);
  await swarm.load(["python:3.11-slim-bookworm", "caddy:2.11"]);
  const port = await freePort();
  listen = `0.0.0.0:${port}`;
  url = `http://${swarm.manager.address}:${port}`;
  stack = await TestStack.create(settings(), { DOCKER_HOST: swarm.manager.host });
});
afterAll(async () => {
  await stack?.remove();
  app?.remove();
  await swarm?.remove();
});

function settings(replicas = REPLICAS, others: Record<string, unknown> = onSwarm()) {
  const service = { replicas, startSeconds: 10 };
  const services = { frontend: service, backend: { ...service, secretEnv: { TOKEN: "open sesame" } } };
  return { source: app.folder, listen, publicUrl: url, services, ...others };
}

function onSwarm() {
  const registry = { address: swarm.registry, user: "test" };
  return { cluster: "swarm", registry, registryPassword: "test" };
}

async function deploys(): Promise<Readonly<Record<string, string>>> {
  const outcome = await stack.up();
  expect(outcome.ok ? "" : outcome.said).toBe("");
  return outcome.changes;
}

/** What is asked for while the work goes on, and what came of it. */
async function underLoad(work: () => Promise<unknown>): Promise<{ asked: number; failed: string[] }> {
  const load = new OpenLoad(url, RATE);
  await work();
  const samples = await load.stop();
  const failed = samples.filter(({ body }) => body === undefined).map(({ failure }) => failure);
  return { asked: samples.length, failed };
}

const served = async () => {
  const answer = await fetch(`${url}/.freshness/frontend`, { signal: AbortSignal.timeout(5_000) });
  return ((await answer.json()) as { commit: string }).commit;
};

/** Node → how many containers of a service of the stack's newest release run there. */
async function spread(service: string): Promise<Record<string, number>> {
  const filters = ["--filter", `label=watch-party.stack=${stack.name}`];
  const named = ["--filter", `label=watch-party.service=${service}`];
  const ids = await swarm.manager.docker("service", "ls", "--quiet", ...filters, ...named);
  const running = ["--filter", "desired-state=running", "--format", "{{.Node}}"];
  const nodes = await swarm.manager.docker("service", "ps", ...running, ...ids.split("\n"));
  const counts: Record<string, number> = {};
  for (const node of nodes.split("\n")) counts[node] = (counts[node] ?? 0) + 1;
  return counts;
}

describe("a stack on three nodes", () => {
  it("is deployed to all of them, and every replica is proven", async () => {
    commit = await app.git("rev-parse", "HEAD");
    await deploys();
    expect(await served()).toBe(commit);
    expect(Object.keys(await spread("frontend"))).toHaveLength(3);
    const { freshness } = await stack.outputs();
    const { links } = freshness as { links: { service: string; found: string; evidence: string }[] };
    const evidence = links.filter(({ service }) => service === "frontend").map((link) => link.evidence);
    const names = swarm.nodes.map(({ name }) => name).sort();
    expect(evidence).toContainEqual(expect.stringContaining(`tasks on ${names.join(", ")}`));
    expect(evidence).toContainEqual(expect.stringContaining(`asked ${REPLICAS} times`));
  });

  it("gives its secrets to tasks alone, as the variables that they are on one engine", async () => {
    const label = ["--filter", `label=watch-party.stack=${stack.name}`];
    const ids = (await swarm.manager.docker("service", "ls", "--quiet", ...label)).split("\n");
    expect(await swarm.manager.docker("service", "inspect", ...ids)).not.toContain("open sesame");
    const name = "name=backend-";
    const [container] = (await swarm.manager.docker("ps", "--quiet", "--filter", name)).split("\n");
    const environment = "cat /proc/*/environ | tr '\\0' '\\n'";
    expect(await swarm.manager.docker("exec", container!, "sh", "-c", environment)).toContain(
      "TOKEN=open sesame",
    );
  });

  it("changes nothing where nothing has changed", async () => {
    expect(await deploys()).toEqual({});
  });

  it("goes to a new commit without a failed request", async () => {
    commit = await app.commit({ "frontend/message.txt": "hello v2\n" });
    const { asked, failed } = await underLoad(deploys);
    expect(failed).toEqual([]);
    expect(asked).toBeGreaterThan(RATE);
    expect(await served()).toBe(commit);
  });

  it("is served on when a node is lost in the middle of a deploy, and the next up converges", async () => {
    const third = swarm.nodes[2]!;
    commit = await app.commit({ "frontend/message.txt": "hello v3\n" });
    let killed: Promise<void> | undefined;
    await stack.up({}, (text) => {
      if (/index:Service frontend creating/.test(text)) killed ??= third.kill();
    });
    expect(killed).toBeDefined();
    await killed;
    await until("an answer", () => served().then(Boolean, () => false));
    await deploys();
    expect(await served()).toBe(commit);
    expect(Object.keys(await spread("frontend"))).toHaveLength(2);
  });
});

describe("the same stack", () => {
  it("has more replicas without a new release", async () => {
    await stack.configure(settings(REPLICAS + 1));
    expect(await deploys()).toEqual({ "Service frontend": "update", "Service backend": "update" });
    expect(Object.values(await spread("frontend")).reduce((sum, count) => sum + count)).toBe(REPLICAS + 1);
  });
});

/** Each waits for minutes: for a version that never comes up, and for both runtimes in turn. */
if (FULL)
  describe("the same stack, in full", () => {
    it("serves the old version on where the new one does not come up", async () => {
      const good = app.read("frontend/server.py");
      await app.commit({ "frontend/server.py": SICK });
      const { failed } = await underLoad(async () => {
        const outcome = await stack.up();
        expect(outcome.ok).toBe(false);
        expect(outcome.said).toContain("did not converge");
      });
      expect(failed).toEqual([]);
      expect(await served()).toBe(commit);
      commit = await app.commit({ "frontend/server.py": good });
    });

    it("moves to one engine and back without a failed request", async () => {
      const { failed } = await underLoad(async () => {
        await stack.configure(settings(1, { cluster: "", registry: {} }));
        await deploys();
        expect(await swarm.manager.docker("service", "ls", "--quiet")).toBe("");
        await stack.configure(settings());
        await deploys();
      });
      expect(failed).toEqual([]);
      expect(await served()).toBe(commit);
    });
  });
