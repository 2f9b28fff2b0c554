import { describe, expect, it } from "@jest/globals";
import { planVolumes, type VolumePlanArgs, volumeName } from "../../release/volumePlan";

type Services = VolumePlanArgs["services"];
const names = { project: "watch-party", stack: "prod" };
const service = (name: string, volumes: Record<string, string>, volumesFrom?: Record<string, string>) => ({
  name,
  volumes,
  volumesFrom,
});
/** What an earlier version remembers: the services alone. */
const earlier = (...services: Services) =>
  ({ deployment: { services: services.map((each) => ({ service: each })) } }) as unknown as NonNullable<
    VolumePlanArgs["record"]
  >;
const record = (volumes: Record<string, string>) => ({
  ...earlier(),
  volumes: Object.fromEntries(
    Object.entries(volumes).map(([id, name]) => [id, { name, resource: `web-${id.replace(/.*\//, "")}` }]),
  ),
});
const plan = (services: Services, of: Partial<VolumePlanArgs> = {}) =>
  planVolumes({ ...names, services, ...of });
const engine = (...all: string[]) => all.map((name) => ({ name, labels: {} }));

describe("the volumes of a stack", () => {
  it("are one per name, for all services", () => {
    const services = [service("web", { uploads: "/a" }), service("worker", { uploads: "/b" })];
    const { volumes, used, notes, problems } = plan(services);
    expect(volumes).toMatchObject([
      { id: "uploads", resource: "web-uploads", name: volumeName("watch-party", "prod", "uploads") },
    ]);
    expect(used).toEqual({ web: { uploads: "uploads" }, worker: { uploads: "uploads" } });
    expect([notes, problems]).toEqual([[], []]);
  });

  it("have names on the engine that are unique to the stack", () => {
    expect(volumeName("watch-party", "a-b", "c")).not.toBe(volumeName("watch-party", "a", "b-c"));
    expect(volumeName("watch-party", "a", "b")).toMatch(/^watch-party-a-b-[0-9a-f]{7}$/);
  });

  it("of an earlier version take the place of the service's", () => {
    const web = service("web", { data: "/data" });
    const { volumes, notes } = plan([web], { record: earlier(web), onEngine: engine("web-data-0123456") });
    expect(volumes).toMatchObject([{ id: "data", was: { service: "web", volume: "data" } }]);
    expect(notes).toEqual([]);
  });

  it("stay with a service that is renamed", () => {
    const before = earlier(service("web", { data: "/data" }));
    const { volumes, used, notes } = plan([service("site", { data: "/data" })], { record: before });
    expect(volumes).toMatchObject([{ id: "data", was: { service: "web", volume: "data" } }]);
    expect(used).toEqual({ site: { data: "data" } });
    expect(notes).toEqual([]);
  });

  it("are kept and reported when no service uses them", () => {
    const known = { record: record({ data: "web-data-0123456" }) };
    const { volumes, notes } = plan([service("web", {})], known);
    expect(volumes).toMatchObject([{ id: "data", name: "web-data-0123456" }]);
    expect(notes).toEqual([
      "volume data (web-data-0123456) is kept, no longer used by any service; use it by its name in volumes, or by volumesFrom under another, or delete it: npm run volumes -- --stack prod --delete data",
    ]);
    expect(plan([service("web", {})], { ...known, onEngine: [] }).volumes).toEqual([]);
  });

  it("are mounted under another name by volumesFrom", () => {
    const services = [service("web", { files: "/data" }, { files: "data" })];
    const { volumes, used, problems } = plan(services, { record: record({ data: "x", files: "y" }) });
    expect(used).toEqual({ web: { files: "data" } });
    expect(volumes.map(({ id }) => id)).toEqual(["data", "files"]);
    expect(problems).toEqual([]);
  });

  it("are refused for an unknown name", () => {
    const services = [service("web", { files: "/data" }, { files: "date" })];
    const { problems } = plan(services, { record: record({ data: "x" }), onEngine: engine("x") });
    expect(problems).toEqual([
      'watch-party:services.web.volumesFrom.files is "date", no volume of this stack; allowed: data, x, as "npm run volumes -- --stack prod" lists them',
    ]);
  });

  it("of one name that an earlier version created per service stay separate, until one is chosen", () => {
    const web = service("web", { uploads: "/a" });
    const worker = service("worker", { uploads: "/b" });
    const kept = plan([web, worker], { record: earlier(web, worker) });
    expect(kept.volumes).toMatchObject([
      { id: "web/uploads", was: { service: "web", volume: "uploads" } },
      { id: "worker/uploads", was: { service: "worker", volume: "uploads" } },
    ]);
    expect(kept.notes).toEqual([
      "volumes web/uploads and worker/uploads have one name and are separate, as an earlier version made them; to share one of them, set volumesFrom.uploads of worker to web/uploads",
    ]);
    const known = record({ "web/uploads": "w1", "worker/uploads": "w2" });
    const chosen = plan([web, service("worker", { uploads: "/b" }, { uploads: "web/uploads" })], {
      record: known,
    });
    expect(chosen.used.worker).toEqual({ uploads: "web/uploads" });
    expect(chosen.volumes.map(({ id }) => id)).toEqual(["web/uploads", "worker/uploads"]);
    expect(plan([service("site", { uploads: "/a" })], { record: known }).problems).toEqual([
      "watch-party:services.site.volumes.uploads could be any of web/uploads, worker/uploads, which an earlier version made for each service; allowed: one of them in watch-party:services.site.volumesFrom.uploads",
    ]);
  });

  it("of a destroyed stack are reused", () => {
    const own = volumeName("watch-party", "prod", "data");
    const again = plan([service("web", { data: "/d" })], { onEngine: engine(own, "web-data-0123456") });
    expect(again.volumes).toMatchObject([{ id: "data", name: own }]);
    expect(again.notes).toEqual([
      `volume data is on the engine already, as ${own}: it is used with what is in it`,
    ]);
    const earlierOnes = engine("web-data-0123456", "web-data-7654321");
    const one = plan([service("web", { data: "/d" })], { onEngine: earlierOnes.slice(0, 1) });
    expect(one.volumes).toMatchObject([{ name: "web-data-0123456" }]);
    const two = plan([service("web", { data: "/d" })], { onEngine: earlierOnes });
    expect(two.problems[0]).toContain("could be any of web-data-0123456, web-data-7654321");
    const named = plan([service("web", { data: "/d" }, { data: "web-data-7654321" })], {
      onEngine: earlierOnes,
    });
    expect(named.volumes).toMatchObject([{ id: "web-data-7654321", name: "web-data-7654321" }]);
    expect(named.problems).toEqual([]);
  });

  it("have resources of different names", () => {
    const services = [service("web", { "a-b": "/a" }), service("web-a", { b: "/b" })];
    expect(plan(services).volumes.map(({ resource }) => resource)).toEqual(["web-a-b", "web-a.b"]);
  });

  it("are reported if they are gone", () => {
    const { notes } = plan([service("web", { data: "/d" })], { record: record({ data: "x" }), onEngine: [] });
    expect(notes).toEqual(["volume data (x) is gone from the engine; an empty one takes its place"]);
  });
});
