import { afterAll, beforeAll, describe, expect, it, jest } from "@jest/globals";
import { TestApp } from "../support/app";
import { FULL } from "../support/matrix";
import { freePort, leftovers, TestStack } from "../support/stack";
import { TestSwarm, until } from "../support/swarm";

jest.setTimeout(300_000);

/** The plugin gives up a service's removal where its containers take all the time that they are given to end. */
describe("an app on a Swarm that ignores SIGTERM", () => {
  let swarm: TestSwarm;
  let app: TestApp;
  let stack: TestStack;
  let url: string;
  let commit: string;

  const deploys = async (options: { refresh?: boolean } = {}) => {
    const outcome = await stack.up(options);
    expect(outcome.ok ? "" : outcome.said).toBe("");
    return Object.entries(outcome.changes).filter(([, op]) => op !== "refresh");
  };
  const served = async () => {
    const response = await fetch(`${url}/.freshness/backend`);
    return ((await response.json()) as { commit: string }).commit;
  };

  beforeAll(async () => {
    app = await TestApp.create();
    const deaf = "signal.signal(signal.SIGTERM, signal.SIG_IGN)\nsignal.signal = lambda *_: None\n";
    await app.commit({
      "backend/server.py": app
        .read("backend/server.py")
        .replace('if __name__ == "__main__":', `${deaf}\nif __name__ == "__main__":`),
    });
    swarm = await TestSwarm.start(1);
    await swarm.load(["python:3.11-slim-bookworm"]);
    await swarm.publish(["caddy:2.11"]);
    const port = await freePort();
    url = `http://${swarm.manager.address}:${port}`;
    const services = { backend: { route: "/", startSeconds: 60, capabilities: ["NET_BIND_SERVICE"] } };
    stack = await TestStack.create(
      {
        ...{ source: app.folder, listen: `0.0.0.0:${port}`, publicUrl: url, services },
        ...{ cluster: "swarm", registryPassword: "test" },
        registry: { address: swarm.registry, user: "test" },
      },
      { DOCKER_HOST: swarm.manager.host },
    );
  });
  afterAll(async () => {
    await stack?.remove();
    app?.remove();
    await swarm?.remove();
  });

  it("deploys, and a second up changes nothing, before and after a refresh", async () => {
    commit = await app.git("rev-parse", "HEAD");
    await deploys();
    expect(await served()).toBe(commit);
    expect(await deploys()).toEqual([]);
    expect(await deploys({ refresh: true })).toEqual([]);
  });

  it("deploys a new commit, and the next `up` finds no leftovers", async () => {
    commit = await app.commit({ "backend/message.txt": "hello v2\n" });
    await deploys();
    expect(await served()).toBe(commit);
    expect(await swarm.manager.docker("service", "ls", "--quiet")).toMatch(/^\S+$/);
    expect(await deploys()).toEqual([]);
  });

  it("is destroyed", async () => {
    const { ok, said } = await stack.remove();
    expect(ok ? "" : said).toBe("");
    expect(await leftovers(stack.name, swarm.manager.host)).toEqual([]);
  });
});

/** Four deploys and a Swarm take a minute and a half. */
if (FULL)
  describe("a service of strategy recreate on a Swarm", () => {
    let swarm: TestSwarm;
    let app: TestApp;
    let stack: TestStack;
    let url: string;

    beforeAll(async () => {
      app = await TestApp.create();
      swarm = await TestSwarm.start(1);
      await swarm.load(["python:3.11-slim-bookworm"]);
      await swarm.publish(["caddy:2.11"]);
      const port = await freePort();
      url = `http://${swarm.manager.address}:${port}`;
      const backend = { volumes: { data: "/data" }, strategy: "recreate", startSeconds: 10 };
      stack = await TestStack.create(
        {
          source: app.folder,
          listen: `0.0.0.0:${port}`,
          publicUrl: url,
          cluster: "swarm",
          registry: { address: swarm.registry, user: "test" },
          registryPassword: "test",
          services: { backend },
        },
        { DOCKER_HOST: swarm.manager.host },
      );
    });
    afterAll(async () => {
      await stack?.remove();
      app?.remove();
      await swarm?.remove();
    });

    const deploys = async (files: Record<string, string | null>) => {
      const commit = await app.commit(files);
      const outcome = await stack.up();
      expect(outcome.ok ? "" : outcome.said).toBe("");
      expect(await served()).toBe(commit);
      return commit;
    };
    const served = async () => {
      const answer = await fetch(`${url}/.freshness/backend`, { signal: AbortSignal.timeout(5_000) });
      return answer.ok ? ((await answer.json()) as { commit: string }).commit : `status ${answer.status}`;
    };
    /** The Swarm's services of the app's that have tasks, each with how many run of how many. */
    const running = async () => {
      const filter = ["--filter", "label=watch-party.service=backend", "--format", "{{.ID}} {{.Replicas}}"];
      const listed = await swarm.manager.docker("service", "ls", ...filter);
      return listed.split("\n").filter((line) => line !== "" && !line.endsWith(" 0/0"));
    };
    /** The most containers of it that ran at once while the work went on, as the engine tells. */
    const atOnce = async (work: () => Promise<unknown>) => {
      const name = '{{index .Actor.Attributes "com.docker.swarm.service.name"}}';
      const now = async () => (await swarm.manager.docker("info", "--format", "{{.SystemTime}}")).trim();
      const since = await now();
      let count = (await running()).length;
      await work();
      const events = await swarm.manager.docker(
        ...["events", "--since", since, "--until", await now(), "--format", `{{.Action}} ${name}`],
        ...["--filter", "type=container", "--filter", "event=start", "--filter", "event=die"],
      );
      const counts = events
        .split("\n")
        .filter((line) => / backend/.test(line))
        .map((line) => (count += line.startsWith("start") ? 1 : -1));
      expect(counts.length).toBeGreaterThan(1);
      return Math.max(...counts);
    };

    it("stops its old tasks before the new ones start", async () => {
      await deploys({});
      expect(await atOnce(() => deploys({ "backend/message.txt": "two\n" }))).toBe(1);
      expect(await running()).toEqual([expect.stringMatching(/ 1\/1$/)]);
    });

    it("is refused with the log if its tasks end by themselves, and deployed once they do not", async () => {
      const before = await served();
      const server = app.read("backend/server.py");
      const ends = `import os, threading\nthreading.Timer(14, lambda: (print("cannot go on"), os._exit(3))).start()\n`;
      // The program ends while the deploy still watches it.
      await stack.configure({ settleSeconds: "25" });
      await app.commit({ "backend/server.py": ends + server });
      const { ok, said } = await stack.up();
      expect(ok).toBe(false);
      expect(said).toMatch(/freshness: container of backend: tasks of the service do not keep running/);
      expect(said).toContain('See "docker service logs" on the manager, fix what ends the program');
      await until("the old version", async () => (await served()) === before);

      await stack.configure({ settleSeconds: "1" });
      await deploys({ "backend/server.py": server });
    });

    it("starts them again if the new ones are refused, and deploys the next commit", async () => {
      const before = await served();
      const [old] = await running();
      await app.commit({ "backend/UNHEALTHY": "" });
      expect((await stack.up()).ok).toBe(false);
      await until("the old tasks alone", async () => (await running()).join() === old);
      await until("the old version", async () => (await served()) === before);

      await deploys({ "backend/UNHEALTHY": null });
      expect(await running()).toEqual([expect.stringMatching(/ 1\/1$/)]);
    });
  });
