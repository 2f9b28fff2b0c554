import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import execa from "execa";
import { TestApp } from "../support/app";
import { leftovers, type Outcome, TestStack } from "../support/stack";

/** One story of a stack's data on a real engine: no deploy deletes any, and whoever needs it finds it again. */
describe("the volumes of a stack", () => {
  let app: TestApp;
  let stack: TestStack;

  const data = { data: "/data" };
  const backend = { context: "backend", port: 8000, route: "/", health: "/healthz" };
  const worker = { context: "backend" };

  beforeAll(async () => {
    app = await TestApp.create();
    // A stage that is a service of its own has to run something.
    const runs = (of: string) => of.replace("COPY . .", '$&\nCMD ["python3", "-S", "/app/src/server.py"]');
    await app.commit({ "backend/Dockerfile": runs(app.read("backend/Dockerfile")) });
    stack = await TestStack.create({ source: app.folder });
    await configure({ web: { ...backend, volumes: data }, worker: { ...worker, volumes: data } });
    good(await stack.up());
  });
  afterAll(async () => {
    await stack?.remove();
    app?.remove();
  });

  const configure = (services: Record<string, unknown>) =>
    stack.configure({ source: app.folder, listen: `127.0.0.1:${stack.port}`, services });
  const good = (outcome: Outcome) => {
    if (!outcome.ok) throw new Error(outcome.said);
    return outcome;
  };
  const inside = async (service: string, script: string) => {
    const container = await stack.container(service);
    return (await execa("docker", ["exec", "--user", "0", container, "sh", "-c", script])).stdout;
  };
  const volumes = async () =>
    (await leftovers(stack.name)).filter((each) => each.startsWith("volume") && each.includes("data"));

  it("are shared by two services with the same volume name", async () => {
    await inside("web", "printf precious > /data/file");
    expect(await inside("worker", "cat /data/file")).toBe("precious");
    expect(await volumes()).toHaveLength(1);
  });

  it("cause a warning when two containers use them at once, with both remedies", async () => {
    const { said } = await stack.preview();
    expect(said).toMatch(
      /web: during a deploy the old and the new container use volume data at once; set .*sharedVolume/,
    );
    expect(said).toMatch(/worker: .* or watch-party:services\.worker\.strategy to recreate/);
  });

  it("stay with renamed services, even with names of stages", async () => {
    await configure({
      site: { ...backend, volumes: data, sharedVolume: true },
      "site-builder": { ...worker, target: "builder" },
    });
    const { changes } = good(await stack.up());
    expect(Object.keys(changes).filter((name) => name.startsWith("Volume"))).toEqual([]);
    expect(changes).toMatchObject({ "Image site.builder": "create", "Image site-builder": "create" });
    expect(await inside("site", "cat /data/file")).toBe("precious");
  });

  it("are kept and reported when no service uses them, and can be used again", async () => {
    await configure({ site: { ...backend } });
    const kept = /volume data \(\S+\) is kept, no longer used by any service/;
    expect((await stack.preview()).said).toMatch(kept);
    expect(good(await stack.up()).said).toMatch(kept);
    const listed = await stack.command("volumes");
    expect(listed.stdout).toMatch(/^data \(\S+\): kept, no container uses it$/);

    await configure({ site: { ...backend, volumes: { files: "/files" }, volumesFrom: { files: "data" } } });
    good(await stack.up());
    expect(await inside("site", "cat /files/file")).toBe("precious");
    expect(await volumes()).toHaveLength(1);
    expect(good(await stack.up()).changes).toEqual({});
  });

  it("are not deleted by the command while a service uses them", async () => {
    const { status, stderr } = await stack.command("volumes", "--delete", "data");
    expect(stderr).toMatch(/volume data is used by site-\S+; remove it from the configuration and deploy/);
    expect(status).toBe(2);
  });

  it("survive destroy, which prints how to delete them, and are used by the next deploy", async () => {
    await configure({ site: { ...backend, volumes: data, sharedVolume: true } });
    const destroyed = await stack.command("pulumi", "destroy", "--yes");
    expect(destroyed.status).toBe(0);
    expect(destroyed.stderr).toMatch(/1 volume is kept, with all data:\n {2}data \(\S+\)/);
    expect(await leftovers(stack.name)).toEqual([expect.stringMatching(/^volume \S+-data-[0-9a-f]{7}$/)]);
    const again = good(await stack.up());
    expect(again.said).toMatch(/volume data is on the engine already, as \S+: it is used with what is in it/);
    expect(await inside("site", "cat /data/file")).toBe("precious");
  });

  it("are deleted by name, with the printed command", async () => {
    const { stderr } = await stack.command("pulumi", "destroy", "--yes");
    const [, options = ""] = /npm run volumes -- --stack \S+ (.*)$/m.exec(stderr) ?? [];
    expect(options).toBe("--delete data");
    const deleted = await stack.command("volumes", ...options.split(" "));
    expect(deleted.stderr).toMatch(/^deleted volume data /);
    expect(deleted.status).toBe(0);
    expect(await leftovers(stack.name)).toEqual([]);
  });

  it("refuses values that the CLI would change, before it writes them", async () => {
    const file = join(stack.folder, `Pulumi.${stack.name}.yaml`);
    // With a salt in it the CLI does not write the file before the program runs.
    const [salt = ""] = /^encryptionsalt: .*$/m.exec(readFileSync(file, "utf8")) ?? [];
    const text = `${salt}\nconfig:\n  watch-party:source: ${app.folder}\n  watch-party:services: { web: { env: { PIN: 0123 } } }\n`;
    writeFileSync(file, text);
    for (const [name, ...args] of [
      ["up"],
      ["preview"],
      ["pulumi", "config", "set", "--path", "services.web.env.ID", "1"],
    ]) {
      const { status, stderr } = await stack.command(name!, ...args);
      expect(stderr).toContain(
        'watch-party:services.web.env.PIN is 0123 without quotes, which Pulumi reads as 83; allowed: "0123" in quotes',
      );
      expect(status).toBe(2);
    }
    // Without the project's own command, by the program alone.
    const plain = await execa("pulumi", ["preview", "--stack", stack.name], {
      cwd: stack.folder,
      env: stack.env,
      reject: false,
    });
    expect(plain.stdout + plain.stderr).toContain("watch-party:services.web.env.PIN is 0123 without quotes");
    expect(plain.exitCode).not.toBe(0);
  });
});
