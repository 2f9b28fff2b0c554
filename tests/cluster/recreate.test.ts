import { afterAll, beforeAll, expect, it, jest } from "@jest/globals";
import { TestApp } from "../support/app";
import { freePort, TestStack } from "../support/stack";
import { TestSwarm } from "../support/swarm";

jest.setTimeout(400_000);

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
  const config = {
    source: app.folder,
    listen: `0.0.0.0:${port}`,
    publicUrl: url,
    cluster: "swarm",
    registry: { address: swarm.registry, user: "test" },
    registryPassword: "test",
    services: { backend: { volumes: { data: "/data" }, strategy: "recreate", startSeconds: 10 } },
  };
  stack = await TestStack.create(config, { DOCKER_HOST: swarm.manager.host });
});
afterAll(async () => {
  await stack?.remove();
  app?.remove();
  await swarm?.remove();
});

const served = async () => {
  const answer = await fetch(`${url}/.freshness/backend`, { signal: AbortSignal.timeout(5_000) });
  return answer.ok ? ((await answer.json()) as { commit: string }).commit : `status ${answer.status}`;
};
/** The tasks of the service that run, and those that ever did. */
const tasks = async () => {
  const filter = ["--filter", `label=watch-party.service=backend`, "--format", "{{.ID}} {{.Replicas}}"];
  return (await swarm.manager.docker("service", "ls", ...filter)).split("\n").filter((line) => line !== "");
};

it("stops the old tasks of a service on a Swarm before the new ones start, and starts them again where those are refused", async () => {
  for (const text of ["one\n", "two\n"]) {
    const commit = await app.commit({ "backend/message.txt": text });
    const outcome = await stack.up();
    expect(outcome.ok ? "" : outcome.said).toBe("");
    expect(await served()).toBe(commit);
    expect(await tasks()).toEqual([expect.stringMatching(/ 1\/1$/)]);
  }
  const before = await served();
  const [old] = await tasks();
  await app.commit({ "backend/UNHEALTHY": "" });
  const refused = await stack.up();
  expect(refused.ok).toBe(false);
  const back = async () => (await tasks()).filter((task) => !task.endsWith(" 0/0"));
  for (const deadline = Date.now() + 60_000; Date.now() < deadline; )
    if (JSON.stringify(await back()) === JSON.stringify([old])) break;
  expect(await back()).toEqual([old]);
  expect(await served()).toBe(before);

  const commit = await app.commit({ "backend/UNHEALTHY": null });
  const outcome = await stack.up();
  expect(outcome.ok ? "" : outcome.said).toBe("");
  expect(await served()).toBe(commit);
  expect(await tasks()).toEqual([expect.stringMatching(/ 1\/1$/)]);
});
