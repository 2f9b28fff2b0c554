import execa from "execa";
import { childEnvironment } from "../config/environment";
import type { DockerEngine } from "../engine/docker";
import { pluginOrigins, pluginVersion } from "../engine/plugins";
import type { Versions } from "../freshness/chain";

/** Reads the versions of the tools that build and deploy a release; `unknown` if a tool does not answer. */
export async function readVersions(engine: DockerEngine): Promise<Versions> {
  const [[server, client], pulumi] = await Promise.all([
    engine.versions().catch(() => []),
    execa("pulumi", ["version"], {
      reject: false,
      timeout: 20_000,
      env: childEnvironment("pulumi"),
      extendEnv: false,
    }),
  ]);
  return {
    engine: server || "unknown",
    docker: client || "unknown",
    pulumi: pulumi.failed ? "unknown" : pulumi.stdout.trim().replace(/^v/, ""),
    plugins: { docker: pluginVersion("docker"), command: pluginVersion("command") },
    pluginOrigins: pluginOrigins(),
  };
}
