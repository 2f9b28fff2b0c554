import { posix } from "node:path";

/** ENTRYPOINT and CMD of an image. */
export interface Starts {
  readonly entrypoint: readonly string[];
  readonly command: readonly string[];
}

/** Programs that do the work of docker-init, or that refuse to run unless they are process 1. */
const INIT = /^(tini(-static)?|dumb-init|catatonit|systemd|s6-svscan|s6-overlay-suexec|pebble)$/;
/**
 * `/init` of s6-overlay, `/sbin/my_init` of phusion/baseimage, `runit-init`. A script with such a name counts as an
 * init.
 */
const NAMED_INIT = /^([a-z0-9]+[-_])?init(\.(sh|bash|py))?$/;

/**
 * Whether the container's program must be process 1. Docker-init then does not run before it.
 * @param image ENTRYPOINT and CMD of the image
 * @param own the service's `entrypoint` and `command`, which replace the image's; an own entrypoint drops the image's
 * CMD
 */
export function startsInit(
  image: Starts | undefined,
  own: { readonly entrypoint?: readonly string[]; readonly command?: readonly string[] } = {},
): boolean {
  const entrypoint = own.entrypoint ?? image?.entrypoint ?? [];
  const command = own.command ?? (own.entrypoint === undefined ? image?.command : undefined) ?? [];
  const program = posix.basename(firstProgram([...entrypoint, ...command]) ?? "");
  return INIT.test(program) || NAMED_INIT.test(program);
}

/** The program that finally runs. Skips a shell with `-c`, `exec` and `env`. */
function firstProgram([first, ...rest]: readonly string[]): string | undefined {
  if (first === undefined) return undefined;
  const [flag, script] = rest;
  if (/^(ba|da)?sh$/.test(posix.basename(first)) && flag === "-c" && script !== undefined)
    return firstProgram(script.trim().split(/\s+/));
  if (posix.basename(first) === "env") return firstProgram(rest.filter((word) => !word.includes("=")));
  return first === "exec" ? firstProgram(rest) : first;
}
