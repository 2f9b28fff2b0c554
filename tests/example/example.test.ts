import { readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import execa from "execa";
import { parse } from "yaml";
import { TestApp } from "../support/app";
import { quantile } from "../support/openLoad";
import { Crowd, openRoom } from "../support/party";
import { leftovers, TestStack } from "../support/stack";
import { Viewer } from "./viewer";

const PROJECT = resolve(__dirname, "..", "..");
/** As stack dev deploys it: with a volume, and a command that migrates. */
const { services } = Object.fromEntries(
  Object.entries(parse(readFileSync(join(PROJECT, "Pulumi.dev.yaml"), "utf8")).config).map(([key, value]) => [
    key.replace("watch-party:", ""),
    value,
  ]),
) as { services: Record<string, unknown> };
const CHAT = "frontend/components/Chat.tsx";
const BANNER = "document.querySelector('.new-version p') !== null";

/** The real thing, once: a Next.js frontend and a FastAPI backend, people in it, and deploys under them. */
describe("the example app", () => {
  let app: TestApp;
  let stack: TestStack;
  let viewers: Viewer[] = [];
  let crowd: Crowd | undefined;
  let first: string;

  beforeAll(async () => {
    app = await TestApp.create("examples/watch-party");
    stack = await TestStack.create({ source: app.folder, services });
  });
  afterAll(async () => {
    await crowd?.leave();
    await Promise.all(viewers.map((viewer) => viewer.close()));
    await stack?.remove();
    app?.remove();
  }, 120_000);

  const deployed = async () => {
    const outcome = await stack.up();
    if (!outcome.ok) throw new Error(outcome.said);
  };
  /** Something changes on the page; what is written in the chat's field tells the versions apart. */
  const change = (words: string) =>
    app.commit({ [CHAT]: app.read(CHAT).replace(/placeholder=".*"/, `placeholder="${words}"`) });

  it("is deployed from nothing and serves its commit", async () => {
    await deployed();
    first = await app.git("rev-parse", "HEAD");
    for (const service of ["frontend", "backend"])
      expect(await (await fetch(`${stack.url}/.freshness/${service}`)).json()).toEqual({ commit: first });
  }, 480_000);

  it("lists in its page the rooms that its backend has", async () => {
    const rooms = (await (await fetch(`${stack.url}/api/rooms`)).json()) as { name: string }[];
    expect(rooms.length).toBeGreaterThan(0);
    const page = await (await fetch(stack.url)).text();
    for (const { name } of rooms) expect(page).toContain(name);
  });

  it("serves its film in parts, so that a browser can seek", async () => {
    const answer = await fetch(`${stack.url}/film.mp4`, { headers: { range: "bytes=1000-1999" } });
    expect(answer.status).toBe(206);
    expect((await answer.arrayBuffer()).byteLength).toBe(1000);
  });

  it("shows two viewers the same picture, and the host leads by keyboard", async () => {
    viewers = await Promise.all([Viewer.create("Ada"), Viewer.create("Ben")]);
    const [ada, ben] = viewers as [Viewer, Viewer];
    await ada.go(stack.url);
    await ada.type("input[name=name]", "Friday");
    await ada.tab.is("location.pathname.startsWith('/room/')");
    const room = String(await ada.tab.evaluate("location.href"));
    await ada.enter(room);
    await ada.button("Play");
    await ben.enter(room);
    await ben.tab.is("window.film?.resumed !== undefined");
    await expectTogether(ada, ben);
    // The last arrow key wins; the others follow.
    await ada.tab.evaluate("document.querySelector('[type=range]').focus()");
    for (let presses = 0; presses < 20; presses++) await ada.press("ArrowRight");
    await ben.tab.is("document.querySelector('video').currentTime > 15");
    await expectTogether(ada, ben);
    await ada.tab.evaluate("film.stall = 0");
    await ben.tab.evaluate("film.stall = 0");
  });

  const expectTogether = async (one: Viewer, other: Viewer) => {
    const apart = async () => {
      const [a, b] = await Promise.all([one.offset(), other.offset()]);
      const distance = Math.abs(a - b) % 60_000;
      return Math.min(distance, 60_000 - distance);
    };
    const due = performance.now() + 5_000;
    while (performance.now() < due && (await apart()) > 300);
    expect(await apart()).toBeLessThan(300);
  };
  /** Both talk, the film plays, until the work is done. */
  const talking = async (work: Promise<unknown>) => {
    let done = false;
    const end = work.finally(() => {
      done = true;
    });
    end.catch(() => undefined);
    while (!done)
      for (const viewer of viewers) {
        await viewer.say(`word ${viewers.flatMap(({ said }) => said).length}`);
        await new Promise((resume) => setTimeout(resume, 1_000));
      }
    await end;
  };

  it("loses no message of fifty people in ten rooms in a deploy", async () => {
    crowd = await Crowd.gather(stack.url, 10, 5);
    const times = [performance.now()];
    await new Promise((resume) => setTimeout(resume, 8_000));
    times.push(performance.now());
    await change("Say something new");
    await talking(deployed());
    times.push(performance.now());
    await new Promise((resume) => setTimeout(resume, 8_000));
    times.push(performance.now());
    const count = await crowd.count();
    const rows = ["before", "during", "after"].map((phase, at) => {
      const all = crowd!.latencies(times[at]!, times[at + 1]!);
      const [p50, p95, p99, max] = [0.5, 0.95, 0.99, 1].map((share) => Math.round(quantile(all, share)));
      return { phase, messages: all.length, p50, p95, p99, max };
    });
    const closed = crowd.people.flatMap((person) => person.closed);
    const away = crowd.people.flatMap((person) => person.away);
    process.stderr.write(`${JSON.stringify({ rows, count, away: Math.max(...away) })}\n`);
    expect(count).toMatchObject({ lost: 0, doubled: 0 });
    expect(count.deliveries).toBe(count.said * 5);
    expect(new Set(closed)).toEqual(new Set([1012]));
    expect(Math.max(...away)).toBeLessThan(2_000);
    await crowd.leave();
  }, 300_000);

  it("tells viewers of the new version, and no more once it is taken back", async () => {
    for (const { tab } of viewers) await tab.is(BANNER);
    await talking(
      stack.command("rollback").then(({ status, stderr }) => {
        if (status !== 0) throw new Error(stderr);
      }),
    );
    for (const { tab } of viewers) await tab.is(`!(${BANNER})`);
    expect(await (await fetch(`${stack.url}/version`)).json()).toEqual({ commit: first });
  }, 300_000);

  it("adds to the database while the release before runs, and both viewers end on the new version", async () => {
    await change("Say something newer");
    const migration = "backend/watch_party/migrations/0002_reply.sql";
    const commit = await app.commit({ [migration]: "ALTER TABLE message ADD COLUMN reply TEXT;\n" });
    await talking(deployed());
    for (const { tab } of viewers) await tab.is(BANNER);

    const said = viewers.flatMap((viewer) => viewer.said).sort();
    for (const { tab } of viewers)
      await tab.is(`document.querySelectorAll("[data-message]").length >= ${said.length}`);
    for (const viewer of viewers) expect((await viewer.messages()).sort()).toEqual(said);
    const films = await Promise.all(viewers.map((viewer) => viewer.film()));
    process.stderr.write(`${JSON.stringify(films)}\n`);
    for (const { stall, away } of films) {
      expect(stall).toBeLessThan(2_000);
      expect(away.length).toBeGreaterThanOrEqual(3);
      expect(Math.max(...away)).toBeLessThan(2_000);
    }

    for (const viewer of viewers) {
      await viewer.tab.reload();
      await viewer.tab.is("window.film?.resumed !== undefined");
      expect((await viewer.film()).resumed).toBeLessThan(2_000);
      expect(await viewer.tab.evaluate("document.querySelector('meta[name=commit]').content")).toBe(commit);
      expect(await viewer.tab.evaluate("document.querySelector('.chat form input').placeholder")).toBe(
        "Say something newer",
      );
      expect((await viewer.messages()).sort()).toEqual(said);
    }
    expect(viewers.flatMap(({ troubles }) => troubles)).toEqual([]);
  }, 300_000);

  it("answers what is malformed, huge or unknown, and stays up", async () => {
    const room = await openRoom(stack.url, "Bad input");
    const hello = JSON.stringify({ type: "hello", key: "0123456789abcdef", name: "Eve" });
    expect(await ended(room, "nonsense")).toMatchObject({ code: 1008 });
    expect(await ended(room, hello, "x".repeat(1_000_000))).toMatchObject({ code: 1009 });
    expect(await ended("nowhere", hello)).toMatchObject({ code: 4404 });
    expect((await fetch(`${stack.url}/api/rooms`, { method: "POST", body: "{" })).status).toBe(422);
    expect((await fetch(`${stack.url}/api/rooms`, { method: "POST", body: "x".repeat(1e6) })).status).toBe(
      413,
    );
    expect((await fetch(`${stack.url}/api/rooms`)).status).toBe(200);
  });

  const ended = (room: string, ...frames: string[]) =>
    new Promise<{ code: number }>((resolve) => {
      const socket = new WebSocket(`${stack.url.replace("http", "ws")}/api/rooms/${room}/socket`);
      socket.onopen = () => {
        for (const frame of frames) socket.send(frame);
      };
      socket.onclose = ({ code }) => resolve({ code });
    });

  it("changes nothing when nothing changed, and is gone when destroyed", async () => {
    expect(await stack.up()).toMatchObject({ ok: true, changes: {} });
    expect((await stack.remove()).ok).toBe(true);
    expect(await leftovers(stack.name)).toEqual([]);
  });

  it("has a backend that its own lint, types and tests find nothing in", async () => {
    const build = ["build", "--quiet", "--target", "checks", join(app.folder, "backend")];
    const { stdout } = await execa("docker", build, { env: { DOCKER_BUILDKIT: "1" } });
    await execa("docker", ["image", "rm", stdout.trim()]);
  }, 300_000);
});
