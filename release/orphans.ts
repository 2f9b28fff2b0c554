import * as pulumi from "@pulumi/pulumi";
import execa from "execa";
import { childEnvironment } from "../config/environment";
import type { DockerEngine } from "../engine/docker";
import { removeAbandoned, removeOrphans, strangers } from "../engine/orphans";
import type { Deployment } from "../proof/deployment";
import { removeEmptyVolumes } from "./readStanding";

/**
 * Removes what deploys that were killed have left on the engine: containers and networks of this stack, on a Swarm its
 * services and secrets, that its state does not know, for they were made in the moment of the kill. What the state knows
 * is Pulumi's to remove. A volume stays unless it is empty.
 *
 * @param last the deployment before this one, whose containers Pulumi removes next
 * @param volumes that the state did not know when the deploy began
 */
export async function sweep(
  engine: DockerEngine,
  deployment: Deployment,
  last: Deployment | undefined,
  volumes: readonly string[] = [],
): Promise<void> {
  const stack = pulumi.getStack();
  const known = [deployment, last].flatMap((of) =>
    of
      ? [
          of.edge,
          of.followers?.service ?? [],
          [...of.services, ...(of.accessories ?? [])].map(({ container }) => container),
        ].flat()
      : [],
  );
  const isSwarm = [deployment, last].some((of) => of?.cluster !== undefined);
  // A network has its name in the state's outputs, its id on the engine: it is told by the state alone, as a secret is.
  const [suspects] = await Promise.all([
    strangers(engine, stack, { known, isSwarm }),
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
