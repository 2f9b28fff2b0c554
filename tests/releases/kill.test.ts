import { spawn } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { inspect } from "node:util";
import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import type { EngineEvent } from "@pulumi/pulumi/automation";
import execa from "execa";
import { TestApp } from "../support/app";
import { SmallEngine } from "../support/engine";
import { NEW_CONNECTION, underLoad } from "../support/load";
import { FULL } from "../support/matrix";
import { descendants, kill, type Process } from "../support/processes";
import { SshServer } from "../support/sshd";
import { freePort, leftovers, TestStack } from "../support/stack";
import { type KillRow, writeKills } from "./document";

/** Where a deploy is killed: a stack, an app and who can be killed there. */
interface Bed {
  readonly app: TestApp;
  readonly stack: TestStack;
  readonly url: string;
  /** The server's listener, whose sessions work for the deploy too. */
  readonly server?: SshServer;
  /** The engine, unless it is the machine's. */
  readonly engine?: SmallEngine;
  remove(): Promise<void>;
}

/** Kills a victim: false if it does not exist yet. */
type Killer = (at: Watched) => boolean | Promise<boolean>;

/** When: the first moment in which this is so. */
type Moment = (at: Watched) => boolean | Promise<boolean>;

interface Watched extends Bed {
  /** What the deploy has said so far. */
  readonly said: string;
  /** All that the deploy has started, on the server too. */
  readonly processes: readonly Process[];
  /** The deploy itself. */
  readonly pid: number;
  /** Containers that there were before. */
  readonly before: ReadonlySet<string>;
  /** The commit that is deployed. */
  readonly commit: string;
}

/** Kills those whose command lines these words are in. */
const all =
  (words: RegExp): Killer =>
  ({ processes }) => {
    const victims = processes.filter(({ args }) => words.test(args));
    kill(victims);
    return victims.length > 0;
  };

const VICTIMS = {
  CLI: all(/(^|\/)pulumi (up|destroy) /),
  program: all(/@pulumi\/pulumi\/cmd\/run/),
  "docker plugin": all(/pulumi-resource-docker/),
  everything: ({ processes, pid }) => {
    kill([...processes, { pid, args: "" }]);
    return true;
  },
  "every ssh": all(/^(\S*\/)?ssh /),
  "every session of sshd": async ({ server }) => {
    const sessions = await server!.sessions();
    kill(sessions.map((pid) => ({ pid, args: "" })));
    return sessions.length > 0;
  },
  dockerd: async ({ engine }) => {
    await engine!.killAndRestart();
    return true;
  },
} as const satisfies Readonly<Record<string, Killer>>;

/** The services' health checks give up soon: what does not start any more is not waited for. */
const services = { frontend: { startSeconds: 10 }, backend: { startSeconds: 10 } };

const runs =
  (words: RegExp): Moment =>
  ({ processes }) =>
    processes.some(({ args }) => words.test(args));
/** Whether the CLI has told that it makes a resource of that type: the plugin need not start a process for it. */
const isMaking = (processes: readonly Process[], type: string): boolean =>
  processes.some(({ args }) => {
    const log = /(?:^|\/)pulumi .*--event-log (\S+)/.exec(args)?.[1];
    if (log === undefined || !existsSync(log)) return false;
    const events = readFileSync(log, "utf8").split("\n").slice(0, -1);
    return events.some((line) => {
      const step = (JSON.parse(line) as EngineEvent).resourcePreEvent?.metadata;
      return step?.type === type && step.op.startsWith("create");
    });
  });
/** The served commit; otherwise the answer that came instead. */
const served = async ({ url }: Bed): Promise<string> => {
  try {
    const answer = await fetch(`${url}/.freshness/backend`, { signal: AbortSignal.timeout(10_000) });
    const said = await answer.text();
    return answer.ok ? (JSON.parse(said) as { commit: string }).commit : `status ${answer.status}: ${said}`;
  } catch (cause) {
    return inspect(cause);
  }
};
const docker = async ({ engine }: Bed, ...args: string[]): Promise<string> =>
  engine ? engine.docker(...args) : (await execa("docker", args)).stdout;
