import * as pulumi from "@pulumi/pulumi";
import type { ServiceConfig } from "../../config/types";
import { urlVariable } from "../../freshness/container/products";
import { hostName } from "../../release/releaseNames";

/** The container's environment: its own variables, its secrets, and the URLs of the release's other services. */
export function environment(
  service: ServiceConfig,
  peers: readonly ServiceConfig[],
  release: string,
  beside: Readonly<Record<string, string>>,
): pulumi.Output<string[]> {
  const urls = Object.fromEntries(
    peers
      .filter((peer) => peer.port !== undefined)
      .map((peer) => [urlVariable(peer.name), `http://${hostName(peer.name, release)}:${peer.port}`]),
  );
  const plain = lines({ ...beside, ...urls, ...service.env });
  if (Object.keys(service.secretEnv).length === 0) return pulumi.output(plain);
  return pulumi.secret([...plain, ...lines(service.secretEnv)]);
}
function lines(variables: Readonly<Record<string, string>>): string[] {
  return Object.entries(variables).map(([name, value]) => `${name}=${value}`);
}
