import { afterAll, beforeAll, describe, expect, it, jest } from "@jest/globals";
import { TestApp } from "../support/app";
import { freePort, leftovers, TestStack } from "../support/stack";
import { TestSwarm } from "../support/swarm";

jest.setTimeout(300_000);

/** The plugin gives up a service's removal where its containers take all the time that they are given to end. */
describe("an app on a Swarm that ignores that it is to end", () => {
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

  it("is deployed, and changes nothing after that, before and after a refresh", async () => {
    commit = await app.git("rev-parse", "HEAD");
    await deploys();
    expect(await served()).toBe(commit);
    expect(await deploys()).toEqual([]);
    expect(await deploys({ refresh: true })).toEqual([]);
  });

  it("goes to a new commit, and the next `up` finds nothing left", async () => {
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