const ownOf = ({ stack }: Bed) => ["--filter", `label=watch-party.stack=${stack.name}`];
const edgeOf = (bed: Bed) => [...ownOf(bed), "--filter", "label=watch-party.service=edge"];
const containers = async (bed: Bed): Promise<string[]> => {
  const ids = await docker(bed, "ps", "--all", "--quiet", ...ownOf(bed));
  return ids.split("\n").filter((id) => id !== "");
};

/** Of which services a container runs that was not there before. */
const newServices = async (at: Watched): Promise<string[]> => {
  const format = ["--format", '{{.ID}} {{.Label "watch-party.service"}}'];
  const lines = (await docker(at, "ps", ...format, ...ownOf(at))).split("\n").map((line) => line.split(" "));
  return lines.flatMap(([id, service]) => (id && service && !at.before.has(id) ? [service] : []));
};

const MOMENTS = {
  "reads the source": ({ said }) => said.includes("Building from commit"),
  prunes: runs(/docker builder prune/),
  "builds an image": ({ processes }) => isMaking(processes, "docker:index/image:Image"),
  "proves the images": async (at) => (await probes(at)).length > 0,
  "starts a container": async (at) => (await containers(at)).some((id) => !at.before.has(id)),
  "asks the new containers": async (at) => {
    const started = await newServices(at);
    return Object.keys(services).every((service) => started.includes(service));
  },
  "has switched the edge": async (at) => (await served(at)) === at.commit,
} as const satisfies Readonly<Record<string, Moment>>;

type Point = readonly [moment: keyof typeof MOMENTS, victim: keyof typeof VICTIMS, ci: boolean];
const chosen = (points: readonly Point[]) => points.filter(([, , ci]) => ci || FULL);
const each = (moments: readonly Point[0][], victim: Point[1]): Point[] =>
  moments.map((moment) => [moment, victim, false]);

const HERE = chosen([
  ["reads the source", "CLI", false],
  ["prunes", "CLI", false],
  ["prunes", "docker plugin", false],
  ["builds an image", "docker plugin", true],
  ["builds an image", "everything", false],
  ["proves the images", "CLI", false],
  ["proves the images", "program", false],
  ["starts a container", "CLI", false],
  ["starts a container", "docker plugin", false],
  ["starts a container", "everything", true],
  ["asks the new containers", "program", false],
  ["has switched the edge", "CLI", true],
  ["has switched the edge", "everything", false],
]);
const OVER_SSH = chosen([
  ...each(["prunes", "builds an image", "proves the images"], "every ssh"),
  ["starts a container", "every ssh", true],
  ["has switched the edge", "every ssh", false],
  ...each(
    ["prunes", "builds an image", "proves the images", "starts a container", "has switched the edge"],
    "every session of sshd",
  ),
]);
const RESTARTED = chosen([
  ["builds an image", "dockerd", false],
  ["starts a container", "dockerd", true],
  ["has switched the edge", "dockerd", false],
]);

/** Commands besides a plain deploy, and what is so in the stack before. */
const COMMANDS = {
  rollback: { args: ["rollback"], target: "before" },
  "up --rebuild": { args: ["up", "--rebuild"], target: "now" },
  "up --from-stack": { args: ["up"], target: "promoted" },
  "clear-caches": { args: ["clear-caches", "backend"], target: "now" },
  "first deploy": { args: ["up"], target: "first" },
  destroy: { args: ["pulumi", "destroy", "--yes"], target: "now" },
} as const;

const REMOVALS = {
  "removes a container": async (at) => {
    const left = await containers(at);
    return [...at.before].some((id) => !left.includes(id));
  },
  "removes the edge": async (at) => (await docker(at, "ps", "--quiet", ...edgeOf(at))) === "",
  "removes the network": async (at) => (await docker(at, "network", "ls", "--quiet", ...ownOf(at))) === "",
} as const satisfies Readonly<Record<string, Moment>>;
const ALL_MOMENTS = { ...MOMENTS, ...REMOVALS };

