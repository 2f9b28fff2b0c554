import { join } from "node:path";
import { isPackage } from "../freshness/package";
import { toolchainEnv } from "./env";
import { paths } from "./paths";
import { pluginLine } from "./pluginInfo";
import type { ReportLine } from "./reportLine";
import { isExecutable, tryRun } from "./run";
import { standInImages } from "./standIns";
import { readState } from "./state";

/** The current parts of the toolchain, each with its version, path and origin. */
export async function toolchainReport(): Promise<ReportLine[]> {
  const at = paths();
  const state = readState(at);
  const lines: ReportLine[] = [
    {
      part: "node",
      version: process.versions.node,
      where: process.execPath,
      origin: nodeOrigin(at.toolchain),
    },
    line("pulumi", state?.pulumi),
    line("pulumi-language-nodejs", state?.languageHost),
  ];
  const env = toolchainEnv(process.env, at);
  const plugins = (["docker", "command"] as const).map((name) => pluginLine(name, env));
  lines.push(...(await Promise.all(plugins)));
  lines.push(line("docker client", state?.docker));
  const docker = join(at.bin, "docker");
  const format = "{{.ServerVersion}} {{.DockerRootDir}}";
  const engine = isExecutable(docker)
    ? await tryRun(docker, ["info", "--format", format], { timeout: 20_000 })
    : undefined;
  const [version = "", where = ""] = engine?.ok ? engine.stdout.trim().split(" ") : [];
  lines.push({ part: "docker engine", version, where, origin: version ? "yours" : "missing" });
  if (!version || isPackage) return lines;
  for (const [image, origin] of Object.entries(await standInImages().standInImages({ docker }))) {
    lines.push({
      part: `image ${image}`,
      version: image.split(":")[1] ?? "",
      where: "docker engine",
      origin,
    });
  }
  return lines;
}

function line(
  part: string,
  found: { version: string; where: string; origin: string } | undefined,
): ReportLine {
  if (!found || !isExecutable(found.where)) {
    return { part, version: "", where: found?.where ?? "", origin: "missing" };
  }
  return { part, version: found.version, where: found.where, origin: found.origin };
}

function nodeOrigin(toolchain: string): string {
  return process.execPath.startsWith(join(toolchain, "node")) ? "official" : "yours";
}
