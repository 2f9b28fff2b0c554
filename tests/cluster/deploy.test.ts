import { readFileSync, writeFileSync } from "node:fs";
import { cpus } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it, jest } from "@jest/globals";
import execa from "execa";
import { KEPT_HEADER } from "../../freshness/browser";
import type { Certificate } from "../../freshness/chain";
import { growthTables } from "../../packages/bench/document";
import { point } from "../../packages/bench/growth";
import { type GrowthRow, growthExponent } from "../../packages/bench/results";
import type { Deployment } from "../../proof/deployment";
import { TestApp } from "../support/app";
import { FULL } from "../support/matrix";
import { OpenLoad } from "../support/openLoad";
import { rude, SlowRequests } from "../support/slowRequests";
import { freePort, TestStack } from "../support/stack";
import { type SwarmNode, TestSwarm, until } from "../support/swarm";

jest.setTimeout(400_000);
/** An overlay network tries once a minute to reach a node again that it has given up. */
const GOSSIP_MS = 150_000;

/** As the form has it: all of it in full, what shows the same in CI. */
const REPLICAS = FULL ? 6 : 3;
const RATE = 200;
/** Of new commits, at each size that is measured. */
const ROUNDS = 2;
const CACHE = "/app/.cache";
/** A public name of more than one address. */
const NAME = "party.test";
const SICK = 'import sys\nsys.exit("this version does not start")\n';

let swarm: TestSwarm;
let app: TestApp;
let stack: TestStack;
let port: number;
let url: string;
let commit: string;
/** What came of requests while a node was lost. */
let lossy: Awaited<ReturnType<typeof underLoad>> | undefined;

beforeAll(async () => {
  app = await TestApp.create();
  // Requests that end well do so for they are waited for.
  await app.commit({ "backend/server.py": rude(app.read("backend/server.py")) });
  swarm = await TestSwarm.start(3);
  await swarm.load(["python:3.11-slim-bookworm"]);
  await swarm.publish(["caddy:2.11"]);
  port = await freePort();
  url = `http://${swarm.manager.address}:${port}`;
  stack = await TestStack.create({ ...settings(), edges: "all" }, { DOCKER_HOST: swarm.manager.host });
});
afterAll(async () => {
  await stack?.remove();
  app?.remove();
  await swarm?.remove();
});

