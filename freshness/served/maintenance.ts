import { type Break, broken, EVERY_SERVICE } from "../chain";
import { commandLine } from "../project";

/** Breaks the link while the edge answers 503 on purpose, because users do not get the release. */
export function maintenanceVerdict(stack: string, isOn: boolean): Break[] {
  if (!isOn) return [];
  return [
    broken({
      link: "served",
      service: EVERY_SERVICE,
      wrong: "maintenance is on, and the edge answers 503",
      expected: "the release at the public address",
      found: "the maintenance page, with status 503",
      evidence: "the edge's volume, /edge/Caddyfile",
      remedy: `Run "${commandLine(`maintenance off --stack ${stack}`)}" to serve the release again.`,
    }),
  ];
}
