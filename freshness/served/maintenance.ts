import { type Break, broken, EVERY_SERVICE } from "../chain";

/** What is wrong while the edge answers 503 on purpose: the release is not what users get. */
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
      remedy: `Run "npm run -s maintenance -- off --stack ${stack}" to serve the release again.`,
    }),
  ];
}
