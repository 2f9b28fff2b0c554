import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import execa from "execa";
import { readBases } from "../../engine/baseImages";
import { DockerEngine } from "../../engine/docker";
import { settleBases } from "../../release/bases";
import { TestRegistry } from "../support/registry";

const docker = async (...args: string[]) => (await execa("docker", args)).stdout.trim();

/** One story: a base image that moves on in its registry, under its name. */
describe("a base image from a registry", () => {
  const engine = new DockerEngine();
  let registry: TestRegistry;
  let name: string;
  const ids: string[] = [];
  const local = `watch-party-test-base:${Math.random().toString(36).slice(2)}`;

  /** Makes an image, with nothing to it but a label. */
  const make = async (label: string) => {
    const input = `FROM caddy:2.11\nLABEL made=${local}-${label}\n`;
    await execa("docker", ["build", "--tag", name, "-"], { input });
    const id = await docker("image", "inspect", "--format", "{{.Id}}", name);
    ids.push(id);
    return id;
  };

  beforeAll(async () => {
    registry = await TestRegistry.start({ isOpen: true });
    name = `${registry.address}/base:1`;
    await make("one");
    await docker("push", "--quiet", name);
  });
  afterAll(async () => {
    await execa("docker", ["image", "rm", "--force", ...new Set(ids)], { reject: false });
    await registry?.remove();
  });

  it("is up to date if its digest equals the registry's", async () => {
    expect(await readBases(engine, [name])).toEqual([{ name, id: ids[0] }]);
  });

  it("causes a warning when its registry has a newer one, and stays in use", async () => {
    await make("two");
    await docker("push", "--quiet", name);
    await docker("image", "tag", ids[0]!, name);
    const newer = expect.stringMatching(/^sha256:[0-9a-f]{64}$/);
    expect(await readBases(engine, [name])).toEqual([{ name, id: ids[0], newer }]);
    const built = { [name]: ids[0]! };
    const settled = await settleBases(engine, [name], { built, builds: false, mode: "report" });
    expect(settled).toEqual({ bases: built, outdated: false });
  });

  it("is pulled with `update`, and images on the old one are rebuilt", async () => {
    const built = { [name]: ids[0]! };
    const settled = await settleBases(engine, [name], { built, builds: false, mode: "update" });
    expect(settled).toEqual({ bases: { [name]: ids[1] }, outdated: true });
    expect(await readBases(engine, [name])).toEqual([{ name, id: ids[1] }]);
  });

  it("is pulled before the build, so that the engine uses that version", async () => {
    await docker("image", "rm", "--force", ids[1]!);
    const before = await settleBases(engine, [name], { built: {}, builds: false, mode: "report" });
    expect(before).toEqual({ bases: {}, outdated: false });
    const settled = await settleBases(engine, [name], { built: {}, builds: true, mode: "report" });
    expect(settled).toEqual({ bases: { [name]: ids[1] }, outdated: false });
  });

  it("stays the engine's version if its registry does not answer", async () => {
    await registry.pause();
    expect(await readBases(engine, [name])).toEqual([{ name, id: ids[1] }]);
  });
});
