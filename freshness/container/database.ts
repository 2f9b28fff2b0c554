import { type Break, broken } from "../chain";
import { programOf, splitCommands } from "../dockerfile/shell";

/** What tells a database's image. */
export interface ImageTraits {
  /** The image's names, or that of the image it is built from. */
  readonly names?: readonly string[];
  /** `NAME=value`, the image's and the service's. */
  readonly env?: readonly string[];
  readonly entrypoint?: readonly string[];
  readonly command?: readonly string[];
  /** `5432/tcp` */
  readonly ports?: readonly string[];
}

/** A database that was recognised. */
export interface Database {
  readonly product: string;
  /** What it was recognised by. */
  readonly by: string;
  /** Whether nothing else looks like it: then no setting allows a second server. */
  readonly certain: boolean;
}

/** The last part of an image's name → the product. */
const IMAGES: readonly (readonly [RegExp, string])[] = [
  [/^(postgres|postgresql|postgis|pgvector|timescaledb(-ha)?|cloudnative-pg)$/, "PostgreSQL"],
  [/^(mysql|mysql-server|percona(-server)?)$/, "MySQL"],
  [/^mariadb(-server)?$/, "MariaDB"],
  [/^(redis|redis-stack(-server)?|valkey|keydb)$/, "Redis"],
  [/^(mongo|mongodb|mongodb-(community|enterprise)-server|percona-server-mongodb)$/, "MongoDB"],
  [/^(elasticsearch|opensearch)$/, "Elasticsearch"],
  [/^(clickhouse|clickhouse-server)$/, "ClickHouse"],
  [/^(couchdb|cassandra|etcd|neo4j|influxdb|cockroach|rabbitmq)$/, "a database"],
];
const PROGRAMS: readonly (readonly [RegExp, string])[] = [
  [/^(postgres|pg_ctl|pg_ctlcluster)$/, "PostgreSQL"],
  [/^(mysqld|mysqld_safe)$/, "MySQL"],
  [/^(mariadbd|mariadbd-safe)$/, "MariaDB"],
  [/^(redis-server|valkey-server|keydb-server)$/, "Redis"],
  [/^mongod$/, "MongoDB"],
  [/^(clickhouse-server)$/, "ClickHouse"],
  [/^(etcd|influxd|couchdb|rabbitmq-server)$/, "a database"],
];
/** Variables that a server's image sets, and no client's. */
const VARIABLES: Readonly<Record<string, string>> = {
  PGDATA: "PostgreSQL",
  MYSQL_MAJOR: "MySQL",
  MARIADB_VERSION: "MariaDB",
  REDIS_DOWNLOAD_URL: "Redis",
  VALKEY_DOWNLOAD_URL: "Redis",
  MONGO_MAJOR: "MongoDB",
};
const PORTS: Readonly<Record<string, string>> = {
  "5432": "PostgreSQL",
  "3306": "MySQL",
  "6379": "Redis",
  "27017": "MongoDB",
};

/** The database that an image is, if it is one that is known. */
export function databaseOf({
  names = [],
  env = [],
  entrypoint = [],
  command = [],
  ports = [],
}: ImageTraits): Database | undefined {
  for (const name of names) {
    const last = name.replace(/@.*$/, "").split("/").at(-1)?.replace(/:.*$/, "").toLowerCase() ?? "";
    const product = IMAGES.find(([words]) => words.test(last))?.[1];
    if (product) return { product, by: `image ${name}`, certain: true };
  }
  for (const program of programsOf(entrypoint, command)) {
    const product = PROGRAMS.find(([words]) => words.test(program))?.[1];
    if (product) return { product, by: `program ${program}`, certain: true };
  }
  for (const line of env) {
    const name = line.split("=", 1)[0] ?? "";
    const product = VARIABLES[name];
    if (product) return { product, by: `variable ${name} of its image`, certain: true };
  }
  for (const port of ports) {
    const product = PORTS[port.split("/", 1)[0] ?? ""];
    if (product) return { product, by: `exposed port ${port}`, certain: false };
  }
  return undefined;
}

const SHELL = /^(ba|da|a)?sh$/;
/** Programs that start the one behind them. */
const STARTERS = /^(tini|dumb-init|docker-init|catatonit|init)$|entrypoint/;
/** Such with a user before it. */
const AS_USER = /^(gosu|su-exec|setpriv|runuser)$/;

