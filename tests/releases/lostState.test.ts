import { rmSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import execa from "execa";
import { TestApp } from "../support/app";
import { underLoad } from "../support/load";
import { inMatrix, timed } from "../support/matrix";
import { leftovers, TestStack } from "../support/stack";
import { withVariables } from "../support/variables";

const docker = async (...args: string[]) => (await execa("docker", args)).stdout.trim();

/** One story on a real engine: what a stack needs besides its containers gets lost, piece by piece. */
describe("a stack that has lost", () => {
  const commits: string[] = [];
  let app: TestApp;
  let stack: TestStack;

  const served = async () => (await fetch(`${stack.url}/api/hello`)).text();
  const assetOf = (text: string) => `${stack.url}/assets/${text}.txt`;
  const deploy = async (text: string) => {
    const files = { "frontend/message.txt": `${text}\n`, "backend/message.txt": `${text}\n` };
    commits.push(await app.commit(files));
    const { ok, said } = await stack.up();
    expect(ok ? "" : said).toBe("");
  };
  /** A command that has to succeed. */
  const good = async (name: string, ...options: string[]) => {
    const { status, stdout, stderr } = await stack.command(name, ...options);
    expect({ status, stderr: status === 0 ? "" : stderr }).toEqual({ status: 0, stderr: "" });
    return { stdout, stderr };
  };
  const edge = async (script: string) => docker("exec", await stack.container("edge"), "sh", "-c", script);
  const loseState = () => rmSync(join(stack.folder, ".state", ".pulumi"), { recursive: true });
  const names = async () => (await leftovers(stack.name)).sort();

  beforeAll(async () => {
    app = await TestApp.create();
    const built =
      'RUN mkdir -p /app/public/assets && cp message.txt "/app/public/assets/$(cat message.txt).txt"';
    const dockerfile = app.read("frontend/Dockerfile").replace(/^COPY \. \.$/m, `$&\n${built}`);
    await app.commit({ "frontend/Dockerfile": dockerfile });
    const services = {
      frontend: { assets: { "/assets": "/app/public/assets" } },
      backend: { volumes: { data: "/data" } },
    };
    stack = await TestStack.create({ source: app.folder, services });
    await deploy("one");
    await deploy("two");
    const backend = await stack.container("backend");
    await docker("exec", "--user", "0", backend, "sh", "-c", "echo kept > /data/kept");
  });
  afterAll(async () => {
    await stack?.remove();
    app?.remove();
  });

  it.each([
    {
      fault: "the edge's volume is emptied",
      link: "served" as const,
      script: "rm -rf /edge/*",
      found:
        /the edge's volume does not say which release the edge serves; expected files that lead to release \S+, found no such files/,
    },
    {
      fault: "the assets that the edge keeps for earlier releases are removed",
      link: "browser" as const,
      script: "rm -rf /edge/assets",
      found:
        /do not find their assets; expected the assets of 2 releases in the edge's volume, found none of \w+, \w+/,
    },
  ])(
    "the content of the edge's volume: verify reports it when $fault, and the next up restores it",
    (fault) =>
      inMatrix({ into: "running", ...fault }, async (row) => {
        await edge(fault.script);
        const { status, stderr } = await timed(row, () => stack.verify());
        expect(stderr).toMatch(
          new RegExp(
            `^error: freshness: ${fault.link} of every service: .*; expected .*, found .*\\. Deploy again`,
          ),
        );
        expect(stderr).toMatch(fault.found);
        expect(status).toBe(1);
        row.detected = true;
        row.twin = false;
        const { stdout } = await good("up");
        expect(stdout).toContain("the edge's volume had lost files: written again from the kept releases");
        expect(await served()).toBe("two\n");
        // The release that runs has no such file any more.
        expect((await fetch(assetOf("one"))).status).toBe(200);
        expect(JSON.parse(await edge("cat /edge/releases.json"))).toHaveLength(2);
        expect((await stack.verify()).status).toBe(0);
        row.twin = true;
      }),
  );

  it("the images of a kept release: verify, releases and rollback report it, and the printed remedy restores them", () =>
    inMatrix(
      { into: "running", fault: "the images of a kept release are pruned", link: "image" },
      async (row) => {
        const [one] = commits as [string];
        for (const service of ["frontend", "backend"])
          await docker("image", "rm", "--force", `watch-party-${stack.name}-${service}:${one.slice(0, 12)}`);
        const { status, stdout, stderr } = await timed(row, () => stack.verify("--json"));
        const words = `release ${one.slice(0, 12)} (no image of backend and frontend) cannot be rolled back to; build it with "WATCH_PARTY_COMMIT=${one} npm run up -- --stack ${stack.name} --allow-older"`;
        expect(stderr).toContain(words);
        expect(JSON.parse(stdout).links).toContainEqual(
          expect.objectContaining({
            link: "image",
            service: "every service",
            status: "not checked",
            found: words,
          }),
        );
        // What is served is not touched by it.
        expect(status).toBe(0);
        expect(JSON.parse((await good("releases", "--json")).stdout)).toMatchObject([
          { gone: [], running: true },
          { commit: one, gone: ["backend", "frontend"] },
        ]);
        expect((await good("releases")).stdout).toContain(
          "cannot be rolled back to: no image of backend and frontend",
        );
        const rollback = await stack.command("rollback");
        expect(rollback.stderr).toContain(
          `has no image of frontend and backend on this engine any more; build it with "WATCH_PARTY_COMMIT=${one} npm run up`,
        );
        expect(rollback.status).toBe(1);
        expect(await served()).toBe("two\n");
        row.detected = true;
        row.twin = false;
        await withVariables({ WATCH_PARTY_COMMIT: one }, () => good("up", "--allow-older"));
        expect(await served()).toBe("one\n");
        await good("up");
        expect(await served()).toBe("two\n");
        const again = await stack.verify();
        expect({ status: again.status, stderr: again.stderr }).toEqual({ status: 0, stderr: "" });
        row.twin = true;
      },
    ));

  it("a container: the next up creates it again", async () => {
    await docker("rm", "--force", await stack.container("backend"));
    const { stdout } = await good("up");
    expect(stdout).toMatch(
      /backend does not run as it was deployed: .*; its release is started in new containers/,
    );
    expect(await served()).toBe("two\n");
    expect((await stack.verify()).status).toBe(0);
  });

  it("its state: up lists the running resources and changes nothing", async () => {
    loseState();
    const before = await names();
    const { status, stderr } = await stack.command("up");
    expect(stderr).toMatch(
      /does not have what runs under its name on this engine: containers (.*, )?edge-\w{7} \(serves release \S+\).*; network edge-network-\w{7}; volumes (.*, )?edge-routes-\w{7}/,
    );
    expect(status).toBe(1);
    expect(await names()).toEqual(before);
    expect(await served()).toBe("two\n");
  });

  it("its state: --adopt takes over network and volumes, and keeps serving except while the edge is replaced", async () => {
    const volumes = (await names()).filter((name) => name.startsWith("volume"));
    const { result, ...load } = await underLoad([`${stack.url}/api/hello`, `${stack.url}/`], () =>
      good("up", "--adopt"),
    );
    expect(result.stdout).toContain("takes over what the engine has of this stack: ");
    expect(load.outage).toBeLessThan(5);
    expect(await served()).toBe("two\n");
    const now = await names();
    expect(now.filter((name) => name.startsWith("volume"))).toEqual(volumes);
    expect(now.map((name) => name.replace(/-[0-9a-f]{7}$/, ""))).toEqual([
      "container backend",
      "container edge",
      "container frontend",
      "network edge-network",
      "volume edge-certificates",
      "volume edge-routes",
      `volume watch-party-${stack.name}-data`,
    ]);
    expect(await docker("exec", await stack.container("backend"), "cat", "/data/kept")).toBe("kept");
    expect((await good("leftovers")).stdout).toContain("nothing: everything is in the state of stack");
    expect((await stack.verify()).status).toBe(0);
    // It is a stack as any other: nothing changes.
    expect((await good("up")).stdout).toMatch(/\d+ unchanged/);
    expect(await names()).toEqual(now);
  });

  it("its state: leftovers --remove removes containers and networks but no volume, and --adopt finds the volumes", async () => {
    loseState();
    expect((await stack.command("up")).status).toBe(1);
    const volumes = (await names()).filter((name) => name.startsWith("volume"));
    expect((await good("leftovers", "--remove")).stdout).toContain("removed; volumes stay");
    expect(await names()).toEqual(volumes);
    await good("up", "--adopt");
    expect((await names()).filter((name) => name.startsWith("volume"))).toEqual(volumes);
    expect(await docker("exec", await stack.container("backend"), "cat", "/data/kept")).toBe("kept");
    expect((await stack.verify()).status).toBe(0);
  });
});
