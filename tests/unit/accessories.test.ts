import { describe, expect, it } from "@jest/globals";
import { parseConfig } from "../../config";
import { secretsOf } from "../../config/secrets";
import type { ConfigError } from "../../config/types";
import { accessoryVerdict, notHealthyInTime } from "../../freshness/container/accessory";
import { commandsOfKind, kindOf } from "../../freshness/container/backupCommands";
import { accessoryUrls, healthOf, portOf } from "../../freshness/container/products";
import { backupPlans } from "../../release/backup";
import { planVolumes } from "../../release/volumePlan";

const DIGEST = `sha256:${"a".repeat(64)}`;
const traits = { env: {}, secretEnv: {} };

const problems = (raw: Record<string, unknown>) => {
  try {
    parseConfig(raw);
    return [];
  } catch (cause) {
    return (cause as ConfigError).problems;
  }
};

describe("accessories of a configuration", () => {
  it("have defaults, and their secrets are secrets", () => {
    const config = parseConfig({
      accessories: { db: { image: `postgres:17@${DIGEST}`, secretEnv: { POSTGRES_PASSWORD: "hidden" } } },
    });
    expect(config.accessories).toEqual([
      expect.objectContaining({ name: "db", memoryMb: 1024, startSeconds: 60, stopSeconds: 30, volumes: {} }),
    ]);
    expect(secretsOf(config)).toContain("hidden");
    expect(parseConfig({}).accessories).toEqual([]);
  });

  it.each<[string, Record<string, unknown>, RegExp]>([
    [
      "the name of a service",
      { accessories: { backend: { image: "redis" } } },
      /accessories\.backend is the name of a service/,
    ],
    [
      "the edge's name",
      { accessories: { edge: { image: "redis" } } },
      /accessories\.edge is the name of the edge/,
    ],
    ["no image", { accessories: { db: {} } }, /accessories\.db\.image is missing; /],
    [
      "an unknown key",
      { accessories: { db: { image: "redis", route: "/" } } },
      /accessories\.db\.route is not a key; allowed: image, /,
    ],
    [
      "a volume that a service uses",
      {
        services: { web: { volumes: { data: "/data" } } },
        accessories: { db: { image: "redis", volumes: { data: "/data" } } },
      },
      /accessories\.db\.volumes\.data is used by web too; .*two servers would spoil it/,
    ],
    [
      "a volume that a service takes by volumesFrom",
      {
        services: { web: { volumes: { files: "/files" }, volumesFrom: { files: "data" } } },
        accessories: { db: { image: "redis", volumes: { data: "/data" } } },
      },
      /accessories\.db\.volumes\.data is used by web too/,
    ],
    [
      "a volume of another accessory",
      {
        accessories: {
          a: { image: "redis", volumes: { data: "/data" } },
          b: { image: "redis", volumes: { data: "/data" } },
        },
      },
      /accessories\.a\.volumes\.data is used by b too/,
    ],
    [
      "a backup of an unknown program",
      { accessories: { q: { image: "rabbitmq", backup: {} } } },
      /accessories\.q\.backup\.kind is missing/,
    ],
    [
      "a backup without a way back",
      { accessories: { q: { image: "x", backup: { command: "y" } } } },
      /backup\.restore is missing/,
    ],
    [
      "SQLite without its file",
      { services: { web: { backup: "sqlite" } } },
      /services\.web\.backup\.file is missing/,
    ],
    [
      "a folder that is none",
      { services: { web: { backup: { kind: "sqlite", file: "/a", to: "x" } } } },
      /backup\.to is "x"; allowed: a folder/,
    ],
  ])("are refused with %s", (_, raw, words) => {
    expect(problems(raw).join("\n")).toMatch(words);
  });
});

