import { readFileSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import execa from "execa";
import { parse } from "yaml";
import { TestApp } from "../support/app";
import { FULL } from "../support/matrix";
import { measuredOn } from "../support/measuredOn";
import { Crowd, openRoom } from "../support/party";
import { freePort, leftovers, TestStack } from "../support/stack";
import { exampleDocument, type Round, roundTable } from "./document";
import { type Film, Viewer } from "./viewer";

const PROJECT = resolve(__dirname, "..", "..");
/** As stack dev deploys it: with a volume, and a command that migrates. */
const services = parse(readFileSync(join(PROJECT, "Pulumi.dev.yaml"), "utf8")).config["watch-party:services"];
const CHAT = "frontend/components/Chat.tsx";
const BANNER = "document.querySelector('.new-version p') !== null";
/** Deploys of a new version under the party; one more is taken back. */
const DEPLOYS = Array.from({ length: FULL ? 4 : 1 }, (_, at) => at + 1);
/** How long a viewer may be without the film or the room, in milliseconds; longer where other suites share the machine. */
const PATIENCE_MS = FULL ? 2_000 : 6_000;
/** How long the crowd talks before and after a deploy, in milliseconds. */
const AROUND_MS = FULL ? 10_000 : 4_000;
/** Milliseconds between two messages of the viewers: a reloaded page gets the last 200, and all are counted. */
const BETWEEN_MS = FULL ? 3_000 : 1_000;

const pause = (milliseconds: number) => new Promise((resume) => setTimeout(resume, milliseconds));

/** The real thing, once: a Next.js frontend and a FastAPI backend, people in it, and deploys under them. */
describe("the example app", () => {
  let app: TestApp;
  let stack: TestStack;
  let viewers: Viewer[] = [];
  let crowd: Crowd | undefined;
  let destroyed = false;
  /** What the two viewers said. */
  const said: string[] = [];
  /** Of the versions deployed so far, the oldest first. */
  const commits: string[] = [];
  const rounds: Round[] = [];

  beforeAll(async () => {
    app = await TestApp.create("examples/watch-party");
    stack = await TestStack.create({ source: app.folder, services });
  });
  afterAll(async () => {
    await crowd?.leave();
    await Promise.all(viewers.map((viewer) => viewer.close()));
    if (stack && !destroyed) await stack.remove();
    app?.remove();
  }, 120_000);

  const deployed = async () => {
    const outcome = await stack.up();
    if (!outcome.ok) throw new Error(outcome.said);
    commits.push(await app.git("rev-parse", "HEAD"));
  };
  /** Both talk until the work is done. */
  const talking = async (work: Promise<unknown>) => {
    let done = false;
    const end = work.finally(() => {
      done = true;
    });
    end.catch(() => undefined);
    while (!done)
      for (const viewer of viewers) {
        said.push(`word ${said.length}`);
        await viewer.say(said.at(-1)!);
        await pause(BETWEEN_MS);
      }
    await end;
  };
  const apart = async (one: Viewer, other: Viewer) => {
    const [a, b] = await Promise.all([one.offset(), other.offset()]);
    const distance = Math.abs(a - b) % 60_000;
    return Math.min(distance, 60_000 - distance);
  };
  /** Within 300 ms: a film that jumped runs a little faster or slower for some seconds until it is right. */
  const together = async (one: Viewer, other: Viewer) => {
    while ((await apart(one, other)) > 300) await pause(50);
  };
  /** All that both said is on both pages, once. */
  const expectAllSaid = async () => {
    for (const viewer of viewers) {
      await viewer.tab.is(`document.querySelectorAll("[data-message]").length >= ${said.length}`);
      expect((await viewer.messages()).sort()).toEqual([...said].sort());
    }
  };
  /** What the viewers had of a switch, and then, after a plain reload, of the version that is served now. */
  const afterSwitch = async (commit: string): Promise<Film[]> => {
    for (const { tab } of viewers) await tab.is(BANNER);
    await expectAllSaid();
    const films = await Promise.all(viewers.map((viewer) => viewer.film()));
    for (const { stall, away } of films) {
      expect(away).toHaveLength(1);
      expect(Math.max(stall, ...away)).toBeLessThan(PATIENCE_MS);
    }
    const reloaded: Film[] = [];
    for (const [at, viewer] of viewers.entries()) {
      await viewer.tab.reload();
      await viewer.tab.is("window.film?.resumed !== undefined");
      const { resumed } = await viewer.film();
      expect(resumed).toBeLessThan(PATIENCE_MS);
      reloaded.push({ ...films[at]!, resumed });
      expect(await viewer.tab.evaluate("document.querySelector('meta[name=commit]').content")).toBe(commit);
    }
    await expectAllSaid();
    expect(viewers.flatMap(({ troubles }) => troubles).join("\n")).toBe("");
    return reloaded;
  };

  it("deploys on a new stack and serves its commit", async () => {
    await deployed();
    for (const service of ["frontend", "backend"])
      expect(await (await fetch(`${stack.url}/.freshness/${service}`)).json()).toEqual({
        commit: commits[0],
      });
  }, 480_000);

  it("lists the backend's rooms in its page", async () => {
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
    await together(ada, ben);
    // The last arrow key wins; the others follow.
    await ada.tab.evaluate("document.querySelector('[type=range]').focus()");
    for (let presses = 0; presses < 20; presses++) await ada.press("ArrowRight");
    await ben.tab.is("document.querySelector('video').currentTime > 15");
    await together(ada, ben);
    for (const { tab } of viewers) await tab.evaluate("film.stall = 0");
  }, 90_000);

  it.each(DEPLOYS)(
    "keeps fifty users in ten rooms and both viewers through a deploy with a migration (%i)",
    async (number) => {
      crowd = await Crowd.gather(stack.url, 10, 5);
      const times = [performance.now()];
      await pause(AROUND_MS);
      times.push(performance.now());
      const migration = `backend/watch_party/migrations/${String(number + 1).padStart(4, "0")}_more.sql`;
      await app.commit({
        [CHAT]: app.read(CHAT).replace(/placeholder=".*"/, `placeholder="Say something new (${number})"`),
        [migration]: `ALTER TABLE message ADD COLUMN more_${number} TEXT;\n`,
      });
      await talking(deployed());
      times.push(performance.now());
      await pause(AROUND_MS);
      times.push(performance.now());
      const count = await crowd.count();
      const latencies = times.slice(1).map((end, at) => crowd!.latencies(times[at]!, end));
      const { closed, away } = crowd;
      await crowd.leave();

      const round: Round = { latencies, count, away, films: await afterSwitch(commits.at(-1)!) };
      process.stderr.write(`${roundTable(round)}\n`);
      rounds.push(round);
      expect(count).toMatchObject({ lost: 0, doubled: 0, deliveries: count.said * 5 });
      // Each was put out once, by the word that the service restarts, and came back.
      expect(closed).toEqual(Array(50).fill(1012));
      expect(Math.max(...away)).toBeLessThan(PATIENCE_MS);
      for (const { tab } of viewers)
        expect(await tab.evaluate("document.querySelector('.chat form input').placeholder")).toBe(
          `Say something new (${number})`,
        );
    },
    480_000,
  );

  it("keeps both viewers when a refused deploy has migrated the database", async () => {
    await talking(
      stack.command("rollback").then(({ status, stderr }) => {
        if (status !== 0) throw new Error(stderr);
      }),
    );
    const before = commits.at(-2)!;
    expect(await (await fetch(`${stack.url}/version`)).json()).toEqual({ commit: before });
    const films = await afterSwitch(before);
    process.stderr.write(`taken back: ${JSON.stringify(films)}\n`);
    if (FULL) await writeDocument(films);
  }, 300_000);

  const writeDocument = async (takenBack: readonly Film[]) => {
    const { versions, date } = await measuredOn();
    const text = exampleDocument(rounds, takenBack, versions, date);
    writeFileSync(join(PROJECT, "docs", "example.md"), text);
  };

  it("names no missing file in its 404 page", async () => {
    const [ada] = viewers as [Viewer];
    const missing = `${stack.url}/room/nowhere`;
    await ada.go(missing);
    await ada.tab.is("document.body.innerText.includes('There is nothing here')");
    const files = (await ada.tab.evaluate(
      "[...document.querySelectorAll('link[href], script[src]')].map((each) => each.href || each.src)",
    )) as string[];
    // Without an icon in the page a browser requests /favicon.ico, which does not exist.
    expect(files).toContainEqual(expect.stringContaining("/icon.svg"));
    for (const file of files) expect(await fetch(file)).toMatchObject({ status: 200 });
    expect(ada.troubles.filter((each) => !each.includes(missing))).toEqual([]);
  });

  it("answers malformed, huge and unknown messages, and keeps running", async () => {
    const room = await openRoom(stack.url, "Bad input");
    const hello = JSON.stringify({ type: "hello", key: "0123456789abcdef", name: "Eve" });
    expect(await answered(room, "nonsense")).toEqual({ errors: ["no_hello"], code: 1008 });
    expect(await answered(room, hello, "{")).toEqual({ errors: ["malformed"], code: 1000 });
    expect(await answered(room, hello, "x".repeat(20_000))).toEqual({ errors: [], code: 1009 });
    // The word that it is too long may be lost with the connection when the rest of the frame is still on its way.
    expect([1006, 1009]).toContain((await answered(room, hello, "x".repeat(1_000_000))).code);
    expect(await answered("nowhere", hello)).toEqual({ errors: ["unknown_room"], code: 4404 });
    const post = async (body: string) =>
      (await fetch(`${stack.url}/api/rooms`, { method: "POST", body })).status;
    expect(await post("{")).toBe(422);
    expect(await post("x".repeat(1_000_000))).toBe(413);
    expect((await fetch(`${stack.url}/api/rooms`)).status).toBe(200);
  });

  /** What a room answers to frames, until it or, after the first word of what is malformed, this end closes the socket. */
  const answered = (room: string, ...frames: string[]) =>
    new Promise<{ errors: string[]; code: number }>((resolve) => {
      const socket = new WebSocket(`${stack.url.replace("http", "ws")}/api/rooms/${room}/socket`);
      const errors: string[] = [];
      socket.onopen = () => {
        for (const frame of frames) socket.send(frame);
      };
      socket.onmessage = ({ data }) => {
        const { type, code } = JSON.parse(String(data)) as { type: string; code: string };
        if (type !== "error") return;
        errors.push(code);
        if (code === "malformed") socket.close(1000);
      };
      socket.onclose = ({ code }) => resolve({ errors, code });
    });

  it("reports unsaved data on a full disk, keeps serving, and saves again with free space", async () => {
    const { images, commit } = (await stack.outputs()) as { images: Record<string, string>; commit: string };
    const port = await freePort();
    const url = `http://127.0.0.1:${port}`;
    const start =
      "python -m watch_party.migrate && exec python -m uvicorn watch_party.main:app --host 0.0.0.0 --port 8000";
    const disk = ["--tmpfs", "/tmp", "--tmpfs", "/data:size=1m,uid=10001,gid=10001"];
    const run = ["run", "--detach", "--rm", "--read-only", ...disk, "--env", "DATABASE=/data/state.db"];
    const publish = ["--publish", `127.0.0.1:${port}:8000`, images.backend!, "sh", "-c", start];
    const { stdout: id } = await execa("docker", [...run, ...publish]);
    try {
      const health = () =>
        fetch(`${url}/healthz`).then(
          ({ status }) => status,
          () => 0,
        );
      for (const deadline = Date.now() + 30_000; (await health()) !== 200; await pause(100))
        if (Date.now() > deadline) throw new Error("the backend with a small disk does not start");
      const fill = execa("docker", ["exec", id, "dd", "if=/dev/zero", "of=/data/filler", "bs=1k"]);
      await expect(fill).rejects.toThrow("No space left on device");
      await expect(openRoom(url, "No room left")).rejects.toThrow(/507.*storage_full/);
      expect(await health()).toBe(200);
      expect(await (await fetch(`${url}/version`)).json()).toEqual({ commit });
      await execa("docker", ["exec", id, "rm", "/data/filler"]);
      expect(await openRoom(url, "Room again")).toEqual(expect.any(String));
    } finally {
      await execa("docker", ["container", "rm", "--force", id]);
    }
  });

  it("changes nothing on a second up, and leaves nothing after destroy", async () => {
    expect(await stack.up()).toMatchObject({ ok: true, changes: {} });
    expect((await stack.remove()).ok).toBe(true);
    destroyed = true;
    expect(await leftovers(stack.name)).toEqual([]);
  });

  it("has a backend that passes its own lint, types and tests", async () => {
    const build = ["build", "--quiet", "--target", "checks", join(app.folder, "backend")];
    const { stdout } = await execa("docker", build, { env: { DOCKER_BUILDKIT: "1" } });
    await execa("docker", ["image", "rm", stdout.trim()]);
  }, 300_000);
});
