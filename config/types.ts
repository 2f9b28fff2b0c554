import type * as z from "zod";
import type { accessorySchema } from "./accessorySchema";
import type { backupKeys } from "./backupSchema";
import type { RedirectConfig } from "./edgeKeys";
import type { registrySchema, schema, serverSchema } from "./schema";
import type { serviceSchema } from "./serviceSchema";

/** A validated value, which nothing changes. */
type Validated<S extends z.ZodType> = Frozen<z.output<S>>;
type Frozen<T> = T extends object ? { readonly [K in keyof T]: Frozen<T[K]> } : T;
/** `T`, with the values of `D` in place of its own. */
type With<T, D> = Omit<T, keyof D> & D;

interface Named {
  /** Lower-case name; also the resource's name and the host name that other services use. */
  readonly name: string;
  /** The variables, with the values that come from the environment. */
  readonly secretEnv: Readonly<Record<string, string>>;
}

type ServiceKeys = Validated<typeof serviceSchema>;
/** Keys whose default depends on the service's name. */
type ByName = "context" | "health" | "assets";

/** A service of the app: how it is built, reached and run. The keys are explained in `serviceSchema`. */
export type ServiceConfig = With<ServiceKeys, Named & Required<Pick<ServiceKeys, ByName>>>;

/** A program beside the app that is not built here. The keys are explained in `accessorySchema`. */
export type AccessoryConfig = With<Validated<typeof accessorySchema>, Named>;

/** How the data of an accessory or a service is backed up. */
export type BackupConfig = Validated<typeof backupKeys>;

/** The server to deploy to, over ssh. */
export type ServerConfig = Validated<typeof serverSchema>;

/** A registry of images, to which those that were built and proven are pushed. */
export type RegistryConfig = Validated<typeof registrySchema>;

interface Resolved {
  readonly listen: { readonly address: string; readonly port: number };
  readonly publicUrl: string;
  readonly redirects?: readonly RedirectConfig[];
  readonly services: readonly ServiceConfig[];
  readonly accessories: readonly AccessoryConfig[];
  /** What `up` refuses, since a variable that the configuration names is not set here; absent if all are. */
  readonly unset?: readonly string[];
}

/** The whole configuration of a stack, validated. The keys are explained in `schema`. */
export type DeployConfig = With<Validated<typeof schema>, Resolved>;

/** Wrong configuration: each problem names the key, the value and what is allowed. */
export class ConfigError extends Error {
  override readonly name = "ConfigError";
  constructor(readonly problems: readonly string[]) {
    super(
      `configuration: ${problems.length === 1 ? "1 problem" : `${problems.length} problems`}\n` +
        problems.map((problem) => `  ${problem}`).join("\n"),
    );
  }
}

/** The service whose build creates a service's image. */
export function imageOf({ name, image }: Pick<ServiceConfig, "name" | "image">): string {
  return image ?? name;
}

/** The namespace of the configuration keys. */
export { NAMESPACE } from "../freshness/project";
