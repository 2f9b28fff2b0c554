import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import execa from "execa";
import { RELEASES_FILE } from "../../engine/edgeNames";
import { BenchApp } from "../../packages/bench/apps";
import type { Deployment } from "../../proof/deployment";
import { TestApp } from "../support/app";
import { BusyBuild } from "../support/busyBuild";
import { FULL } from "../support/matrix";
import { OpenLoad, quantile, type Sample } from "../support/openLoad";
import { rude, SlowRequests } from "../support/slowRequests";
import { SshServer } from "../support/sshd";
import { leftovers, TestStack } from "../support/stack";
import { type RollbackResult, rollbackRatio, writeLoad, writeRollbacks } from "./document";

const RATE = 200;
const GOOD_DEPLOYS = FULL ? 20 : 2;
const ROLLBACKS_UNDER_LOAD = FULL ? 5 : 1;
/** A deploy that is to be taken back: what it does, whether in CI too, the change, the refusal. */
type Broken = [what: string, ci: boolean, change: () => Record<string, string>, words: RegExp];
/** Of each app. */
const ROLLBACKS = 4;
/** Requests a second: few, for each renders a page. */
const VISITS = 5;
const MINUTES = FULL ? 3_600_000 : 600_000;
/** A second on either side of a switch. */
const WINDOW_MS = 1000;

/** One story over ssh, with requests through the edge all the time, beside a build that keeps both cores busy. */
describe(`${GOOD_DEPLOYS} good deploys and some broken ones under ${RATE} requests a second, half of them over new connections`, () => {
  let server: SshServer;
  let app: TestApp;
  let stack: TestStack;
  let load: OpenLoad;
  let build: BusyBuild | undefined;
  let good = "";
  const deploys: number[] = [];
  let rollback = 0;

  beforeAll(async () => {
    server = await SshServer.start();
    app = await TestApp.create();
    good = await app.commit({ "backend/server.py": rude(app.read("backend/server.py")) });
    const { host, port, user, hostKey } = { host: "127.0.0.1", ...access() };
    const services = { frontend: { startSeconds: 10 }, backend: { startSeconds: 10 } };
    stack = await TestStack.create({ source: app.folder, services, server: { host, port, user, hostKey } });
    await stack.configure({ serverKey: server.key }, true);
    await deploy();
    build = await BusyBuild.start();
    load = new OpenLoad(`${stack.url}/api/version`, RATE);
  });
  afterAll(async () => {
    await load?.stop();
    await build?.end();
    await stack?.command("pulumi", "destroy", "--yes");
    const left = stack ? await leftovers(stack.name) : [];
    await stack?.remove();
    await server?.remove();
    app?.remove();
    if (left.length > 0) throw new Error(`left behind: ${left.join(", ")}`);
  });

  function access() {
    return { port: server.port, user: server.user, hostKey: server.hostKey };
  }

  async function deploy(): Promise<{ seconds: number; said: string }> {
    const started = performance.now();
    const { ok, said } = await stack.up();
    if (!ok) throw new Error(said);
    return { seconds: (performance.now() - started) / 1000, said };
  }

  it(
    "serves each good one, with a slow request under way",
    async () => {
      for (let round = 0; round < GOOD_DEPLOYS; round++) {
        const before = good;
        good = await app.commit({ "backend/message.txt": `round ${round}\n` });
        const slow = new SlowRequests(stack.url, 4);
        deploys.push((await deploy()).seconds);
        await allWell(slow);
        expect(load.samples.some(({ body }) => commitOf(body) === before)).toBe(true);
        expect(await served()).toBe(good);
      }
    },
    MINUTES,
  );

  it(
    "waits for running requests even if clean-up fails",
    async () => {
      const { record } = (await stack.outputs()) as { record: { deployment: Deployment } };
      // A file cannot be written where a folder is.
      const inTheWay = `${RELEASES_FILE}.new`;
      await execa("docker", ["exec", record.deployment.edge, "mkdir", inTheWay]);
      good = await app.commit({ "backend/message.txt": "not put away\n" });
      const slow = new SlowRequests(stack.url, 4);
      const { said } = await deploy();
      await allWell(slow);
      expect(said).toMatch(/the clean-up is incomplete: .*releases\.json\.new/);
      expect(await served()).toBe(good);
      await execa("docker", ["exec", record.deployment.edge, "rmdir", inTheWay]);
    },
    MINUTES,
  );

  const replaced = (path: string, from: string, to: string) => () => ({
    [path]: app.read(path).replace(from, to),
  });
  it.each(
    [
      [
        "is unhealthy",
        true,
        () => ({ "backend/UNHEALTHY": "yes\n" }),
        /freshness: container of backend: .* does not become healthy/,
      ],
      [
        "crashes",
        FULL,
        () => ({ "backend/EXIT": "yes\n" }),
        /freshness: container of backend: .*; expected .*, found it ended by itself \d+ times?, with exit code 1 /,
      ],
      [
        "is healthy and answers with another commit",
        FULL,
        replaced("backend/server.py", "commit = COMMIT_FILE.read_text().strip()", 'commit = "0" * 40'),
        /freshness: container of backend: /,
      ],
      [
        "fails only behind the edge",
        true,
        replaced("frontend/server.py", '"no-cache")', '"max-age=3600")'),
        /freshness: browser of frontend: /,
      ],
    ].filter(([, ci]) => ci || FULL) as Broken[],
  )(
    "takes back one that %s",
    async (_, __, change, words) => {
      const broken = await app.commit(change());
      const from = performance.now();
      const { ok, said } = await stack.up();
      expect(said).toMatch(words);
      expect(ok).toBe(false);
      expect(await served()).toBe(good);
      // If it was served at all, it was for less than five seconds.
      const wrong = load.samples
        .filter(({ at, body }) => at > from && commitOf(body) === broken)
        .map(({ at }) => at);
      if (/browser/.test(words.source)) expect(wrong.length).toBeGreaterThan(0);
      expect(Math.max(...wrong, 0) - Math.min(...wrong, Number.POSITIVE_INFINITY)).toBeLessThan(5000);
      await app.git("reset", "--quiet", "--hard", good);
    },
    MINUTES,
  );

  it(
    "goes back without a build, each time",
    async () => {
      const times: number[] = [];
      for (let round = 0; round < ROLLBACKS_UNDER_LOAD; round++) {
        // Forward again: a rollback goes to the release before the one that is served.
        if (round > 0) {
          good = await app.commit({ "backend/message.txt": `forward ${round}\n` });
          const { status, stderr } = await stack.command("up");
          expect({ status, stderr: status === 0 ? "" : stderr }).toEqual({ status: 0, stderr: "" });
        }
        const started = performance.now();
        const { status, stderr } = await stack.command("rollback");
        expect({ status, stderr: status === 0 ? "" : stderr }).toEqual({ status: 0, stderr: "" });
        times.push((performance.now() - started) / 1000);
      }
      rollback = quantile(times, 0.5);
    },
    MINUTES,
  );

  it("fails no request, and answers as fast after each switch as before it", async () => {
    const samples = await load.stop();
    await build?.end();
    build = undefined;
    const failed = samples.filter(({ failure }) => failure !== "");
    const switches = switchesIn(samples);
    const seconds = (samples.at(-1)!.at - samples[0]!.at) / 1000;
    const near = (from: number, to: number) =>
      switches.flatMap((at) => samples.filter((each) => each.at >= at + from && each.at < at + to));
    const p99 = (part: readonly Sample[]) =>
      quantile(
        part.map(({ milliseconds }) => milliseconds),
        0.99,
      );
    const [before, after] = [p99(near(-WINDOW_MS, 0)), p99(near(0, WINDOW_MS))];
    const deploy = quantile(deploys, 0.5);
    const counts = { requests: samples.length, failed: failed.length, switches: switches.length };
    const result = { rate: RATE, deploys: GOOD_DEPLOYS, ...counts, seconds, p99: [before, after] as const };
    await writeLoad({ ...result, deploy, rollback, rollbacks: ROLLBACKS_UNDER_LOAD }, FULL);
    expect(failed.slice(0, 5)).toEqual([]);
    expect(samples.length / seconds).toBeGreaterThan(RATE * 0.95);
    expect(switches.length).toBeGreaterThanOrEqual(GOOD_DEPLOYS + ROLLBACKS_UNDER_LOAD);
    if (FULL) expect(after).toBeLessThan(1.25 * before);
  });

  async function served(): Promise<string | undefined> {
    return commitOf(await (await fetch(`${stack.url}/.freshness/backend`)).text());
  }
});

