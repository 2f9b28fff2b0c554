import { closeSync, existsSync, openSync, readSync } from "node:fs";
import { homedir } from "node:os";
import { delimiter, join } from "node:path";
import type { PluginOrigin } from "../freshness/chain";

/** The resource plugins, by Pulumi's names. */
export type PluginName = "docker" | "command";

/** Marker in the first lines of a stand-in of packages/stand-ins/plugins. */
const STAND_IN = "stand-in for the official Pulumi plugin";
/** Number of bytes to search for the marker. */
const HEAD_BYTES = 256;

/** The plugin version that the npm package asks for; the CLI loads that one. */
export function pluginVersion(name: PluginName): string {
  return require(`@pulumi/${name}/package.json`).version;
}

/**
 * Reads each installed plugin's origin from its executable, without starting it.
 *
 * @returns `unknown` for a missing plugin: the CLI downloads the official one
 */
export function pluginOrigins(
  env: Readonly<NodeJS.ProcessEnv> = process.env,
): Readonly<Record<PluginName, PluginOrigin>> {
  return { docker: originOf(executable("docker", env)), command: originOf(executable("command", env)) };
}

/** Finds the file that the CLI runs: PATH comes before the installed plugins. */
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

/** Official plugins are native executables: ELF, Mach-O, PE. */
function isNative(head: Buffer): boolean {
  const magic = head.toString("hex", 0, 4);
  return magic === "7f454c46" || /^(cffaedfe|cefaedfe|feedfacf|feedface|cafebabe|4d5a)/.test(magic);
}
