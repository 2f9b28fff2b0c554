/** Bundles the two stand-ins into folders for `pulumi plugin install resource NAME VERSION --file FOLDER`. */

import { chmod, mkdir } from "node:fs/promises";
import { join } from "node:path";
import { build } from "esbuild";
import { paths } from "../../../toolchain/paths";
import { standInOf } from "./standIn";

export interface BundledPlugin {
  name: "docker" | "command";
  /** The version of the official plugin that it replaces. */
  version: string;
  /** The folder that holds the executable `pulumi-resource-NAME`. */
  folder: string;
}

const plugins = [
  { name: "docker", version: "5.2.0" },
  { name: "command", version: "1.2.1" },
] as const;

/** Bundles each plugin and its dependencies into one executable file below `outDir`. */
export async function bundlePlugins(outDir: string): Promise<BundledPlugin[]> {
  return Promise.all(
    plugins.map(async ({ name, version }) => {
      const folder = join(outDir, name);
      const outfile = join(folder, `pulumi-resource-${name}`);
      await mkdir(folder, { recursive: true });
      await build({
        entryPoints: [join(paths().project, "packages", "stand-ins", "plugins", name, "index.ts")],
        outfile,
        bundle: true,
        platform: "node",
        target: "node20",
        format: "cjs",
        minifySyntax: true,
        minifyWhitespace: true,
        legalComments: "none",
        logLevel: "error",
        // Node caches the compiled code: each run starts the plugin several times.
        banner: {
          js: `#!/usr/bin/env node\n// ${standInOf(name, version)}\nrequire('node:module').enableCompileCache?.();`,
        },
      });
      await chmod(outfile, 0o755);
      return { name, version, folder };
    }),
  );
}