describe("a known program", () => {
  it.each([
    [
      "docker.io/library/postgres:17",
      { POSTGRES_PASSWORD: "p@ss/w" },
      "postgresql://postgres:p%40ss%2Fw@db:5432/postgres",
    ],
    ["pgvector/pgvector:pg17", { POSTGRES_USER: "u", POSTGRES_DB: "d" }, "postgresql://u@db:5432/d"],
    ["mysql:8", { MYSQL_ROOT_PASSWORD: "r", MYSQL_DATABASE: "shop" }, "mysql://root:r@db:3306/shop"],
    [
      "mariadb:11",
      { MARIADB_USER: "u", MARIADB_PASSWORD: "p", MYSQL_DATABASE: "shop" },
      "mysql://u:p@db:3306/shop",
    ],
    ["valkey/valkey:8", {}, "redis://db:6379"],
    ["redis:7", { REDIS_PASSWORD: "s" }, "redis://:s@db:6379"],
    [
      "mongo:8",
      { MONGO_INITDB_ROOT_USERNAME: "u", MONGO_INITDB_ROOT_PASSWORD: "p" },
      "mongodb://u:p@db:27017",
    ],
  ])("%s has an address with its login", (image, secretEnv, url) => {
    const accessory = { name: "db", image, env: {}, secretEnv };
    expect(accessoryUrls([accessory])).toEqual({ DB_URL: url });
    expect(healthOf(accessory)?.slice(0, 2)).toEqual(["sh", "-c"]);
  });

  it("has the port and the check that the configuration names; any other has what is named alone", () => {
    const other = { ...traits, name: "my-queue", image: "example/queue:1" };
    expect([portOf(other), healthOf(other), accessoryUrls([other])]).toEqual([undefined, undefined, {}]);
    expect(accessoryUrls([{ ...other, port: 4222 }])).toEqual({ MY_QUEUE_URL: "tcp://my-queue:4222" });
    const own = { ...traits, name: "db", image: "postgres", port: 5433, health: ["true"] };
    expect([portOf(own), healthOf(own)]).toEqual([5433, ["true"]]);
  });

  it("is backed up by its kind, or by commands of one's own", () => {
    const { services, accessories } = parseConfig({
      services: { web: { backup: { kind: "sqlite", file: "/data/it's.db" } }, plain: {} },
      accessories: {
        db: { image: "postgres:17", backup: { keep: 3 } },
        own: { image: "x", backup: { command: "dump", restore: "load", to: "/srv/b" } },
        none: { image: "redis" },
      },
    });
    const plans = backupPlans({ services, accessories });
    expect(plans.map(({ name, keep, to }) => `${name} ${keep} ${to}`)).toEqual([
      "db 3 ~/watch-party-backups",
      "own 7 /srv/b",
      "web 7 ~/watch-party-backups",
    ]);
    expect(plans[1]).toMatchObject({ command: "dump", restore: "load" });
    expect(plans[2]?.command).toContain(`'/data/it'\\''s.db'`);
    expect(
      ["postgres", "mysql", "mariadb", "redis:7", "mongo"].map((image) => kindOf({ image, env: {} })),
    ).toEqual(["postgres", "mysql", "mariadb", "redis", undefined]);
    expect(commandsOfKind("redis").offline).toBe(true);
  });
});

describe("the verdict on an accessory", () => {
  const of = {
    name: "db",
    container: "c".repeat(64),
    image: "postgres:17",
    imageId: DIGEST,
    startSeconds: 60,
  };
  it.each([
    [{ running: false }, /no such container.*does not run as it was deployed.*npm run up -- --stack s/],
    [{ name: "db-1", running: false }, /a container that does not run.*npm run up/],
    [{ name: "db-1", running: true, image: "sha256:b" }, /image sha256:b/],
    [
      { name: "db-1", running: true, image: DIGEST, unhealthy: "no answer" },
      /no answer.*is not healthy.*npm run restart -- db --stack s/,
    ],
  ])("that is broken: %j", (facts, words) => {
    expect(JSON.stringify(accessoryVerdict("s", of, facts))).toMatch(words);
  });

  it("that is well, and that is new and not healthy in time", () => {
    const facts = { name: "db-1", running: true, image: DIGEST };
    expect(accessoryVerdict("s", of, facts).status).toBe("proven");
    const { found, remedy } = notHealthyInTime(
      of,
      "db-2",
      { ...facts, unhealthy: "starting" },
      "it was stopped",
    );
    expect(found).toBe("starting; it was stopped");
    expect(remedy).toContain("correct watch-party:accessories.db");
  });
});

it("volumes of accessories are planned as those of services are", () => {
  const services: { name: string; volumes: Record<string, string> }[] = [
    { name: "web", volumes: { files: "/files" } },
    { name: "db", volumes: { db: "/var/lib/db" } },
  ];
  const { volumes, used } = planVolumes({ project: "watch-party", stack: "s", services });
  expect(volumes.map(({ id, resource }) => `${id} ${resource}`)).toEqual(["files web-files", "db db-db"]);
  expect(used).toEqual({ web: { files: "files" }, db: { db: "db" } });
});
