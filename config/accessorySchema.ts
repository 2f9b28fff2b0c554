import * as z from "zod";
import { backupSchema } from "./backupSchema";
import { SERVICE_NAME, serviceSchema } from "./serviceSchema";
import { environment, secretVariables, strict, text, whole } from "./values";

/** A program beside the app that is not built here, such as a database, a cache or a queue. */
export const accessorySchema = strict({
  /**
   * The image, best by digest (`postgres:17@sha256:…`); a tag alone is warned of and stays what it was at first. One that the engine
   * has is not fetched.
   */
  image: text.regex(/^[a-zA-Z0-9][A-Za-z0-9._/:@-]*$/, {
    error: "allowed: an image, such as postgres:17@sha256:DIGEST",
  }),
  /** What runs in place of the image's CMD: a list, or a text that is split at spaces outside quotes. Default: the image's. */
  command: serviceSchema.shape.command,
  /** What runs in place of the image's ENTRYPOINT. Default: the image's. */
  entrypoint: serviceSchema.shape.entrypoint,
  /** User or `user:group` that runs in the container. Default: the image's. */
  user: serviceSchema.shape.user,
  /** The port it listens on; `<NAME>_URL` names it. Default: that of PostgreSQL, MySQL, MariaDB, Redis, MongoDB; none for others. */
  port: whole(1, 65535).optional(),
  /**
   * Asks in the container whether it is healthy, by exit 0: a program and its arguments, or a text for `sh -c`. Default: what those
   * five have for it, else the image's own check, else a connection to the port.
   */
  health: serviceSchema.shape.releaseCommand,
  /** Environment in plain text. Default: none. */
  env: environment.default({}),
  /**
   * Environment that is kept secret in the state: NAME → text (set it with --secret), or `{ env: VARIABLE }` of the machine that
   * deploys, else of the file `.env.STACK` beside the stack's configuration. Default: none.
   */
  secretEnv: secretVariables.default({}),
  /** Volume name → path in the container; no service and no other accessory may use the same. Default: none. */
  volumes: serviceSchema.shape.volumes,
  /** Memory limit in MiB, swap included. Default: 1024. */
  memoryMb: whole(6, 1048576).default(1024),
  /** Size of /dev/shm in MiB. Default: the engine's, 64. */
  shmMb: whole(1, 1048576).optional(),
  /** Seconds a new container has to become healthy. Default: 60. */
  startSeconds: whole(1, 3600).default(60),
  /** Seconds that it has between its stop signal and being killed. Default: 30. */
  stopSeconds: whole(1, 3600).default(30),
  /** How its data is backed up. Default: not at all. */
  backup: backupSchema.optional(),
});

export const accessoriesSchema = z.record(
  z.string().regex(SERVICE_NAME, { error: "allowed: a name of lower-case letters, digits and -" }),
  accessorySchema,
  { error: "allowed: a mapping of names to their settings" },
);