/** The programs that a container runs: not the words behind them. */
function programsOf(entrypoint: readonly string[], command: readonly string[]): string[] {
  const [first, ...rest] = [...entrypoint, ...command];
  if (first === undefined) return [];
  const program = first.split("/").at(-1) ?? first;
  if (SHELL.test(program)) {
    const script = rest.find((word) => !word.startsWith("-")) ?? "";
    return splitCommands(script).flatMap((each) => {
      const { program: name, args } = programOf(each);
      return programsOf([name, ...args], []);
    });
  }
  const options = rest.findIndex((word) => !word.startsWith("-"));
  if (STARTERS.test(program) && options >= 0) return [program, ...programsOf(rest.slice(options), [])];
  if (AS_USER.test(program) && options >= 0) return [program, ...programsOf(rest.slice(options + 1), [])];
  return [program];
}

/**
 * The names of the files by which a volume tells whose it is, and how deep below it they lie at most. SQLite is missing: its
 * locks hold between processes.
 */
export const DATA_FILES: readonly {
  readonly name: string;
  readonly depth: number;
  readonly product: string;
}[] = [
  { name: "postmaster.pid", depth: 3, product: "PostgreSQL" },
  { name: "PG_VERSION", depth: 3, product: "PostgreSQL" },
  { name: "ibdata1", depth: 2, product: "MySQL" },
  { name: "aria_log_control", depth: 2, product: "MariaDB" },
  { name: "dump.rdb", depth: 1, product: "Redis" },
  { name: "appendonly.aof", depth: 1, product: "Redis" },
  { name: "appendonlydir", depth: 1, product: "Redis" },
  { name: "WiredTiger", depth: 2, product: "MongoDB" },
  { name: "mongod.lock", depth: 2, product: "MongoDB" },
];

/**
 * The database whose data a volume holds.
 *
 * @param paths of files in the volume, relative to it
 */
export function databaseIn(volume: string, paths: readonly string[]): Database | undefined {
  for (const { name, depth, product } of DATA_FILES) {
    const found = paths.find((path) => {
      const parts = path.split("/").filter((part) => part !== "" && part !== ".");
      return parts.at(-1) === name && parts.length <= depth;
    });
    if (found !== undefined) return { product, by: `${found} in volume ${volume}`, certain: true };
  }
  return undefined;
}

/** How a service's containers come to share its volumes. */
export interface VolumeUse {
  readonly name: string;
  readonly volumes: Readonly<Record<string, string>>;
  readonly strategy?: "roll" | "recreate";
  readonly sharedVolume?: boolean;
}

/** Whether the old and the new container of a service run on its volumes at once. */
export function overlaps({ volumes, strategy }: VolumeUse): boolean {
  return Object.keys(volumes).length > 0 && strategy !== "recreate";
}

/** Refuses a second server on the data of a database. */
export function secondServer(use: VolumeUse, database: Database): Break | undefined {
  if (!overlaps(use) || (use.sharedVolume && !database.certain)) return undefined;
  const key = `watch-party:services.${use.name}`;
  const other = database.certain ? "" : `, or ${key}.sharedVolume to true if it is no database server`;
  return broken({
    link: "container",
    service: use.name,
    wrong: `a second server would run on the data of a database while the new container starts`,
    expected: "one server at a time on its volume",
    found: `${database.product} (${database.by}) and strategy roll, which runs two at once`,
    evidence: database.by,
    remedy: `Set ${key}.strategy to recreate: the old container stops before the new one starts${other}.`,
  });
}

/** What is to be said of a service that says nothing of its volumes; undefined where there is nothing. */
export function overlapWarning(use: VolumeUse): string | undefined {
  if (!overlaps(use) || use.sharedVolume) return undefined;
  const key = `watch-party:services.${use.name}`;
  const names = Object.keys(use.volumes).join(", ");
  return (
    `${use.name}: during a deploy the old and the new container use volume ${names} at once; set ${key}.sharedVolume to true ` +
    `if the program allows that, as with SQLite or uploaded files, or ${key}.strategy to recreate to stop the old one first`
  );
}
