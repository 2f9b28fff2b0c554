import type { ServiceConfig } from "../config/types";
import { zip } from "../freshness/sure";
import { quote } from "./cli";
import type { DockerEngine } from "./docker";
import { lastLines, MaskedLines, maskOf } from "./mask";

/** A command that runs once in its own container. */
export interface OneOff {
  readonly image: string;
  readonly command: readonly string[];
  /** `NAME=value`; values never appear on a command line. */
  readonly env: readonly string[];
  /** Values to mask in the output. */
  readonly secrets: readonly string[];
  /** Volume → path in the container. */
  readonly volumes: Readonly<Record<string, string>>;
  readonly network: string;
  readonly memoryMb: number;
  readonly capabilities: readonly string[];
  readonly labels: Readonly<Record<string, string>>;
  /** The service's other run options. */
  readonly options: Pick<
    ServiceConfig,
    "entrypoint" | "init" | "user" | "tmpfs" | "shmMb" | "extraHosts" | "cpus" | "pidsLimit"
  >;
  readonly dns: { readonly search: readonly string[]; readonly options: readonly string[] };
}

/** Default limit of processes and threads. */
export const PIDS_LIMIT = 4096;

const MINUTES = 10;

/**
 * Runs a command and waits for its end.
 *
 * @param say receives each line of output as it comes, masked
 * @throws Error with the last lines of the output, masked
 */
export async function runOnce(
  engine: DockerEngine,
  oneOff: OneOff,
  say: (line: string) => void,
): Promise<void> {
  const { image, command, env, volumes, network, memoryMb, capabilities, labels, options, dns } = oneOff;
  const [entrypoint, ...first] = options.entrypoint ?? [];
  const named = env.map((line) => line.slice(0, line.indexOf("=")));
  const flags = [
    ...["run", "--rm", "--network", network, "--memory", `${memoryMb}m`, "--memory-swap", `${memoryMb}m`],
    ...(options.init === false ? [] : ["--init"]),
    ...(entrypoint === undefined ? [] : ["--entrypoint", entrypoint]),
    ...(options.user === undefined ? [] : ["--user", options.user]),
    ...(options.tmpfs ?? []).flatMap((path) => ["--tmpfs", path]),
    ...(options.shmMb === undefined ? [] : ["--shm-size", `${options.shmMb}m`]),
    ...Object.entries(options.extraHosts ?? {}).flatMap(([host, ip]) => ["--add-host", `${host}:${ip}`]),
    ...(options.cpus === undefined ? [] : ["--cpus", String(options.cpus)]),
    ...["--pids-limit", String(options.pidsLimit ?? PIDS_LIMIT)],
    ...dns.search.flatMap((domain) => ["--dns-search", domain]),
    ...dns.options.flatMap((option) => ["--dns-option", option]),
    ...["--security-opt", "no-new-privileges:true", "--cap-drop", "ALL"],
    ...capabilities.flatMap((each) => ["--cap-add", each]),
    ...Object.entries(labels).flatMap(([name, value]) => ["--label", `${name}=${value}`]),
    ...Object.entries(volumes).flatMap(([volume, path]) => ["--volume", `${volume}:${path}`]),
    // Without a value docker passes on its own environment variable.
    ...named.flatMap((name) => ["--env", name]),
  ];
  const run = ["docker", ...flags, image, ...first, ...command].map(quote).join(" ");
  const variables = zip(named, env).map(
    ([name, line]) => `export ${name}=${quote(line.slice(name.length + 1))}`,
  );
  const script = `eval "$(cat)"; exec ${run} 1>&2 < /dev/null`;
  const mask = maskOf(oneOff.secrets);
  const lines = new MaskedLines(mask, say);
  const heard = (said: Uint8Array) => lines.write(said);
  await engine
    .script(script, { input: variables.join("\n"), minutes: MINUTES, heard })
    .catch((cause: Error) => {
      const last = lastLines(cause.message, mask).join("\n");
      throw new Error(`${mask(command.join(" "))} failed; its last lines:\n${last}`);
    })
    .finally(() => lines.end());
}
