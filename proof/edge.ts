import { type EdgeFiles, isMaintenance, readEdge } from "../engine/edgeFiles";
import type { Verdict } from "../freshness/chain";
import { edgeFilesVerdicts } from "../freshness/served/edge";
import { maintenanceVerdict } from "../freshness/served/maintenance";
import type { ToProve } from "./toProve";

/** Proves that the edge serves the release and the assets of the kept ones, and no maintenance page. */
export async function proveEdge({ engine, deployment, memory }: ToProve): Promise<Verdict[]> {
  if (memory === undefined) return [];
  const { stack, releases } = memory;
  const hasAssets = deployment.services.some(({ service }) => Object.keys(service.assets).length > 0);
  const builds = hasAssets ? releases.map(({ commit, build }) => [commit, build.id] as const) : [];
  const judge = (files: EdgeFiles) => [
    ...maintenanceVerdict(stack, files.state !== undefined && isMaintenance(files.state.caddyfile)),
    ...edgeFilesVerdicts(deployment.id, new Map(builds), files),
  ];
  // The proofs of what is served report a missing edge.
  return readEdge(engine, deployment.edge).then(judge, () => []);
}