type CommandPoint = readonly [
  command: keyof typeof COMMANDS,
  moment: keyof typeof ALL_MOMENTS,
  victim: "CLI" | "program" | "docker plugin" | "everything",
  ci: boolean,
];
const eachVictim = (command: CommandPoint[0], moments: readonly CommandPoint[1][]): CommandPoint[] =>
  moments.flatMap((moment) =>
    (["CLI", "program", "everything"] as const).map((victim) => [command, moment, victim, false] as const),
  );
const STARTING = ["starts a container", "asks the new containers", "has switched the edge"] as const;
const OF_COMMANDS: readonly CommandPoint[] = FULL
  ? [
      ...eachVictim("rollback", STARTING),
      ...eachVictim("clear-caches", ["starts a container", "asks the new containers"]),
      ...eachVictim("up --rebuild", ["prunes", "builds an image", "starts a container"]),
      ...eachVictim("up --from-stack", STARTING),
      ...eachVictim("first deploy", ["prunes", ...STARTING]),
      // A destroy runs no program.
      ["destroy", "removes a container", "CLI", false],
      ["destroy", "removes a container", "docker plugin", false],
      ["destroy", "removes a container", "everything", false],
      ["destroy", "removes the edge", "everything", false],
      ["destroy", "removes the network", "everything", false],
    ]
  : [
      ["rollback", "asks the new containers", "everything", true],
      ["first deploy", "starts a container", "everything", true],
      ["destroy", "removes a container", "everything", true],
    ];

/** What the suites of this file have measured. */
const rows: KillRow[] = [];
const ALL = HERE.length + OVER_SSH.length + 2 * RESTARTED.length;
// What a part of them has measured is no document.
afterAll(async () => {
  await writeKills("Killed deploys", rows, FULL && rows.length === ALL);
  await writeKills("Killed commands", ofCommands, FULL && ofCommands.length === OF_COMMANDS.length);
});
const ofCommands: KillRow[] = [];

async function deployed(bed: Bed): Promise<Bed> {
  const { ok, said } = await bed.stack.up();
  if (!ok) throw new Error(said);
  return bed;
}

/** On this machine's engine; over ssh with a server. */
async function openHere(overSsh: boolean, more: Record<string, unknown> = {}): Promise<Bed> {
  const server = overSsh ? await SshServer.start() : undefined;
  const app = await TestApp.create();
  const { port, user, hostKey } = server ?? {};
  const access = server ? { server: { host: "127.0.0.1", port, user, hostKey } } : {};
  const stack = await TestStack.create({ source: app.folder, services: { ...services, ...more }, ...access });
  if (server) await stack.configure({ serverKey: server.key }, true);
  return deployed({
    ...{ app, stack, url: stack.url, ...(server ? { server } : {}) },
    remove: async () => {
      if (server) await stack.command("pulumi", "destroy", "--yes");
      await stack.remove();
      await server?.remove();
      app.remove();
    },
  });
}

/** On an engine of its own, for the machine's is not ours to kill. */
async function openRestarting(liveRestore: boolean): Promise<Bed> {
  const images = ["python:3.11-slim-bookworm", "caddy:2.11"];
  const engine = await SmallEngine.start(1400, images, { liveRestore });
  const app = await TestApp.create();
  const listen = `${engine.address}:${await freePort()}`;
  const env = { DOCKER_HOST: engine.host };
  const stack = await TestStack.create({ source: app.folder, services, listen }, env);
  return deployed({
    ...{ app, stack, url: `http://${listen}`, engine },
    remove: async () => {
      await stack.remove();
      app.remove();
      await engine.remove();
    },
  });
}