function settings(replicas = REPLICAS, others: Record<string, unknown> = onSwarm(), startSeconds = 10) {
  const service = { replicas, startSeconds };
  const services = {
    frontend: { ...service, caches: [CACHE], assets: { "/assets": "/app/src" } },
    backend: { ...service, secretEnv: { TOKEN: "open sesame" } },
  };
  return { source: app.folder, listen: `0.0.0.0:${port}`, publicUrl: url, services, ...others };
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

/** The requests during the work, and their results. */
async function underLoad(
  work: () => Promise<unknown>,
  address = url,
): Promise<{ asked: number; failed: string[] }> {
  const load = new OpenLoad(address, RATE);
  await work().catch(async (cause) => {
    await load.stop();
    throw cause;
  });
  const samples = await load.stop();
  const failed = samples.filter(({ body }) => body === undefined).map(({ failure }) => failure);
  return { asked: samples.length, failed };
}

/** Changes what runs the stack, and changes it back, while it is asked. */
async function movesAndBack(): Promise<void> {
  const { failed } = await underLoad(async () => {
    await stack.configure(settings(1, { cluster: "", registry: {}, edges: "manager" }));
    await deploys();
    expect(await swarm.manager.docker("service", "ls", "--quiet")).toBe("");
    await stack.configure(settings());
    await deploys();
  });
  expect(failed).toEqual([]);
  expect(await served()).toBe(commit);
}

const served = async (at = url) => {
  const answer = await fetch(`${at}/.freshness/frontend`, { signal: AbortSignal.timeout(5_000) });
  return ((await answer.json()) as { commit: string }).commit;
};

/** Where a node's own edge answers. */
const urlAt = ({ address }: SwarmNode) => `http://${address}:${port}`;

/** The commit of each node's edge, in the order of nodes; `nothing` without an answer. */
const servedEverywhere = () =>
  Promise.all(swarm.nodes.map((node) => served(urlAt(node)).catch(() => "nothing")));

/** Stops what a node's edge follows by, or lets it go on: the shell that is Caddy's child there. */
async function signalFollower(node: SwarmNode, signal: "STOP" | "CONT"): Promise<void> {
  const [edge] = (await node.docker("ps", "--quiet", "--filter", "name=edges-")).split("\n");
  const script = `caddy=$(grep -lx 'Name:.caddy' /proc/[0-9]*/status | head -n 1)
for each in /proc/[0-9]*/status; do
  grep -qx 'Name:.sh' "$each" && grep -qx "PPid:.$(echo "$caddy" | cut -d / -f 3)" "$each" || continue
  kill -${signal} "$(echo "$each" | cut -d / -f 3)" && exit
done
exit 1`;
  await node.docker("exec", edge!, "sh", "-c", script);
}

/** Whether the Swarm hears from a node. */
const isHeard = async ({ name }: SwarmNode) => {
  const nodes = await swarm.manager.docker("node", "ls", "--format", "{{.Hostname}} {{.Status}}");
  return nodes.split("\n").includes(`${name} Ready`);
};

/**
 * Runs a proxy at a node that also answers for the public name: it forwards to the edge and, if that is unreachable, to
 * the node's own replica, as someone would do it who wants more than one address. It keeps no connection: on one that was
 * made before the node is cut off a request would wait for TCP to give up. And it asks for no replica by name: a node that
 * is cut off goes on naming all of them until its own gossip has given the others up.
 */
async function answerAt(node: SwarmNode): Promise<void> {
  const { record } = (await stack.outputs()) as { record: { deployment: Deployment } };
  const { edge, network, services } = record.deployment;
  const { service } = services.find(({ service: { name } }) => name === "frontend")!;
  const [own] = (await node.docker("ps", "--quiet", "--filter", "name=frontend-")).split("\n");
  const replica = await addressIn(network, node, own!);
  const config = `{
	admin off
}
:80 {
	reverse_proxy ${edge.slice(0, 12)}:80 {
		transport http {
			dial_timeout 1s
			keepalive off
		}
	}
	handle_errors {
		rewrite /.freshness/* ${service.version}
		reverse_proxy ${replica}:${service.port}
	}
}`;
  const where = ["--network", network, "--publish", `${port}:80`, "--env", `CONFIG=${config}`];
  const run = 'printf %s "$CONFIG" | caddy run --adapter caddyfile --config -';
  await node.docker("run", "--detach", ...where, "caddy:2.11", "sh", "-c", run);
  await until("an answer of the node", async () => (await answeredBy(node)) !== undefined);
}

/**
 * Waits until the edge reaches what starts on a node: one that was cut off is ready for the Swarm before its new addresses are
 * told in the overlay network.
 */
async function awaitReached(node: SwarmNode): Promise<void> {
  const { record } = (await stack.outputs()) as { record: { deployment: Deployment } };
  const { edge, network } = record.deployment;
  const respond = ["caddy", "respond", "--listen", ":80", "here"];
  const started = await node.docker("run", "--detach", "--network", network, "caddy:2.11", ...respond);
  const address = await addressIn(network, node, started);
  const ask = ["timeout", "2", "wget", "-q", "-O", "/dev/null", `http://${address}/`];
  const isReached = () =>
    swarm.manager.docker("exec", edge, ...ask).then(
      () => true,
      () => false,
    );
  await until("the edge led to what starts on the node", isReached, GOSSIP_MS);
  await node.docker("rm", "--force", started);
}

/** A container's address in a network. */
const addressIn = (network: string, node: SwarmNode, container: string) =>
  node.docker(
    "inspect",
    "--format",
    `{{(index .NetworkSettings.Networks "${network}").IPAddress}}`,
    container,
  );

/** The release's container that answers at a node's address, as the edge tells it. */
const answeredBy = (node: SwarmNode) =>
  fetch(`http://${node.address}:${port}/.freshness/frontend`, { signal: AbortSignal.timeout(5_000) }).then(
    ({ headers }) => headers.get("x-freshness-upstream") ?? undefined,
    () => undefined,
  );

/** Runs one of the project's commands where the public name has the addresses of the manager and of another node. */
async function whereNamed(node: SwarmNode, command: string) {
  const hosts = join(stack.folder, "hosts");
  const addresses = [swarm.manager, node].map(({ address }) => `${address} ${NAME}\n`);
  writeFileSync(hosts, `127.0.0.1 localhost\n${addresses.join("")}`);
  const { file, args, options } = stack.commandLine(command);
  const mounted = ["--mount", "sh", "-ec", 'mount --bind "$0" /etc/hosts; exec "$@"', hosts];
  return execa("unshare", [...mounted, file, ...args], { ...options, reject: false });
}

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
  it("runs on all of them, and every replica is proven", async () => {
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

  it("has an edge on each node, which is proven too", async () => {
    expect(await servedEverywhere()).toEqual(swarm.nodes.map(() => commit));
    const { freshness } = (await stack.outputs()) as { freshness: Certificate };
    const [, ...workers] = swarm.nodes.map(({ name }) => name).sort();
    expect(freshness.links).toContainEqual(
      expect.objectContaining({ link: "served", found: `an edge on ${workers.join(", ")} too` }),
    );
    for (const name of workers)
      expect(freshness.links).toContainEqual(
        expect.objectContaining({
          ...{ link: "served", service: "frontend", status: "proven" },
          evidence: expect.stringContaining(`the edge on ${name}`),
        }),
      );
  });

  it("serves the kept assets, which are on the manager, from every node", async () => {
    for (const node of swarm.nodes) {
      const kept = await fetch(`${urlAt(node)}/assets/style.css`);
      expect([kept.status, kept.headers.get(KEPT_HEADER)]).toEqual([200, "true"]);
      expect((await fetch(`${urlAt(node)}/assets/gone.css`)).status).toBe(404);
    }
  });

  it("gives its secrets only to tasks, as the same variables as on a single engine", async () => {
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

  it("changes nothing on a second up", async () => {
    expect(await deploys()).toEqual({});
  });

  it("serves the old commit on every node while one node's edge does not follow", async () => {
    const second = swarm.nodes[1]!;
    await signalFollower(second, "STOP");
    const old = commit;
    commit = await app.commit({ "frontend/message.txt": "hello v2\n" });
    const { ok, said } = await stack.up();
    expect(ok).toBe(false);
    expect(said).toContain(
      `freshness: served of frontend: /.freshness/frontend at the edge on ${second.name} does not answer with the commit; expected commit ${commit} from frontend-`,
    );
    expect(said).toContain(`found commit ${old}. See its log`);
    expect(said).not.toContain("Not switched back");
    expect(await servedEverywhere()).toEqual(swarm.nodes.map(() => old));
    await signalFollower(second, "CONT");
  });

  it("switches on every node once that edge follows again, without a failed request at any other node", async () => {
    const changes: Record<string, string> = {};
    // They take longer than all that comes between the switch and the end of the old containers, but for the wait for them.
    await stack.configure({ ...settings(), edges: "all", drainSeconds: 30 });
    const slow = new SlowRequests(urlAt(swarm.nodes[2]!), 15);
    const { asked, failed } = await underLoad(
      async () => Object.assign(changes, await deploys()),
      urlAt(swarm.nodes[1]!),
    ).finally(() => slow.stop());
    expect((await slow.stop()).failed).toEqual([]);
    expect(failed).toEqual([]);
    expect(asked).toBeGreaterThan(RATE);
    expect(await servedEverywhere()).toEqual(swarm.nodes.map(() => commit));
    expect(changes).not.toHaveProperty("Service edges");
  });

  it("runs edges only on chosen nodes and the manager", async () => {
    const [, second, third] = swarm.nodes;
    const edges = `node.hostname==${second!.name}`;
    await stack.configure({ ...settings(), edges });
    expect(await deploys()).toEqual({ "Service edges": "update" });
    await until("the third node's edge gone", async () => (await servedEverywhere())[2] === "nothing");
    expect(await servedEverywhere()).toEqual([commit, commit, "nothing"]);
    await stack.configure({ ...settings(), edges: "manager" });
    expect(Object.values(await deploys())).toEqual(["delete", "delete"]);
    await until("the second node's edge gone", async () => (await servedEverywhere())[1] === "nothing");
    expect(await third!.docker("ps", "--quiet", "--filter", "name=edges-")).toBe("");
  });

  it("moves to one engine and back without a failed request", () => movesAndBack());

  it("refuses a new commit while an isolated node serves the old one at the public name", async () => {
    const third = swarm.nodes[2]!;
    await answerAt(third);
    const publicUrl = `http://${NAME}:${port}`;
    await stack.configure({ ...settings(), publicUrl });
    await third.partition();
    try {
      await until("the node down", async () => !(await isHeard(third)));
      const old = commit;
      commit = await app.commit({ "frontend/message.txt": "hello v3\n" });
      const { exitCode, stderr } = await whereNamed(third, "up");
      const asked = `${publicUrl}/.freshness/frontend at ${third.address}`;
      expect(stderr).toContain(
        `freshness: served of frontend: ${asked} does not answer with the commit; expected commit ${commit} from frontend-`,
      );
      expect(stderr).toMatch(
        new RegExp(`:3000, found commit ${old}\\. See what answers at that address .+ cut off`),
      );
      expect(exitCode).toBe(1);
      expect(await served()).toBe(old);
    } finally {
      await third.heal();
    }
    await until("the node ready", () => isHeard(third));
    await until("the node led to the edge", async () => (await answeredBy(third)) !== undefined, GOSSIP_MS);
    await awaitReached(third);
  });

  it("deploys it once the node is back, without a failed request, and removes the leftovers of a killed deploy", async () => {
    const { manager, nodes } = swarm;
    const label = `watch-party.stack=${stack.name}`;
    const left = ["--detach", "--quiet", "--name", "left", "--replicas", "0", "--label", label];
    await manager.docker("service", "create", ...left, "caddy:2.11");
    await manager.docker("secret", "create", "--label", label, "left", "/etc/hostname");
    const { asked, failed } = await underLoad(async () => {
      const { exitCode, stderr } = await whereNamed(nodes[2]!, "up");
      expect({ exitCode, stderr: exitCode === 0 ? "" : stderr }).toEqual({ exitCode: 0, stderr: "" });
    });
    expect(failed).toEqual([]);
    expect(asked).toBeGreaterThan(RATE);
    expect(await served()).toBe(commit);
    const names = async (kind: string) => {
      const format = ["--filter", `label=${label}`, "--format", "{{.Name}}"];
      const listed = (await manager.docker(kind, "ls", ...format)).split("\n");
      return listed.map((name) => name.replace(/-[0-9a-f]{7}$/, "")).sort();
    };
    expect(await names("service")).toEqual(["backend", "frontend"]);
    expect(await names("secret")).toEqual(["backend-token"]);
    await stack.configure(settings());
  });

  it("keeps serving when a node is lost in the middle of a deploy, and the next up converges", async () => {
    const third = swarm.nodes[2]!;
    await stack.configure({ ...settings(), edges: "all" });
    commit = await app.commit({ "frontend/message.txt": "hello v4\n" });
    let killed: Promise<void> | undefined;
    const deploying = async () => {
      await stack.up({}, (text) => {
        if (/index:Service frontend creating/.test(text)) killed ??= third.kill();
      });
      expect(killed).toBeDefined();
      await killed;
      await until("an answer", () => served().then(Boolean, () => false));
    };
    if (FULL) lossy = await underLoad(deploying);
    else await deploying();
    await deploys();
    expect(await servedEverywhere()).toEqual([commit, commit, "nothing"]);
    expect(Object.keys(await spread("frontend"))).toHaveLength(2);
    const { freshness } = (await stack.outputs()) as { freshness: Certificate };
    const lost = `tasks may still run on ${third.name}, which the Swarm does not reach`;
    expect(freshness.links).toContainEqual(expect.objectContaining({ status: "not checked", found: lost }));
  });
});

describe("the same stack", () => {
  it("scales its replicas without a new release", async () => {
    await stack.configure({ ...settings(REPLICAS + 1), edges: "all" });
    expect(await deploys()).toEqual({ "Service frontend": "update", "Service backend": "update" });
    expect(Object.values(await spread("frontend")).reduce((sum, count) => sum + count)).toBe(REPLICAS + 1);
  });
});

/** Each waits for minutes: for a version that never comes up, and for both runtimes in turn. */
if (FULL)
  describe("the same stack, in full", () => {
    it("keeps serving the old version if the new one does not start", async () => {
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

    it("clears its caches on all nodes and measures them on the manager", async () => {
      const { manager } = swarm;
      const own = async () =>
        (await manager.docker("ps", "--quiet", "--filter", "name=frontend-")).split("\n");
      const before = await own();
      const fill = `mkdir -p ${CACHE}; head -c 1000000 /dev/zero > ${CACHE}/old`;
      for (const id of before) await manager.docker("exec", "--user", "0", id, "sh", "-c", fill);
      const { status, stdout, stderr } = await stack.command("clear-caches", "frontend");
      expect({ status, stderr: status === 0 ? "" : stderr }).toEqual({ status: 0, stderr: "" });
      expect(stdout).toMatch(/^a Swarm: caches are measured on the manager/);
      expect(stdout.match(/^frontend \S+: 1\.00 MB cleared$/gm)).toHaveLength(before.length);
      await until("the old ones gone", async () => !(await own()).some((id) => before.includes(id)));
      for (const id of await own()) await manager.docker("exec", id, "sh", "-c", `[ ! -e ${CACHE} ]`);
    });

    it("reports a service that was removed by hand, and restores it", async () => {
      const { manager } = swarm;
      const label = ["--filter", `label=watch-party.stack=${stack.name}`];
      const named = ["--filter", "label=watch-party.service=backend"];
      await manager.docker(
        "service",
        "rm",
        await manager.docker("service", "ls", "--quiet", ...label, ...named),
      );
      const { status, stdout, stderr } = await stack.verify();
      expect(stdout + stderr).toContain(
        `container of backend: the tasks on the nodes are not the deployed ones; expected ${REPLICAS + 1} running`,
      );
      expect(status).toBe(1);
      const { ok, said } = await stack.up({ refresh: true });
      expect(ok ? "" : said).toBe("");
    });

    it("moves to one engine and back once the lost node is removed from the Swarm", async () => {
      await swarm.manager.docker("node", "rm", "--force", swarm.nodes[2]!.name);
      await movesAndBack();
    });

    it("takes at most proportionally more time for more replicas and nodes", async () => {
      const third = swarm.nodes[2]!;
      await third.kill();
      await until("the node down", async () => !(await isHeard(third)));
      const added = await swarm.addNode();
      await swarm.join(added);
      const { manager } = swarm;
      const rows: GrowthRow[] = [];
      const measure = async (by: GrowthRow["by"], at: number, replicas: number) => {
        // All of them start on the cores of one machine.
        await stack.configure(settings(replicas, onSwarm(), 60));
        rows.push(await point(by, at, app, stack, ROUNDS));
      };
      const workers = [swarm.nodes[1]!.name, added.name];
      for (const at of [1, 3, 6, 12]) await measure("replicas", at, at);
      const six = rows.find(({ at }) => at === 6)!;
      for (const at of [2, 1]) {
        for (const name of workers.slice(at - 1))
          await manager.docker("node", "update", "--availability", "drain", name);
        await measure("nodes", at, 6);
      }
      rows.push({ ...six, by: "nodes", at: 3 });
      rows.sort((a, b) => a.at - b.at);
      await writeGrowth(rows);
      for (const by of ["replicas", "nodes"])
        for (const value of [(row: GrowthRow) => row.seconds, (row: GrowthRow) => row.steps.services!]) {
          const points = rows.filter((row) => row.by === by).map((row) => [row.at, value(row)] as const);
          expect(growthExponent(points)).toBeLessThan(1);
        }
    }, 900_000);
  });

/** Puts what was measured into docs/cluster.md. */
async function writeGrowth(rows: readonly GrowthRow[]): Promise<void> {
  const versions = await swarm.manager.docker("version", "--format", "engine {{.Server.Version}}");
  const date = new Date().toISOString().slice(0, 10);
  const paragraphs = [
    `Measured by \`WATCH_PARTY_FULL=1 npm run test:cluster\` on ${date}, ${versions}: a new commit of two services that build
in a second, median of ${ROUNDS}. The first table varies the replicas of each service on three nodes, the second the nodes with six replicas. All nodes are
engines on one machine with ${cpus().length} cores, which starts every replica: separate machines take less time.`,
    growthTables(rows),
  ];
  if (lossy !== undefined)
    paragraphs.push(
      `At ${RATE} requests a second on ${REPLICAS} replicas of each service on three nodes, when a node loses power in the
middle of a deploy, ${lossy.failed.length} of ${lossy.asked} failed.`,
    );
  const file = join(__dirname, "..", "..", "docs", "cluster.md");
  const section = `## How long a deploy takes\n\n${paragraphs.join("\n\n")}\n`;
  const place = /## How long a deploy takes\n[\s\S]*?(?=\n## )/;
  const text = readFileSync(file, "utf8").replace(place, () => section);
  writeFileSync(file, text);
}
