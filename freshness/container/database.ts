import { type Break, broken } from "../chain";
import { programOf, splitCommands } from "../dockerfile/shell";
import { NAMESPACE } from "../project";

/** Traits that identify a database's image. */
export interface ImageTraits {
  /** Names of the image, or the name of its base image. */
  readonly names?: readonly string[];
  /** `NAME=value` of the image and the service. */
  readonly env?: readonly string[];
  readonly entrypoint?: readonly string[];
  readonly command?: readonly string[];
  /** For example `5432/tcp`. */
  readonly ports?: readonly string[];
}

/** A recognised database. */
export interface Database {
  readonly product: string;
  /** The trait that identifies it. */
  readonly by: string;
  /** Whether only a database has this trait. If so, no setting allows a second server. */
  readonly certain: boolean;
}

/** Last part of the image's name → product. */
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
/** Variables that the image of a server sets, and the image of a client does not. */
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

/** Identifies a known database by its image; undefined for any other image. */
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
/** Programs that start the program in their arguments. */
const STARTERS = /^(tini|dumb-init|docker-init|catatonit|init)$|entrypoint/;
/** Programs that take a user before that program. */
const AS_USER = /^(gosu|su-exec|setpriv|runuser)$/;

/** Programs that a container runs, without their arguments. */
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
 * Names of files that identify the database of a volume, with their maximum depth. SQLite is not listed, because its
 * locks work between processes.
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
 * The database whose data is in a volume.
 * @param paths paths of files, relative to the volume
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

/** How the containers of a service share its volumes. */
export interface VolumeUse {
  readonly name: string;
  readonly volumes: Readonly<Record<string, string>>;
  readonly strategy?: "roll" | "recreate";
  readonly sharedVolume?: boolean;
  /** Set: one job runs at a time, also during a deploy. */
  readonly schedule?: string;
}

/** Whether the old and the new container of a service use its volumes at the same time. */
export function overlaps({ volumes, strategy, schedule }: VolumeUse): boolean {
  return Object.keys(volumes).length > 0 && strategy !== "recreate" && schedule === undefined;
}

/** Rejects a second server on the data of a database. */
export function secondServer(use: VolumeUse, database: Database): Break | undefined {
  if (!overlaps(use) || (use.sharedVolume && !database.certain)) return undefined;
  const key = `${NAMESPACE}:services.${use.name}`;
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

/** Warning for a service that does not configure how it shares its volumes; undefined if none is needed. */
export function overlapWarning(use: VolumeUse): string | undefined {
  if (!overlaps(use) || use.sharedVolume) return undefined;
  const key = `${NAMESPACE}:services.${use.name}`;
  const names = Object.keys(use.volumes).join(", ");
  return (
    `${use.name}: during a deploy the old and the new container use volume ${names} at once; set ${key}.sharedVolume to true ` +
    `if the program allows that, as with SQLite or uploaded files, or ${key}.strategy to recreate to stop the old one first`
  );
}