// `staying`: whether connections that stand stay; `outage`: for how many seconds at most requests may fail.
describe.each(
  [
    { where: "on this machine", points: HERE, open: () => openHere(false), staying: true, outage: 0 },
    { where: "over ssh", points: OVER_SSH, open: () => openHere(true), staying: true, outage: 0 },
    {
      where: "on an engine with live-restore",
      points: RESTARTED,
      open: () => openRestarting(true),
      staying: true,
      // During its start an engine recreates the rules of published ports.
      outage: 5,
    },
    {
      where: "on an engine without live-restore, which stops all containers",
      points: RESTARTED.filter(() => FULL),
      open: () => openRestarting(false),
      staying: false,
      // As long as the engine takes to come back, and no hand is needed.
      outage: 30,
    },
  ].filter(({ points }) => points.length > 0),
)("a killed deploy $where", ({ where, points, open, staying, outage }) => {
  let bed: Bed;

  beforeAll(async () => {
    bed = await open();
  });
  afterAll(async () => {
    await bed?.remove();
  });

  it.each(points)(
    "while it %s (%s): the old release keeps serving, and the next deploy finishes",
    async (moment, victim) => {
      const { app, stack, url } = bed;
      const old = await served(bed);
      const before = new Set(await containers(bed));
      const commit = await app.commit({ "backend/message.txt": `${moment} ${victim} ${Date.now()}\n` });
      const { result, requests, failures, ...load } = await underLoad(
        [`${url}/api/hello`, `${url}/`],
        async () => {
          const ended = await killAt(bed, MOMENTS[moment], VICTIMS[victim], { before, commit });
          if (staying) expect([old, commit]).toContain(await served(bed));
          const started = performance.now();
          const { status, stderr } = await stack.command("up");
          expect({ status, stderr: status === 0 ? "" : stderr }).toEqual({ status: 0, stderr: "" });
          return { ...ended, seconds: (performance.now() - started) / 1000 };
        },
      );
      rows.push({
        where,
        moment,
        victim,
        requests,
        failed: failures.length,
        outage: load.outage,
        next: result.seconds,
      });
      const failed = failures.filter((failure) => outage === 0 || !failure.startsWith(NEW_CONNECTION));
      if (staying) expect(failed.slice(0, 5)).toEqual([]);
      expect(load.outage).toBeLessThanOrEqual(outage);
      expect(await served(bed)).toBe(commit);
      // The error explains the cause and the next step.
      if (result.status === 1 && /ssh|dockerd/.test(victim))
        expect(result.said).toContain("the next `up` completes the deploy");
      await assertNothingIsLeft(bed);
    },
  );
});

describe("a killed command on this machine", () => {
  let bed: Bed;

  beforeAll(async () => {
    bed = await openHere(false, { backend: { startSeconds: 10, caches: ["/tmp/cached"] } });
  });
  afterAll(async () => {
    await bed?.remove();
  });

  it.each(OF_COMMANDS)("%s, while it %s (%s): the next up finishes", async (command, moment, victim) => {
    const { target } = COMMANDS[command];
    const before = await served(bed);
    // A release to go back to, and one to go back from.
    const now = await bed.app.commit({
      "backend/message.txt": `${command} ${moment} ${victim} ${Date.now()}\n`,
    });
    const guest = target === "first" || target === "promoted" ? await openBeside(bed) : undefined;
    try {
      if (target !== "first") await deployed(bed);
      const args = [
        ...COMMANDS[command].args,
        ...(target === "promoted" ? ["--from-stack", bed.stack.name] : []),
      ];
      if (command === "clear-caches") {
        const [backend] = (
          await docker(bed, "ps", "--quiet", ...ownOf(bed), "--filter", "label=watch-party.service=backend")
        ).split("\n");
        await docker(bed, "exec", backend!, "sh", "-c", "mkdir -p /tmp/cached && echo x > /tmp/cached/x");
      }
      const killed = guest ?? bed;
      const commit = target === "before" ? before : now;
      const was = { before: new Set(await containers(killed)), commit };
      const run = async () => {
        await killAt(killed, ALL_MOMENTS[moment], VICTIMS[victim], was, args);
        const started = performance.now();
        const { status, stderr } = await killed.stack.command("up");
        expect({ status, stderr: status === 0 ? "" : stderr }).toEqual({ status: 0, stderr: "" });
        return (performance.now() - started) / 1000;
      };
      // A destroyed or missing stack serves no request.
      const isServed = command !== "destroy" && guest === undefined;
      const { result, requests, failures, outage } = isServed
        ? await underLoad([`${bed.url}/api/hello`, `${bed.url}/`], run)
        : { result: await run(), requests: 0, failures: [], outage: 0 };
      ofCommands.push({
        where: command,
        moment,
        victim,
        requests,
        failed: failures.length,
        outage,
        next: result,
      });
      expect(failures.slice(0, 5)).toEqual([]);
      expect([commit, now]).toContain(await served(killed));
      await assertNothingIsLeft(killed);
    } finally {
      await guest?.remove();
    }
  });
});

