import { describe, expect, it } from "@jest/globals";
import { changesVerdict } from "../../freshness/container";
import { aliasVerdict, type NamedContainer } from "../../freshness/container/alias";
import { type Covered, type Mount, mountsToJudge, mountsVerdict } from "../../freshness/container/mounts";
import { keptVerdict } from "../../freshness/image/kept";

const volume = (destination: string, source = "web-data-1"): Mount => ({
  kind: "volume",
  source,
  destination,
});

describe("what is mounted into a container", () => {
  const judge = (covered: Covered[], volumes: Record<string, string> = {}) =>
    mountsVerdict("web", "web-1", covered, volumes);

  it.each([
    ["nothing", []],
    ["a volume over an empty or a missing folder", [{ mount: volume("/data"), files: [] }]],
    [
      "a volume over a folder that git keeps empty",
      [{ mount: volume("/app/uploads"), files: [".gitkeep", "a/.gitignore"] }],
    ],
  ])("may be %s", (_, covered) =>
    expect(judge(covered)).toMatchObject({ link: "container", status: "proven" }),
  );

  it.each<[string, Covered, string]>([
    [
      "a volume over code",
      { mount: volume("/app/src"), files: ["a.py", "b.py"] },
      "volume web-data-1 over 2 in /app/src: a.py, b.py",
    ],
    [
      "an anonymous volume over modules",
      { mount: volume("/app/node_modules", "a".repeat(64)), files: ["a/1.js", "a/2.js", "b/1.js", "b/2.js"] },
      "an anonymous volume over 4 in /app/node_modules: a/1.js, a/2.js, b/1.js, …",
    ],
    [
      "a folder of the machine over build output",
      { mount: { kind: "bind", source: "/srv/next", destination: "/app/.next" }, files: ["BUILD_ID"] },
      "/srv/next of the engine's machine over 1 in /app/.next: BUILD_ID",
    ],
    [
      "a tmpfs over a file that begins with a dot",
      { mount: { kind: "tmpfs", source: "", destination: "/app" }, files: [".env", ".gitkeep"] },
      "a tmpfs over 1 in /app: .env",
    ],
  ])("may not be %s", (_, covered, found) => {
    const empty = { mount: volume("/data"), files: [] };
    expect(judge([empty, covered])).toMatchObject({ link: "container", status: "broken", found });
  });

  it("names the key of the volume, otherwise the instruction", () => {
    const files = ["a.py"];
    expect(judge([{ mount: volume("/app/src"), files }], { data: "/data", code: "/app/src/" })).toMatchObject(
      {
        remedy: expect.stringContaining("watch-party:services.web.volumes.code "),
      },
    );
    expect(judge([{ mount: volume("/app/src", "b".repeat(64)), files }])).toMatchObject({
      remedy: expect.stringContaining("VOLUME /app/src"),
    });
  });

  it("is checked in every code folder, not in folders that programs write at run time", () => {
    const all = ["/tmp", "/run/secrets", "/var/run/x.sock", "/var/log", "/app", "/app/tmp", "/data"].map(
      (at) => volume(at),
    );
    expect(mountsToJudge(all).map(({ destination }) => destination)).toEqual(["/app", "/app/tmp", "/data"]);
  });

  it("creates folders in the container, which do not count as manual changes", () => {
    const judgeChanges = (lines: string[], mounts: string[]) =>
      changesVerdict(
        "web",
        "web-1",
        lines.map((line) => ({ kind: line[0] as "A", path: line.slice(2) })),
        [],
        mounts,
      ).status;
    expect(judgeChanges(["A /srv", "A /srv/data"], ["/srv/data/"])).toBe("proven");
    expect(judgeChanges(["A /srv", "A /srv/data"], [])).toBe("broken");
    expect(judgeChanges(["A /srv", "A /srv/data", "A /srv/route.js"], ["/srv/data"])).toBe("broken");
    expect(judgeChanges(["D /srv"], ["/srv/data"])).toBe("broken");
    // An image from scratch has no folder for docker-init.
    expect(judgeChanges(["A /sbin"], [])).toBe("proven");
    expect(judgeChanges(["A /sbin", "A /sbin/docker-init"], [])).toBe("proven");
    expect(judgeChanges(["A /sbin", "A /sbin/server"], [])).toBe("broken");
    expect(judgeChanges(["D /sbin"], [])).toBe("broken");
  });
});

describe("the containers with a host name", () => {
  const host = "web-r1";
  const container = (id: string, names: string[], network = "n1"): NamedContainer => ({
    id,
    name: `web-${id}`,
    networks: [{ id: network, name: `net-${network}`, names }],
  });
  const own = container("1", ["web-1", host]);

  it.each([
    ["only the container", [own]],
    ["a container of another release too", [own, container("0", ["web-0", "web-r0"])]],
    ["its name in a network that it is not in", [own, container("0", [host], "n2")]],
  ])("may be %s", (_, others) =>
    expect(aliasVerdict("web", host, own, others)).toMatchObject({
      status: "proven",
      found: "container web-1 alone at web-r1",
    }),
  );

  it.each([
    ["it was disconnected", { ...own, networks: [] }, "it is in no network under other names"],
    ["it was connected under another name", container("1", ["web-1"]), "it is in net-n1 under other names"],
  ])("may not be missing because %s", (_, without, found) =>
    expect(aliasVerdict("web", host, without, [without])).toMatchObject({
      link: "container",
      status: "broken",
      found,
      remedy: expect.stringContaining("Deploy again"),
    }),
  );

  it("may not be two", () => {
    expect(aliasVerdict("web", host, own, [own, container("0", ["web-0", host])])).toMatchObject({
      link: "container",
      status: "broken",
      found: "web-0 there too",
      remedy: expect.stringContaining("docker network disconnect --force net-n1 web-0"),
    });
  });
});

describe("the images that the engine keeps of a deploy", () => {
  const [image, other] = ["1", "2"].map((digit) => `sha256:${digit.repeat(64)}`) as [string, string];
  const tag = "app-dev-web:abc";

  it.each([
    ["the image under its name", tag, [{ id: image, tags: ["x:1", tag] }]],
    ["the image of a deploy that wrote no name down", undefined, [{ id: image, tags: [] }]],
  ])("may be %s", (_, name, kept) => {
    expect(keptVerdict("web", image, name, kept)).toMatchObject({ link: "image", status: "proven" });
  });

  it.each([
    ["nothing", tag, [], "no such image"],
    ["only another image with that name", tag, [{ id: other, tags: [tag] }], "no such image"],
    ["nothing, of a deploy that wrote no name down", undefined, [], "no such image"],
    ["the image without its name", tag, [{ id: image, tags: ["x:1"] }], "no image of that name"],
    [
      "the image, with its name moved",
      tag,
      [
        { id: image, tags: [] },
        { id: other, tags: [tag] },
      ],
      "sha256:222222222222 under that name",
    ],
  ])("may not be %s", (_, name, kept, found) => {
    expect(keptVerdict("web", image, name, kept)).toMatchObject({ link: "image", status: "broken", found });
  });
});
