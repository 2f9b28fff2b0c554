import * as z from "zod";
import { BACKUP_KINDS } from "../freshness/container/backupCommands";
import { absolutePath, filled, flag, oneOf, strict, text, whole } from "./values";

/** How the data of an accessory or a service is backed up. */
export const backupKeys = strict({
  /** A program that is known: postgres, mysql, mariadb, redis, sqlite. Default: by the accessory's image. */
  kind: oneOf(...BACKUP_KINDS).optional(),
  /** The database file in the container; with kind sqlite alone. Default: none. */
  file: absolutePath.optional(),
  /** Writes the data to standard output, for `sh -c` in the container. Default: what the kind has for it. */
  command: filled.optional(),
  /** Reads it back from standard input, for `sh -c` in the container. Default: what the kind has for it. */
  restore: filled.optional(),
  /** How many backups are kept. Default: 7. */
  keep: whole(1, 1000).default(7),
  /** A folder on the engine's machine, absolute or below `~/`. Default: `~/watch-party-backups`. */
  to: text
    .regex(/^(~\/|\/)[A-Za-z0-9._/-]*[A-Za-z0-9]$/, {
      error: 'allowed: a folder such as "/srv/backups" or "~/backups"',
    })
    .default("~/watch-party-backups"),
  /**
   * Copies each new backup away, for `sh -c` on the engine's machine: BACKUP_FILE is its path, BACKUP_NAME its stack, name and ID,
   * such as `rclone copyto "$BACKUP_FILE" "s3:my-bucket/$BACKUP_NAME"`. Default: none.
   */
  copy: filled.optional(),
  /** Whether one is taken before a `releaseCommand`; where that fails, the deploy does. Default: true. */
  beforeRelease: flag.default(true),
});

/** A text is its kind. */
export const backupSchema = z.preprocess(
  (value) => (typeof value === "string" ? { kind: value } : value),
  backupKeys,
);