/** One of each service, the edge, its network and two volumes: nothing of what was killed is left. */
async function assertNothingIsLeft(bed: Bed): Promise<void> {
  const left = await leftovers(bed.stack.name, bed.engine?.host);
  expect(left.map((name) => name.replace(/-[0-9a-f]{7}$/, "")).sort()).toEqual([
    "container backend",
    "container edge",
    "container frontend",
    "network edge-network",
    "volume edge-certificates",
    "volume edge-routes",
  ]);
  expect(await probes(bed)).toEqual([]);
  expect((await bed.stack.verify()).status).toBe(0);
}

/** A stack of the same app that was never deployed. */
async function openBeside({ app, stack }: Bed): Promise<Bed> {
  const beside = await stack.beside({ source: app.folder, services });
  return {
    ...{ app, stack: beside, url: beside.url },
    remove: async () => {
      await beside.remove();
    },
  };
}

/**
 * Deploys, and kills at a moment; waits until all that the deploy started has ended or is none of its victims.
 *
 * @returns the deploy's exit status, null if it was killed itself, and its output
 */
async function killAt(
  bed: Bed,
  moment: Moment,
  killer: Killer,
  was: Pick<Watched, "before" | "commit">,
  [name, ...args]: readonly string[] = ["up"],
): Promise<{ status: number | null; said: string }> {
  const { stack, server } = bed;
  const { file, args: command, options } = stack.commandLine(name!, ...args);
  const child = spawn(file, command, { ...options, detached: true, stdio: ["ignore", "pipe", "pipe"] });
  let said = "";
  const hear = (chunk: Buffer) => {
    said += chunk;
  };
  for (const output of [child.stdout, child.stderr]) output.on("data", hear);
  let status: number | null | undefined;
  const ended = new Promise<void>((resolve) =>
    child.once("close", (code) => {
      status = code;
      resolve();
    }),
  );
  for (;;) {
    const started = [child.pid!, ...(server ? [server.pid] : [])];
    const processes = (await Promise.all(started.map(descendants))).flat();
    const at = { ...bed, ...was, said, processes, pid: child.pid! };
    if ((await moment(at)) && (await killer(at))) break;
    if (status !== undefined) throw new Error(`it ended before it came to that:\n${said}`);
    await new Promise((resume) => setTimeout(resume, 5));
  }
  await ended;
  // A program that outlives its CLI could switch the edge while the next deploy is under way.
  for (const deadline = Date.now() + 10_000; (await programs(stack)).length > 0; ) {
    if (Date.now() > deadline) throw new Error("the killed deploy's program goes on");
    await new Promise((resume) => setTimeout(resume, 50));
  }
  return { status: status ?? null, said };
}

/** The processes that run a stack's program. */
async function programs(stack: TestStack): Promise<Process[]> {
  const runs = new RegExp(`cmd/run/index\\.js .*--stack ${stack.name}( |$)`);
  return (await descendants(1)).filter(({ args }) => runs.test(args));
}

/** Containers from which proofs read images. */
async function probes(bed: Bed): Promise<string[]> {
  const names = await docker(
    bed,
    "ps",
    "--all",
    "--filter",
    "label=watch-party.owner",
    "--format",
    "{{.Names}}",
  );
  return names.split("\n").filter((name) => name !== "");
}
