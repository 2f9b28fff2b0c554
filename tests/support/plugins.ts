import { pluginOrigins } from "../../engine/plugins";

/** Whether the suites run on the official plugin `docker`, which differs where tests/plugins/DIFFERENCES.md says so. */
export function isOfficial(): boolean {
  return pluginOrigins().docker !== "stand-in";
}
