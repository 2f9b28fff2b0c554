import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import execa from "execa";
import { TestApp } from "../support/app";
import { DockerShim } from "../support/dockerShim";
import { underLoad } from "../support/load";
import { TestStack } from "../support/stack";

const OWN = "/app/.cache";
const KEPT = "/var/cache/app";

/** One story: two services that have filled their caches, one of them in a volume. */
describe("clear-caches", () => {
  const shim = new DockerShim();
  let app: TestApp;
  let stack: TestStack;

  const fill = async () => {
    for (const [service, path] of [
      ["frontend", OWN],
      ["backend", KEPT],
    ] as const) {
      const script = `mkdir -p ${path} && head -c 1000000 /dev/zero > ${path}/old`;
      await execa("docker", ["exec", "--user", "0", await stack.container(service), "sh", "-c", script]);
    }
  };
  const has = async (service: string, path: string) => {
    const look = ["exec", await stack.container(service), "test", "-e", `${path}/old`];
    return (await execa("docker", look, { reject: false })).exitCode === 0;
  };
  const clear = (...args: string[]) => stack.command("clear-caches", ...args);

  beforeAll(async () => {
    app = await TestApp.create();
    const services = {
      frontend: { caches: [OWN] },
      backend: { caches: [KEPT], volumes: { cache: KEPT } },
    };
    stack = await TestStack.create({ source: app.folder, services }, { PATH: shim.path });
    const { ok, said } = await stack.up();
    if (!ok) throw new Error(said);
    await fill();
  });
  afterAll(async () => {
    await stack?.remove();
    app?.remove();
    shim.remove();
  });

  it("knows its targets", async () => {
    const { status, stderr } = await clear("database");
    expect(stderr).toContain('there is no target "database"; allowed: all, frontend, backend');
    expect(status).toBe(2);
  });

  it("lists the caches without clearing them", async () => {
    const before = await stack.container("frontend");
    const { status, stdout } = await clear("all", "--dry-run");
    expect(stdout).toMatch(/^frontend \/app\/\.cache: 1\.00 MB$/m);
    expect(stdout).toMatch(/^backend \/var\/cache\/app: 1\.00 MB, in volume \S+$/m);
    expect(stdout).toMatch(/^build cache: \S+, \S+.* of it used by no image; docker builder prune -f$/m);
    expect(status).toBe(0);
    expect(await stack.container("frontend")).toBe(before);
    expect([await has("frontend", OWN), await has("backend", KEPT)]).toEqual([true, true]);
  });

  it("clears a service's caches without a failed request, proves it again, and the next deploy changes nothing", async () => {
    const { result, requests, failures } = await underLoad([`${stack.url}/`, `${stack.url}/api/hello`], () =>
      clear("frontend"),
    );
    expect({ ...result, stderr: result.status === 0 ? "" : result.stderr }).toMatchObject({
      status: 0,
      stderr: "",
    });
    expect(result.stdout).toContain(`frontend ${OWN}: 1.00 MB cleared`);
    expect(result.stdout).not.toContain("backend");
    expect(requests).toBeGreaterThan(100);
    expect(failures.slice(0, 5)).toEqual([]);
    expect([await has("frontend", OWN), await has("backend", KEPT)]).toEqual([false, true]);
    const { ok, changes } = await stack.up();
    expect({ ok, changes }).toEqual({ ok: true, changes: {} });
  });

  it("clears everything, including volumes and the build cache, and prints only JSON", async () => {
    await fill();
    await execa("docker", ["build", "--quiet", "-"], {
      input: "FROM debian:bookworm-slim\nRUN head -c 2000000 /dev/urandom > /filler\n",
      env: { DOCKER_BUILDKIT: "1" },
    }).then(({ stdout }) => execa("docker", ["image", "rm", stdout]));
    const { status, stdout } = await clear("all", "--json");
    expect(JSON.parse(stdout)).toEqual([
      { target: "build cache", path: "", bytes: expect.any(Number), cleared: true },
      { target: "frontend", path: OWN, bytes: expect.any(Number), cleared: true },
      { target: "backend", path: KEPT, bytes: expect.any(Number), cleared: true },
    ]);
    for (const { bytes } of JSON.parse(stdout)) expect(bytes).toBeGreaterThan(900_000);
    expect(status).toBe(0);
    expect([await has("frontend", OWN), await has("backend", KEPT)]).toEqual([false, false]);
    expect((await stack.verify()).status).toBe(0);
  });

  it("reports that a service has no caches, and restarts nothing", async () => {
    const before = await stack.container("frontend");
    const { status, stdout } = await clear("frontend");
    expect(stdout).toContain(`frontend ${OWN}: 0.00 MB cleared`);
    expect(status).toBe(0);
    expect(await stack.container("frontend")).toBe(before);
  });

  it("fails if the build cache is not cleared, and if a service does not come back", async () => {
    const mend = await shim.install('case "$*" in "builder prune"*) echo "no space" >&2; exit 1 ;; esac');
    const pruned = await clear("all");
    await mend();
    expect(pruned.stderr).toContain("docker builder prune: no space");
    expect(pruned.status).toBe(1);

    await fill();
    const serving = await stack.container("frontend");
    const mended = await shim.install('case "$*" in *wget*) exit 1 ;; esac');
    const restarted = await clear("frontend");
    await mended();
    expect(restarted.stdout).toContain(`frontend ${OWN}: not cleared`);
    expect(restarted.status).toBe(1);
    await execa("docker", ["exec", serving, "test", "-e", `${OWN}/old`]);
    expect((await fetch(`${stack.url}/`)).status).toBe(200);
  });
});
