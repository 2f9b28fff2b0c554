import { closeSync, existsSync, openSync, readSync } from "node:fs";
import { homedir } from "node:os";
import { delimiter, join } from "node:path";
import type { PluginOrigin } from "../freshness/chain";

/** The resource plugins, by the names that Pulumi gives them. */
export type PluginName = "docker" | "command";

/** What a stand-in of packages/stand-ins/plugins says in its first lines. */
const STAND_IN = "stand-in for the official Pulumi plugin";
/** How much of a file is read to find that. */
const HEAD_BYTES = 256;

/** The version of a plugin that its package asks for, which is the one that the CLI loads. */
export function pluginVersion(name: PluginName): string {
  return require(`@pulumi/${name}/package.json`).version;
}

/**
 * Where each installed plugin comes from, as its own executable says: no process is started.
 *
 * @returns `unknown` for one that is not installed: the CLI fetches the official one
 */
export function pluginOrigins(
  env: Readonly<NodeJS.ProcessEnv> = process.env,
): Readonly<Record<PluginName, PluginOrigin>> {
  return { docker: originOf(executable("docker", env)), command: originOf(executable("command", env)) };
}

/** The file that the CLI runs: one on PATH comes before those that it has installed. */
export function executable(
  name: PluginName,
  env: Readonly<NodeJS.ProcessEnv> = process.env,
): string | undefined {
  const file = `pulumi-resource-${name}`;
  const onPath = /^(1|true)$/i.test(env.PULUMI_IGNORE_AMBIENT_PLUGINS ?? "")
    ? []
    : (env.PATH ?? "").split(delimiter).map((folder) => join(folder, file));
  const home = env.PULUMI_HOME || join(homedir(), ".pulumi");
  const installed = join(home, "plugins", `resource-${name}-v${pluginVersion(name)}`, file);
  return [...onPath, installed].find(existsSync);
}

function originOf(file: string | undefined): PluginOrigin {
  if (file === undefined) return "unknown";
  const head = Buffer.alloc(HEAD_BYTES);
  const descriptor = openSync(file, "r");
  try {
    readSync(descriptor, head, 0, HEAD_BYTES, 0);
  } finally {
    closeSync(descriptor);
  }
  if (head.includes(STAND_IN)) return "stand-in";
  return isNative(head) ? "official" : "unknown";
}

/** The official plugins are programs of the machine's own kind: ELF, Mach-O, PE. */
function isNative(head: Buffer): boolean {
  const magic = head.toString("hex", 0, 4);
  return magic === "7f454c46" || /^(cffaedfe|cefaedfe|feedfacf|feedface|cafebabe|4d5a)/.test(magic);
}
