import { describe, expect, it } from "@jest/globals";
import type { ContainerFacts } from "../../engine/facts";
import { FreshnessError } from "../../freshness/chain";
import {
  databaseIn,
  databaseOf,
  type ImageTraits,
  overlapWarning,
  secondServer,
} from "../../freshness/container/database";
import { unsavedChanges, unsavedText } from "../../freshness/container/unsaved";
import { finalBase } from "../../freshness/dockerfile/dependencies";
import type { Deployment } from "../../proof/deployment";
import { planTurns } from "../../release/recreate";
import {
  imageRepositories,
  imageRepository,
  secretResources,
  stageResources,
} from "../../release/resourceNames";

describe("a database's image", () => {
  it.each<[string, ImageTraits]>([
    ["PostgreSQL", { names: ["postgres:17"] }],
    ["PostgreSQL", { names: ["registry.example.org:5000/team/postgis@sha256:1"] }],
    ["PostgreSQL", { entrypoint: ["docker-entrypoint.sh"], command: ["postgres", "-c", "x=y"] }],
    [
      "PostgreSQL",
      { command: ["/bin/sh", "-c", "mkdir -p /d && exec /usr/lib/postgresql/17/bin/postgres -D /d"] },
    ],
    ["PostgreSQL", { entrypoint: ["tini", "--", "gosu", "postgres", "postgres"] }],
    ["PostgreSQL", { env: ["PATH=/bin", "PGDATA=/d"] }],
    ["MySQL", { entrypoint: ["mysqld"] }],
    ["MariaDB", { names: ["mariadb"] }],
    ["Redis", { command: ["redis-server", "--save", ""] }],
    ["Redis", { ports: ["6379/tcp"] }],
    ["MongoDB", { command: ["mongod"] }],
  ])("is recognised: %s", (product, traits) => expect(databaseOf(traits)?.product).toBe(product));

  it.each<ImageTraits>([
    { names: ["python:3.11-slim-bookworm", "node:24"] },
    { names: ["example.org/postgres-client:1", "bitnami/postgres-exporter"] },
    { command: ["sh", "-c", "wait-for-it -h postgres && exec node server.js"] },
    { entrypoint: ["wait-for", "postgres", "--"], command: ["node", "server.js"] },
    { command: ["python", "-m", "redis-server"] },
    { env: ["PG_VERSION=17", "POSTGRES_PASSWORD=", "REDIS_URL=redis://r", "DATABASE=/data/state.db"] },
    { ports: ["8000/tcp"] },
  ])("is not recognised: %j", (traits) => expect(databaseOf(traits)).toBeUndefined());

  it("is recognised by the last stage's base image, not by an image that files are copied from", () => {
    const dockerfile =
      "ARG V=17\nFROM postgres:$V AS db\nFROM node:24 AS web\nCOPY --from=db /x /x\nFROM web\n";
    expect(finalBase(dockerfile, {})).toBe("node:24");
    expect(finalBase(dockerfile, {}, "db")).toMatch(/^postgres:/);
  });
});

it.each([
  ["PostgreSQL", ["PG_VERSION"]],
  ["PostgreSQL", ["17/docker/postmaster.pid"]],
  ["MySQL", ["ibdata1"]],
  ["Redis", ["appendonlydir"]],
  ["MongoDB", ["db/WiredTiger"]],
  [undefined, ["state.db", "state.db-wal", "backups/2026/dump.rdb", "a/b/c/PG_VERSION"]],
])("a volume's database is recognised: %s", (product, paths) =>
  expect(databaseIn("data", paths)?.product).toBe(product),
);

describe("a service with a volume", () => {
  const use = { name: "db", volumes: { data: "/data" } };
  const certain = { product: "PostgreSQL", by: "image postgres:17", certain: true };

  it("is refused if it is a database and would run twice", () => {
    const refusal = secondServer(use, certain);
    expect(refusal && new FreshnessError(refusal).message).toBe(
      "freshness: container of db: a second server would run on the data of a database while the new container starts; expected one server at a time on its volume, found PostgreSQL (image postgres:17) and strategy roll, which runs two at once. Set watch-party:services.db.strategy to recreate: the old container stops before the new one starts.",
    );
    expect(secondServer({ ...use, sharedVolume: true }, certain)).toBeDefined();
    expect(secondServer({ ...use, sharedVolume: true }, { ...certain, certain: false })).toBeUndefined();
    expect(secondServer({ ...use, strategy: "recreate" }, certain)).toBeUndefined();
    expect(secondServer({ name: "db", volumes: {} }, certain)).toBeUndefined();
  });

  it("causes a warning without a declaration", () => {
    expect(overlapWarning(use)).toMatch(
      /sharedVolume to true .* or watch-party:services\.db\.strategy to recreate/,
    );
    expect(overlapWarning({ ...use, sharedVolume: false, strategy: "roll" })).toBeDefined();
    for (const said of [{ sharedVolume: true }, { strategy: "recreate" as const }])
      expect(overlapWarning({ ...use, ...said })).toBeUndefined();
    expect(overlapWarning({ name: "db", volumes: {} })).toBeUndefined();
  });
});

