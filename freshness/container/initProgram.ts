import { posix } from "node:path";

/** What an image starts: its ENTRYPOINT and its CMD. */
export interface Starts {
  readonly entrypoint: readonly string[];
  readonly command: readonly string[];
}

/** Programs that do what docker-init does, or that refuse to run as any process but the first. */
const INIT = /^(tini(-static)?|dumb-init|catatonit|systemd|s6-svscan|s6-overlay-suexec|pebble)$/;
/** `/init` of s6-overlay, `/sbin/my_init` of phusion/baseimage, `runit-init`; a script by such a name is taken for one. */
const NAMED_INIT = /^([a-z0-9]+[-_])?init(\.(sh|bash|py))?$/;

/**
 * Whether what a container starts is to be its process 1, so that docker-init is not put before it.
 *
 * @param image what the image starts
 * @param own what the service's `entrypoint` and `command` have instead: with its own entrypoint the image's CMD is dropped
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

/** The program that runs in the end: a shell with `-c`, `exec` and `env` are passed over. */
function firstProgram([first, ...rest]: readonly string[]): string | undefined {
  if (first === undefined) return undefined;
  const [flag, script] = rest;
  if (/^(ba|da)?sh$/.test(posix.basename(first)) && flag === "-c" && script !== undefined)
    return firstProgram(script.trim().split(/\s+/));
  if (posix.basename(first) === "env") return firstProgram(rest.filter((word) => !word.includes("=")));
  return first === "exec" ? firstProgram(rest) : first;
}