/** With apps that take time to build, for a rollback is quick by building nothing. */
if (FULL)
  describe(`rollbacks over ssh, beside ${VISITS} requests a second`, () => {
    let server: SshServer;
    const measured: RollbackResult[] = [];

    beforeAll(async () => {
      server = await SshServer.start();
    });
    afterAll(() => server?.remove());

    it.each(["example", "large"] as const)(
      "roll the %s app back without a failed request",
      async (kind) => {
        const app = await BenchApp.create(kind, "own");
        const { port, user, hostKey } = server;
        const stack = await TestStack.create({
          source: app.repository.folder,
          services: app.services,
          server: { host: "127.0.0.1", port, user, hostKey },
        });
        const taken = async (name: string) => {
          const started = performance.now();
          const { status, stderr } = await stack.command(name);
          expect({ status, stderr: status === 0 ? "" : stderr }).toEqual({ status: 0, stderr: "" });
          return (performance.now() - started) / 1000;
        };
        try {
          await stack.configure({ serverKey: server.key }, true);
          await taken("up");
          const load = new OpenLoad(stack.url, VISITS);
          const [deploys, rollbacks]: [number[], number[]] = [[], []];
          for (let round = 0; round < ROLLBACKS; round++) {
            await app.changeSource(`round ${round}`);
            deploys.push(await taken("up"));
            rollbacks.push(await taken("rollback"));
          }
          const samples = await load.stop();
          expect(samples.filter(({ failure }) => failure !== "")).toEqual([]);
          measured.push({ app: kind, deploys, rollbacks, requests: samples.length });
        } finally {
          // By the command, which opens the way to the server.
          await stack.command("pulumi", "destroy", "--yes");
          const left = await leftovers(stack.name);
          await stack.remove();
          app.remove();
          expect(left).toEqual([]);
        }
      },
      MINUTES,
    );

    it("take less than a quarter of a deploy", async () => {
      await writeRollbacks(measured, VISITS);
      expect(measured.map(({ app }) => app)).toEqual(["example", "large"]);
      for (const each of measured) expect(rollbackRatio(each)).toBeLessThan(0.25);
    });
  });

async function allWell(slow: SlowRequests): Promise<void> {
  const { asked, failed } = await slow.stop();
  expect(failed).toEqual([]);
  expect(asked).toBeGreaterThan(3);
}

function commitOf(body: string | undefined): string | undefined {
  return body === undefined ? undefined : (JSON.parse(body) as { commit: string }).commit;
}

/** When another commit was answered with than just before. */
function switchesIn(samples: readonly Sample[]): number[] {
  const told = samples.filter(({ body }) => body !== undefined);
  return told.flatMap(({ at, body }, index) => (index > 0 && told[index - 1]!.body !== body ? [at] : []));
}
