import { type AccessoryTraits, productOf } from "./products";

/**
 * Commands for `sh -c` in the container. `command` writes the data to standard output. `restore` reads it from standard
 * input.
 */
export interface BackupCommands {
  readonly command: string;
  readonly restore: string;
  /** Whether the program must stop during a restore. The restore then runs in a separate container with its volumes. */
  readonly offline?: boolean;
}

/** Products with built-in backup commands. */
export const BACKUP_KINDS = ["postgres", "mysql", "mariadb", "redis", "sqlite"] as const;
export type BackupKind = (typeof BACKUP_KINDS)[number];

/** The image's own user and database, through the socket in the container. */
const POSTGRES_LOGIN =
  '--username "${POSTGRES_USER:-postgres}" --dbname "${POSTGRES_DB:-${POSTGRES_USER:-postgres}}"';

const POSTGRES: BackupCommands = {
  command: `pg_dump --format custom ${POSTGRES_LOGIN}`,
  // One transaction restores all or nothing, while others can still read.
  restore: `pg_restore --clean --if-exists --no-owner --single-transaction --exit-on-error ${POSTGRES_LOGIN}`,
};

function mysql(dump: string, client: string, variable: (part: string) => string): BackupCommands {
  const login = `export MYSQL_PWD="${variable("ROOT_PASSWORD")}";`;
  const database = `--user root "${variable("DATABASE")}"`;
  return {
    command: `${login} ${dump} --single-transaction --routines --triggers ${database}`,
    restore: `${login} ${client} ${database}`,
  };
}

const MYSQL = mysql("mysqldump", "mysql", (part) => `\${MYSQL_${part}:-}`);
const MARIADB = mysql("mariadb-dump", "mariadb", (part) => `\${MARIADB_${part}:-\${MYSQL_${part}:-}}`);

const REDIS: BackupCommands = {
  command: '[ -z "${REDIS_PASSWORD:-}" ] || export REDISCLI_AUTH="$REDIS_PASSWORD"; redis-cli --rdb -',
  // Redis writes the same file when it stops.
  restore: "cat > /data/dump.rdb",
  offline: true,
};

/** SQLite has no server. Its file is in a volume of a service. The image contains the sqlite3 program or Python. */
function sqlite(file: string): BackupCommands {
  const database = `'${file.replaceAll("'", `'\\''`)}'`;
  const temporary = `f=$(mktemp) && trap 'rm -f "$f"' EXIT`;
  const copy =
    "import sqlite3, sys; a, b = map(sqlite3.connect, sys.argv[1:]); a.backup(b); a.close(); b.close()";
  const either = (program: string, from: string, to: string) =>
    `if command -v sqlite3 > /dev/null; then ${program}; else python3 -c '${copy}' ${from} ${to}; fi`;
  const out = either(`sqlite3 ${database} ".backup $f"`, database, '"$f"');
  const back = either(`sqlite3 ${database} ".restore $f"`, '"$f"', database);
  return {
    command: `${temporary} && { ${out}; } && cat "$f"`,
    restore: `${temporary} && cat > "$f" && { ${back}; }`,
  };
}

/**
 * Commands of a kind.
 * @param file for sqlite, the path in the container
 */
export function commandsOfKind(kind: BackupKind, file = ""): BackupCommands {
  const known = { postgres: POSTGRES, mysql: MYSQL, mariadb: MARIADB, redis: REDIS };
  return kind === "sqlite" ? sqlite(file) : known[kind];
}

/** Kind of an accessory, by its image; undefined for any other. */
export function kindOf(accessory: Pick<AccessoryTraits, "image" | "env">): BackupKind | undefined {
  const kinds: Readonly<Record<string, BackupKind>> = {
    PostgreSQL: "postgres",
    MySQL: "mysql",
    MariaDB: "mariadb",
    Redis: "redis",
  };
  return kinds[productOf(accessory)?.name ?? ""];
}
