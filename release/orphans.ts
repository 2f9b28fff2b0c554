import * as pulumi from "@pulumi/pulumi";
import execa from "execa";
import { childEnvironment } from "../config/environment";
import type { DockerEngine } from "../engine/docker";
import { readInventory } from "../engine/inventory";
import { removeAbandoned, removeOrphans } from "../engine/orphans";
import { type Deployment, idsOf } from "../proof/deployment";
import { removeEmptyVolumes } from "./readStanding";

/**
 * Removes what killed deploys have left on the engine: containers and networks of this stack, and services and secrets
 * on a Swarm, that the state does not have because they were created at the moment of the kill. Pulumi removes what the
 * state has. A volume is removed only if it is empty.
 * @param last the previous deployment, whose containers Pulumi removes next
 * @param volumes that the state did not have when the deploy began
 */
export async function sweep(
  engine: DockerEngine,
  deployment: Deployment,
  last: Deployment | undefined,
  volumes: readonly string[] = [],
): Promise<void> {
  const stack = pulumi.getStack();
  const known = idsOf([deployment, last]);
  const isSwarm = [deployment, last].some((of) => of?.cluster !== undefined);
  // The state's outputs have a network's name, the engine its ID. Only the state identifies a network, or a secret.
  const [suspects] = await Promise.all([
    readInventory(engine, stack, { known, isSwarm }),
    removeAbandoned(engine),
  ]);
  const networks = isSwarm ? 2 : 1;
  const isUsual = suspects.every(({ kind }) => kind === "network") && suspects.length <= networks;
  if (isUsual && volumes.length === 0) return;
  const { stdout } = await execa("pulumi", ["stack", "export", "--stack", stack], {
    env: childEnvironment("pulumi"),
    extendEnv: false,
  });
  const orphans = suspects.filter(({ id }) => !stdout.includes(id));
  await removeOrphans(engine, orphans);
  const empty = await removeEmptyVolumes(
    engine,
    volumes.filter((name) => !stdout.includes(name)),
  );
  const removed = [
    ...orphans.map(({ kind, id }) => `${kind} ${id.slice(0, 12)}`),
    ...empty.map((name) => `volume ${name}`),
  ];
  if (removed.length > 0)
    await pulumi.log.info(`removed what a deploy that was killed has left: ${removed.join(", ")}`);
}
