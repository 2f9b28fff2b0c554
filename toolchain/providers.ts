import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { isPackage } from "../freshness/package";
import { toolchainEnv } from "./env";
import { ToolchainError } from "./errors";
import { reach } from "./network";
import type { Paths } from "./paths";
import { run, tail, tryRun } from "./run";
import { standInPlugins } from "./standIns";
import { type Part, standInSources } from "./state";
import { plugins } from "./versions";

/** A file in a plugin's folder that marks a stand-in, with the hash of its sources. */
const STAMP = ".stand-in";

/** The resource plugins: official ones if they can be downloaded, else the stand-ins of packages/stand-ins/plugins. */
export async function resourcePlugins(
  at: Paths,
  note: (text: string) => void,
): Promise<Record<string, Part>> {
  const env = toolchainEnv(process.env, at);
  const sources = standInSources(at);
  const found: Record<string, Part> = {};
  const missing: string[] = [];
  for (const plugin of plugins) {
    const part = installed(env, plugin, sources);
    if (part) found[plugin.name] = part;
    else missing.push(plugin.name);
  }
  if (missing.length === 0) return found;

  const host = await reach("get.pulumi.com");
  if (host === "reachable") {
    note("official download");
    const left = [];
    for (const plugin of plugins.filter(({ name }) => missing.includes(name))) {
      const where = folderOf(env, plugin);
      if (existsSync(join(where, STAMP))) rmSync(where, { recursive: true, force: true });
      const args = ["plugin", "install", "resource", plugin.name, plugin.version];
      const result = await tryRun("pulumi", args, { env: official(env), timeout: 300_000 });
      if (result.ok) found[plugin.name] = { version: plugin.version, where, origin: "official" };
      else left.push(`${plugin.name}: ${tail(result.stderr, 1)}`);
    }
    if (left.length === 0) return found;
    if (isPackage) throw missingPlugins(left.join("; "));
    note(`the official download failed (${left.join("; ")}); stand-ins`);
  } else {
    if (isPackage) throw missingPlugins(`get.pulumi.com: ${host}`);
    note(`get.pulumi.com: ${host}; stand-ins from packages/stand-ins/plugins`);
  }
  await standIns(
    at,
    env,
    sources,
    plugins.map(({ name }) => name).filter((name) => !found[name]),
  );
  for (const plugin of plugins) {
    found[plugin.name] ??= { version: plugin.version, where: folderOf(env, plugin), origin: "stand-in" };
  }
  return found;
}

/** The npm package has no stand-ins: without the plugins it cannot deploy. */
function missingPlugins(why: string): ToolchainError {
  const install = plugins.map(({ name, version }) => `pulumi plugin install resource ${name} ${version}`);
  return new ToolchainError(
    `the Pulumi plugins ${plugins.map(({ name, version }) => `${name} ${version}`).join(" and ")} are missing and cannot be downloaded (${why})`,
    `Let this machine reach get.pulumi.com, or install them from a file: ${install.join("; ")} --file FILE.`,
    2,
  );
}

/** The folder where pulumi installs a plugin. */
function folderOf(env: NodeJS.ProcessEnv, plugin: { name: string; version: string }): string {
  return join(env.PULUMI_HOME ?? "", "plugins", `resource-${plugin.name}-v${plugin.version}`);
}

/** The installed plugin. A stand-in counts only if it was built from the current sources. */
export function installed(
  env: NodeJS.ProcessEnv,
  plugin: { name: string; version: string },
  sources: string,
): Part | undefined {
  const where = folderOf(env, plugin);
  if (!existsSync(join(where, `pulumi-resource-${plugin.name}`)) || existsSync(`${where}.partial`))
    return undefined;
  if (!existsSync(join(where, STAMP))) return { version: plugin.version, where, origin: "official" };
  // The npm package has no sources to compare with.
  const current = isPackage || readFileSync(join(where, STAMP), "utf8").trim() === sources;
  return current ? { version: plugin.version, where, origin: "stand-in" } : undefined;
}

async function standIns(at: Paths, env: NodeJS.ProcessEnv, sources: string, names: string[]): Promise<void> {
  const out = join(at.toolchain, "plugins");
  rmSync(out, { recursive: true, force: true });
  mkdirSync(out, { recursive: true });
  const { bundlePlugins } = standInPlugins();
  for (const plugin of await bundlePlugins(out)) {
    if (!names.includes(plugin.name)) continue;
    const asked = plugins.find(({ name }) => name === plugin.name);
    if (asked?.version !== plugin.version) {
      throw new ToolchainError(
        `the stand-in of plugin ${plugin.name} is ${plugin.version}, asked for is ${asked?.version ?? "none"}`,
        "Make toolchain/versions.ts and packages/stand-ins/plugins agree.",
      );
    }
    writeFileSync(join(plugin.folder, STAMP), `${sources}\n`);
    const args = ["plugin", "install", "resource", plugin.name, plugin.version, "--file", plugin.folder];
    await run("pulumi", [...args, "--reinstall"], {
      env,
      what: `installing the stand-in of plugin ${plugin.name}`,
      remedy: `Remove ${folderOf(env, plugin)} and run again.`,
    });
  }
}

/** The setting that stops pulumi from downloading plugins must not apply to this download. */
function official(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return { ...env, PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION: "false" };
}
