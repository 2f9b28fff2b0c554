import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import execa from "execa";
import { parseReclaimed, pruneCommand } from "../../engine/prune";
import { TestApp } from "../support/app";
import { Browser } from "../support/chromium";
import { underLoad } from "../support/load";
import { isOfficial } from "../support/plugins";
import { leftovers, type Outcome, TestStack } from "../support/stack";
import { withVariables } from "../support/variables";

const text = async (url: string) => (await fetch(url)).text();

/** One story on a real engine: each step begins where the one before it ended. */
describe("a stack on a real engine", () => {
  let app: TestApp;
  let stack: TestStack;
  let commit: string;
  const served = async () =>
    Promise.all(
      ["frontend", "backend"].map(
        async (name) => JSON.parse(await text(`${stack.url}/.freshness/${name}`)).commit,
      ),
    );

  const profile = mkdtempSync(join(tmpdir(), "watch-party-profile-"));
  /** The page of a browser at the address, in a new tab that it reloads, with the profile of its last visit. */
  const visit = async () => {
    const browser = new Browser(profile);
    try {
      const tab = await browser.open(stack.url);
      await tab.reload();
      return await tab.text();
    } finally {
      await browser.close();
    }
  };

  beforeAll(async () => {
    app = await TestApp.create();
    const services = {
      frontend: { startSeconds: 9, args: { NOTE: "a" } },
      backend: {
        ...{ startSeconds: 9, secretEnv: { TOKEN: "t0ps3cret" } },
        capabilities: ["NET_BIND_SERVICE", "CAP_CHOWN"],
      },
    };
    stack = await TestStack.create({ source: app.folder, services });
    commit = await app.git("rev-parse", "HEAD");
  });
  afterAll(async () => {
    if (stack) await stack.remove();
    app?.remove();
    rmSync(profile, { recursive: true, force: true, maxRetries: 5 });
  });

  const deployed = async (outcome: Promise<Outcome>) => {
    const done = await outcome;
    if (!done.ok) throw new Error(done.said);
    return done;
  };

  it("serves the commit at one address: the frontend, the backend, and the one through the other", async () => {
    const outcome = await deployed(stack.up());
    expect(await served()).toEqual([commit, commit]);
    expect(await text(stack.url)).toContain("hello v1");
    expect(await text(`${stack.url}/api/hello`)).toContain("hello v1");
    expect(await text(`${stack.url}/api-check`)).toContain("hello v1");
    expect(outcome.said).toContain(`Building from commit: ${commit.slice(0, 7)}`);
    expect(outcome.said).toContain("Pruning Docker build cache…");
    expect(outcome.said).toMatch(/Total reclaimed space: /);
  });

  it("answers /.freshness only to GET and HEAD", async () => {
    const methods = ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS"];
    const asked = methods.map((method) => fetch(`${stack.url}/.freshness/backend`, { method }));
    const answers = await Promise.all(asked);
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 405, 405, 405, 405]);
    expect(answers[2]!.headers.get("allow")).toBe("GET, HEAD");
  });

  it("describes the release in its outputs, and keeps the secret out of the plain state", async () => {
    const outputs = await stack.outputs();
    expect(outputs).toMatchObject({
      url: stack.url,
      commit,
      images: { frontend: expect.stringMatching(/^sha256:/), backend: expect.stringMatching(/^sha256:/) },
      pruned: { text: expect.any(String), bytes: expect.any(Number) },
      seconds: { prune: expect.any(Number), images: expect.any(Number), total: expect.any(Number) },
      freshness: { schema: "watch-party/certificate/1", commit, stack: stack.name },
    });
    const { links } = outputs.freshness as { links: { link: string; service: string; status: string }[] };
    expect(links).toContainEqual(
      expect.objectContaining({ link: "served", service: "backend", status: "proven" }),
    );
    expect(links.every(({ status }) => status === "proven")).toBe(true);
    expect(stack.state()).toContain(commit);
    expect(stack.state()).not.toContain("t0ps3cret");
  });

  it("runs containers by digest with the security options", async () => {
    const { images } = (await stack.outputs()) as { images: Record<string, string> };
    const names = await execa("docker", [
      "ps",
      "-q",
      "--filter",
      `label=watch-party.stack=${stack.name}`,
      "--filter",
      "label=watch-party.service=backend",
    ]);
    const inspect = async () =>
      JSON.parse((await execa("docker", ["inspect", names.stdout.trim()])).stdout)[0];
    const container = await inspect();
    expect(container.Image).toBe(images.backend);
    // The deploy does not wait for the engine's own check, which is rare; it has to be one that finds the container healthy.
    const [, ...check] = container.Config.Healthcheck.Test;
    await execa("docker", ["exec", container.Id, ...check]);
    expect(container.Config.Healthcheck.Interval).toBeGreaterThanOrEqual(60e9);
    expect(container.Config.Env).toContain("TOKEN=t0ps3cret");
    expect(container.HostConfig).toMatchObject({
      CapAdd: expect.arrayContaining(["CAP_CHOWN", "CAP_NET_BIND_SERVICE"]),
      CapDrop: ["ALL"],
      SecurityOpt: ["no-new-privileges:true"],
      RestartPolicy: { Name: "always" },
      Memory: 1024 * 1024 ** 2,
      LogConfig: { Type: "json-file", Config: { "max-size": "10m", "max-file": "3" } },
    });
  });

  it("changes nothing on a second up, and proves the served version again", async () => {
    const before = (await stack.outputs()).freshness as { time: string };
    const outcome = await deployed(stack.up());
    expect(outcome.changes).toEqual({});
    expect(((await stack.outputs()).freshness as { time: string }).time > before.time).toBe(true);
  });

  it("starts few processes when nothing changed", async () => {
    const log = join(profile, "asked");
    await withDocker(`echo "$1 $2" >> ${log}`, () => deployed(stack.up()));
    const asked = readFileSync(log, "utf8").trimEnd().split("\n");
    const kinds = asked.map((line) => line.replace(/ [0-9a-f]{64}$| --.*/, ""));
    // Whether it answers, and where the edge leads; all else is asked for at its socket.
    expect(kinds.sort()).toEqual(["exec", "version"]);
  });

  it("previews without contacting an engine: no change, then the images that a new commit replaces", async () => {
    // No socket is asked then either; DOCKER_HOST would be another configuration of the provider.
    // The official plugin asks an engine by itself.
    const nowhere: Record<string, string> = isOfficial()
      ? {}
      : { DOCKER_CONTEXT: "no-engine-is-to-be-asked" };
    const preview = async () => {
      expect((await deployed(stack.preview())).changes).toEqual({});
      commit = await app.commit({
        "frontend/message.txt": "hello v2\n",
        "backend/message.txt": "hello v2\n",
      });
      const { changes } = await deployed(stack.preview());
      expect(changes).toMatchObject({
        "Image frontend": "create-replacement",
        "Image backend": "create-replacement",
      });
    };
    const refusing = 'echo "no engine is to be asked" >&2; exit 1';
    await withDocker(refusing, () => withVariables(nowhere, preview));
  });

  it("prunes before it builds, replaces both images, and switches without a failed request", async () => {
    const visited = await visit();
    expect(visited).toBe("hello v1");
    const urls = [stack.url, `${stack.url}/api/hello`];
    const { result: outcome, ...load } = await underLoad(urls, () => deployed(stack.up()));
    expect(outcome.changes).toMatchObject({
      "Command prune": "create-replacement",
      "Image frontend": "create-replacement",
      "Image backend": "create-replacement",
      "Container frontend": "create-replacement",
      "Container backend": "create-replacement",
    });
    expect(Object.keys(outcome.changes).filter((name) => name.includes("edge"))).toEqual([]);
    const at = (resource: string, moment: string) =>
      outcome.order.findIndex((step) => step.resource === resource && step.moment === moment);
    const builds = [at("Image frontend", "begins"), at("Image backend", "begins")];
    expect(at("Command prune", "ends")).toBeGreaterThanOrEqual(0);
    expect(at("Command prune", "ends")).toBeLessThan(Math.min(...builds));
    // Two builds at once that have steps in common would be one to BuildKit, which some versions do not survive.
    expect(at("Image frontend-builder", "ends")).toBeGreaterThanOrEqual(0);
    expect(at("Image frontend-builder", "ends")).toBeLessThan(at("Image frontend", "begins"));
    expect(Math.max(...builds)).toBeLessThan(
      Math.min(at("Image frontend", "ends"), at("Image backend", "ends")),
    );
    expect(await served()).toEqual([commit, commit]);
    expect(await text(`${stack.url}/api-check`)).toContain("hello v2");
    expect(load.requests).toBeGreaterThan(100);
    expect(load.failures).toEqual([]);
  });

  it("leaves no stage image and no cache record for the next prune", async () => {
    const filter = `reference=watch-party-${stack.name}-*/*`;
    expect((await execa("docker", ["image", "ls", "--quiet", "--filter", filter])).stdout).toBe("");
    const { stdout } = await execa("sh", ["-c", pruneCommand("prune")]);
    expect(parseReclaimed(stdout)).toMatchObject({ bytes: 0 });
  });

  it("shows the new version to a browser that visited the old one, on a plain reload", async () => {
    expect(await visit()).toBe("hello v2");
  });

  it("keeps serving the old version without a failed request while the new one is unhealthy, also on a retry", async () => {
    await app.commit({ "backend/UNHEALTHY": "", "backend/message.txt": "hello v3\n" });
    const load = await underLoad([stack.url, `${stack.url}/api/hello`], async () => {
      for (let attempt = 0; attempt < 2; attempt++) {
        const outcome = await stack.up();
        expect(outcome.ok).toBe(false);
        expect(outcome.said).toMatch(
          /freshness: container of backend: the new container does not become healthy; expected status 2xx of \S+\/healthz within 9 s, found no such answer \(.*503.*\)\. See its log \(docker logs backend-\S+\)/,
        );
        expect(outcome.said).not.toContain("already in use");
      }
    });
    expect(load.failures).toEqual([]);
    expect(await served()).toEqual([commit, commit]);
    expect(await text(`${stack.url}/api/hello`)).toContain("hello v2");
  });

  it("prints the output of a failed build, and keeps serving", async () => {
    const dockerfile = app.read("frontend/Dockerfile");
    await app.commit({
      "backend/UNHEALTHY": null,
      "frontend/Dockerfile": dockerfile.replace(
        /^COPY \. .*$/m,
        "$&\nRUN echo the-compiler-complains && exit 7",
      ),
    });
    // A hook tells it to a plain `pulumi up` as well, where the language host takes one.
    const { status, stderr } = await stack.command("up");
    expect(status).toBe(1);
    expect(stderr).toMatch(/^the-compiler-complains|\n *(#\d+ [\d.]+ )?the-compiler-complains/);
    expect(await served()).toEqual([commit, commit]);
    await app.commit({ "frontend/Dockerfile": dockerfile });
  });

  it("fails before any build when the prune fails", async () => {
    const failing = 'case "$*" in *"builder prune"*) echo "the prune failed on purpose" >&2; exit 1;; esac';
    const outcome = await withDocker(failing, () => stack.up());
    expect(outcome.ok).toBe(false);
    expect(outcome.said).toContain("the prune failed on purpose");
    expect(Object.keys(outcome.changes).filter((name) => name.startsWith("Image"))).toEqual([]);
    expect(await served()).toEqual([commit, commit]);
  });

  it("recovers with the next good commit: prunes, rebuilds and removes the failed release, even if cache records cannot be removed", async () => {
    commit = await app.commit({ "backend/message.txt": "hello v4\n" });
    const pruned = join(profile, "pruned");
    const once = `case "$*" in *"builder prune"*) [ ! -e ${pruned} ] || { echo "no second prune" >&2; exit 1; }; : > ${pruned};; esac`;
    const { changes, said } = await withDocker(once, () => deployed(stack.up()));
    expect(said).toMatch(/warning: the clean-up is incomplete: no second prune/);
    expect(changes).toMatchObject({
      "Command prune": "create-replacement",
      "Image backend": "create-replacement",
    });
    expect(await served()).toEqual([commit, commit]);
    expect(await text(`${stack.url}/api/hello`)).toContain("hello v4");
    const containers = (await leftovers(stack.name)).filter((each) => each.startsWith("container"));
    expect(containers).toHaveLength(3);
  });

  it("replaces only containers when their environment changes", async () => {
    const services = {
      frontend: { startSeconds: 9, args: { NOTE: "a" } },
      backend: {
        ...{ startSeconds: 9, secretEnv: { TOKEN: "0ther" } },
        capabilities: ["NET_BIND_SERVICE", "CAP_CHOWN"],
      },
    };
    await stack.configure({ services });
    const { changes } = await deployed(stack.up());
    expect(changes["Container backend"]).toBe("create-replacement");
    expect(Object.keys(changes).filter((name) => /^(Image|Command)/.test(name))).toEqual([]);
    expect(await served()).toEqual([commit, commit]);
  });

  it("keeps an edge that an earlier version created", async () => {
    const file = join(profile, "state.json");
    const pulumi = async (...args: string[]) => {
      const { status, stderr } = await stack.command("pulumi", "stack", ...args, "--file", file);
      expect({ status, stderr: status === 0 ? "" : stderr }).toEqual({ status: 0, stderr: "" });
    };
    const asItIs = await stack.container("edge");
    const options = ["inspect", "--format", "{{.HostConfig.DnsOptions}}"];
    expect((await execa("docker", [...options, asItIs])).stdout).toContain("timeout:1");
    await pulumi("export");
    const state = JSON.parse(readFileSync(file, "utf8"));
    const { inputs, outputs } = state.deployment.resources.find(({ urn }: { urn: string }) =>
      urn.endsWith("docker:index/container:Container::edge"),
    );
    for (const properties of [inputs, outputs]) {
      delete properties.dnsOpts;
      properties.capabilities.adds = ["NET_BIND_SERVICE"];
    }
    // The official plugin's own way to write the outputs: it has to fit them.
    delete outputs.__pulumi_raw_state_delta;
    writeFileSync(file, JSON.stringify(state));
    await pulumi("import");
    expect((await deployed(stack.up())).changes).toEqual({});
    expect(await stack.container("edge")).toBe(asItIs);
  });

  it("changes nothing after a refresh of every resource", async () => {
    for (let up = 0; up < 2; up++) {
      const { changes } = await deployed(stack.up({ refresh: true }));
      expect(Object.entries(changes).filter(([, op]) => op !== "refresh")).toEqual([]);
    }
  });

  it("rebuilds on request", async () => {
    await stack.configure({ rebuild: "now" });
    const { changes } = await deployed(stack.up());
    expect(changes).toMatchObject({
      "Command prune": "create-replacement",
      "Image frontend": "create-replacement",
    });
  });

  it("rebuilds the running commit on request, without layers of its images", async () => {
    const { changes } = await withVariables({ WATCH_PARTY_REBUILD: "1" }, () => deployed(stack.up()));
    expect(changes).toMatchObject({
      "Command prune": "create-replacement",
      "Image backend": "create-replacement",
    });
    const { links } = (await stack.outputs()).freshness as { links: { link: string; status: string }[] };
    expect(links.filter(({ link }) => link === "image").map(({ status }) => status)).toEqual([
      "proven",
      "proven",
    ]);
    expect((await deployed(stack.up())).changes).toEqual({});
  });

  it("starts the release again in a new container after one was removed or stopped by hand, without a build", async () => {
    for (const action of [["rm", "--force"], ["stop"]]) {
      await execa("docker", [...action, await stack.container("backend")]);
      const { changes, said } = await deployed(stack.up());
      expect(said).toMatch(/backend does not run as it was deployed: it (is gone|was stopped)/);
      expect(changes["Container backend"]).toMatch(/create/);
      expect(Object.keys(changes).filter((name) => /^(Image|Command)/.test(name))).toEqual([]);
      expect(await served()).toEqual([commit, commit]);
      expect((await deployed(stack.up())).changes).toEqual({});
    }
  });

  it("starts an edge that was stopped by hand, and recreates a removed one with a refresh", async () => {
    const edge = await stack.container("edge");
    await execa("docker", ["stop", edge]);
    await deployed(stack.up());
    expect(await stack.container("edge")).toBe(edge);
    await execa("docker", ["rm", "--force", edge]);
    const broken = await stack.up();
    expect(broken.ok).toBe(false);
    expect(broken.said).toMatch(/gone from the engine: container edge-.*--refresh/);
    await deployed(stack.up({ refresh: true }));
    expect(await served()).toEqual([commit, commit]);
  });

  it("leaves no container, network or volume behind when destroyed", async () => {
    expect((await stack.remove()).ok).toBe(true);
    expect(await leftovers(stack.name)).toEqual([]);
  });
});

/** Puts a docker on PATH that does something else first, for as long as the work takes. */
async function withDocker<T>(first: string, work: () => Promise<T>): Promise<T> {
  const folder = mkdtempSync(join(tmpdir(), "watch-party-path-"));
  const real = (await execa("sh", ["-c", "command -v docker"])).stdout;
  writeFileSync(join(folder, "docker"), `#!/bin/sh\n${first}\nexec '${real}' "$@"\n`, { mode: 0o755 });
  try {
    return await withVariables({ PATH: `${folder}:${process.env.PATH}` }, work);
  } finally {
    rmSync(folder, { recursive: true });
  }
}
