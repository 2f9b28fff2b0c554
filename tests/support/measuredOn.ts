import execa from "execa";
import { pluginOrigins } from "../../engine/plugins";

/** What a measurement names: the engine and the plugins that it was taken on, and the day. */
export async function measuredOn(): Promise<{ readonly versions: string; readonly date: string }> {
  const format = "Docker client {{.Client.Version}}, engine {{.Server.Version}}";
  const { stdout: engine } = await execa("docker", ["version", "--format", format]);
  const plugins = Object.entries(pluginOrigins()).map(([name, origin]) => `${name} ${origin}`);
  return {
    versions: `${engine}, plugins: ${plugins.join(", ")}`,
    date: new Date().toISOString().slice(0, 10),
  };
}