it("lists the files that a deploy would lose, without folders, volumes, caches and temporary folders", () => {
  const changes = [
    { kind: "C", path: "/app" },
    { kind: "A", path: "/app/uploads" },
    { kind: "A", path: "/app/uploads/a.jpg" },
    { kind: "A", path: "/app/cache/x" },
    { kind: "A", path: "/data" },
    { kind: "A", path: "/tmp/z" },
    { kind: "D", path: "/app/gone" },
    { kind: "C", path: "/app/config.json" },
  ] as const;
  expect(unsavedChanges(changes, ["/app/cache"], ["/data"])).toEqual([
    "/app/uploads/a.jpg",
    "/app/config.json",
  ]);
  const paths = Array.from({ length: 12 }, (_, at) => `/f${at}`);
  expect(unsavedText("web", { container: "web-1", paths })).toBe(
    `web: 12 files of container web-1 in no volume: ${paths.slice(0, 10).join(", ")}, and 2 more`,
  );
});

it("lists what a server writes for itself only if visitors would miss it", () => {
  const added = (...paths: string[]) => paths.map((path) => ({ kind: "A", path }) as const);
  expect(unsavedChanges(added("/data", "/data/caddy", "/data/caddy/instance.uuid"), [], [])).toEqual([]);
  const missed = ["/data/caddy/certificates/a.key", "/var/lib/php/sessions/sess_1", "/data/upload.txt"];
  expect(unsavedChanges(added("/data", "/data/caddy/locks", ...missed), [], [])).toEqual(missed);
});

describe("names of resources", () => {
  it.each([
    ["watch-party", "prod", "web"],
    ["my.app", "pr-12", "api-2"],
  ])("of images are those of project, stack and service: %s, %s, %s", (...names) =>
    expect(imageRepository(...names)).toBe(names.join("-")),
  );

  it.each([
    ["watch-party", "QA", "web"],
    ["MyApp", "prod", "web"],
    ["app_", "a___b", "web"],
    ["app", "v1..2", "web"],
  ])("of images are ones that Docker allows: %s, %s, %s", (project, stack, service) => {
    const name = imageRepository(project, stack, service);
    expect(name).toMatch(/^[a-z0-9]+((\.|_{1,2}|-+)[a-z0-9]+)*$/);
    const [prefix = "", rest] = imageRepositories(project, stack).split("*");
    expect([name.startsWith(prefix), rest]).toEqual([true, ""]);
  });

  it("of images differ where stacks differ in capital letters alone", () => {
    expect(imageRepository("app", "QA", "web")).not.toBe(imageRepository("app", "Qa", "web"));
  });

  it("of stages are unchanged, and yield to names of services and of other stages", () => {
    expect(stageResources({ web: ["build"], api: ["build"] })).toEqual({
      web: { build: "web-build" },
      api: { build: "api-build" },
    });
    expect(stageResources({ web: ["build"], "web-build": [] })).toMatchObject({
      web: { build: "web.build" },
    });
    expect(stageResources({ web: ["a-b"], "web-a": ["b"] })).toEqual({
      web: { "a-b": "web.a-b" },
      "web-a": { b: "web-a.b" },
    });
  });

  it("of secrets are unchanged and yield in the same way", () => {
    expect(secretResources({ web: ["API_KEY"] })).toEqual({ web: { API_KEY: "web-api-key" } });
    expect(secretResources({ web: ["A_B", "a_b"], "web-a": ["B"] })).toEqual({
      web: { A_B: "web.A_B", a_b: "web.a_b" },
      "web-a": { B: "web-a.B" },
    });
  });
});

describe("the stop order with strategy recreate", () => {
  type Found = Parameters<typeof planTurns>[2][number];
  const found = (id: string, service: string, volume: string, running: boolean) =>
    ({
      id,
      service,
      running,
      mounts: volume === "" ? [] : [{ kind: "volume", source: volume, destination: "/data" }],
    }) as unknown as ContainerFacts & Found;
  const of = (...services: [name: string, container: string, strategy?: string][]) =>
    ({
      services: services.map(([name, container, strategy]) => ({ service: { name, strategy }, container })),
    }) as unknown as Pick<Deployment, "services">;

  it("stops the old container, leftovers of a killed deploy, and other users of its volume", () => {
    const now = { ...of(["db", "new", "recreate"], ["backup", "other"]), edge: "edge" };
    const last = of(["database", "renamed"], ["db", "old"]);
    const turns = planTurns(now, last, [
      found("new", "db", "d", false),
      found("other", "backup", "d", true),
      found("old", "db", "", true),
      found("renamed", "database", "d", true),
      found("killed", "db", "d", false),
      found("command", "db-release", "", true),
      found("web", "web", "w", true),
    ]);
    expect(turns).toEqual([
      {
        service: "db",
        next: "new",
        stops: ["old", "renamed", "killed", "command"],
        back: ["old", "renamed"],
      },
    ]);
  });

  it("keeps the edge, and services with similar names", () => {
    const now = { ...of(["edge", "new", "recreate"], ["edge-release", "also"]), edge: "e" };
    const last = of(["edge-release", "before"]);
    const all = [
      found("new", "edge", "d", false),
      found("e", "edge", "", true),
      found("before", "edge-release", "", true),
    ];
    expect(planTurns(now, last, all)).toEqual([{ service: "edge", next: "new", stops: [], back: [] }]);
  });

  it("stops nothing if the container already runs or the strategy differs", () => {
    const all = [found("a", "db", "d", true), found("b", "web", "w", false)];
    const now = { ...of(["db", "a", "recreate"], ["web", "b"]), edge: "e" };
    expect(planTurns(now, undefined, all)).toEqual([]);
  });
});
