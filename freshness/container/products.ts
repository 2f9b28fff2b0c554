import { databaseOf } from "./database";

/** A known program that stores data. */
export interface Product {
  readonly name: string;
  readonly port: number;
  /** Health check for `sh -c` in its container. Exit 0 means that the program accepts connections. */
  readonly health: string;
  /** Folder of its data in the official image. */
  readonly data?: (tag: string | undefined) => string;
  /** URL of the program, with the login from its image's variables. */
  readonly url: (host: string, port: number, env: Variables) => string;
}

type Variables = Readonly<Record<string, string>>;

const login = (user: string, password: string | undefined) =>
  `${encodeURIComponent(user)}${password === undefined ? "" : `:${encodeURIComponent(password)}`}@`;

const POSTGRES: Product = {
  name: "PostgreSQL",
  port: 5432,
  // The check uses TCP. While an image creates a new database, the server listens only on a socket.
  health: 'pg_isready -q -h 127.0.0.1 -U "${POSTGRES_USER:-postgres}"',
  // From 18 on, a folder for each major version is below the volume.
  data: (tag) => (Number.parseInt(tag ?? "", 10) < 18 ? "/var/lib/postgresql/data" : "/var/lib/postgresql"),
  url: (
    host,
    port,
    { POSTGRES_USER: user = "postgres", POSTGRES_PASSWORD: password, POSTGRES_DB: name = user },
  ) => `postgresql://${login(user, password)}${host}:${port}/${encodeURIComponent(name)}`,
};

const mysql = (name: "MySQL" | "MariaDB"): Product => {
  const prefix = name.toUpperCase();
  const admin = name === "MySQL" ? "mysqladmin" : "mariadb-admin";
  return {
    name,
    port: 3306,
    health: `${admin} ping -h 127.0.0.1 --silent`,
    data: () => "/var/lib/mysql",
    url: (host, port, env) => {
      const of = (part: string) => env[`${prefix}_${part}`] ?? env[`MYSQL_${part}`];
      const user = of("USER");
      const password = user === undefined ? of("ROOT_PASSWORD") : of("PASSWORD");
      return `mysql://${login(user ?? "root", password)}${host}:${port}/${encodeURIComponent(of("DATABASE") ?? "")}`;
    },
  };
};

const REDIS: Product = {
  name: "Redis",
  port: 6379,
  // A server that requires a password runs. A server that still loads its data answers LOADING.
  health: "redis-cli ping 2>&1 | grep -qE 'PONG|NOAUTH'",
  url: (host, port, { REDIS_PASSWORD: password }) =>
    `redis://${password === undefined ? "" : login("", password)}${host}:${port}`,
};

const MONGODB: Product = {
  name: "MongoDB",
  port: 27017,
  health: "mongosh --quiet --eval 'quit(db.runCommand({ ping: 1 }).ok ? 0 : 1)'",
  data: () => "/data/db",
  url: (host, port, { MONGO_INITDB_ROOT_USERNAME: user, MONGO_INITDB_ROOT_PASSWORD: password }) =>
    `mongodb://${user === undefined ? "" : login(user, password)}${host}:${port}`,
};

const PRODUCTS: readonly Product[] = [POSTGRES, mysql("MySQL"), mysql("MariaDB"), REDIS, MONGODB];

/** Configuration that identifies an accessory's product. */
export interface AccessoryTraits {
  readonly name: string;
  readonly image: string;
  readonly port?: number;
  readonly health?: readonly string[];
  readonly env: Variables;
  readonly secretEnv: Variables;
}

/** Known product of an accessory; undefined for any other. */
export function productOf({ image, env }: Pick<AccessoryTraits, "image" | "env">): Product | undefined {
  const found = databaseOf({ names: [image], env: Object.keys(env).map((name) => `${name}=`) });
  return PRODUCTS.find(({ name }) => name === found?.product);
}

/** Port of an accessory; undefined if unknown. */
export function portOf(accessory: AccessoryTraits): number | undefined {
  return accessory.port ?? productOf(accessory)?.port;
}

/** Health check command of an accessory; undefined if unknown. */
export function healthOf(accessory: AccessoryTraits): readonly string[] | undefined {
  const known = productOf(accessory)?.health;
  return accessory.health ?? (known === undefined ? undefined : ["sh", "-c", known]);
}

/** The variable in which services find the URL of a service or an accessory. */
export function urlVariable(name: string): string {
  return `${name.toUpperCase().replaceAll("-", "_")}_URL`;
}

/** `<NAME>_URL` of each accessory with a port, for the services. The URL contains the login if it is known. */
export function accessoryUrls(accessories: readonly AccessoryTraits[]): Record<string, string> {
  const urls = accessories.flatMap((accessory) => {
    const port = portOf(accessory);
    if (port === undefined) return [];
    const { name, env, secretEnv } = accessory;
    const known = productOf(accessory);
    const url = known?.url(name, port, { ...env, ...secretEnv }) ?? `tcp://${name}:${port}`;
    return [[urlVariable(name), url] as const];
  });
  return Object.fromEntries(urls);
}
