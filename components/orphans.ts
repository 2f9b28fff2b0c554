import * as pulumi from "@pulumi/pulumi";
import execa from "execa";
import type { DockerEngine } from "../engine/docker";
import { removeAbandoned, removeOrphans, strangers } from "../engine/orphans";
import type { Deployment } from "../engine/prove";
import { childEnvironment } from "../environment";

/**
 * Removes what deploys that were killed have left on the engine: containers and networks of this stack, on a Swarm its
 * services and secrets, that its state does not know, for they were made in the moment of the kill. What the state knows
 * is Pulumi's to remove. Volumes stay.
 *
 * @param last the deployment before this one, whose containers Pulumi removes next
 */
export async function sweep(
  engine: DockerEngine,
  deployment: Deployment,
  last: Deployment | undefined,
): Promise<void> {
  const stack = pulumi.getStack();
  const known = [deployment, last].flatMap((of) =>
    of ? [of.edge, of.followers?.service ?? [], of.services.map(({ container }) => container)].flat() : [],
  );
  const isSwarm = [deployment, last].some((of) => of?.cluster !== undefined);
  // A network has its name in the state's outputs, its id on the engine: it is told by the state alone, as a secret is.
  const [suspects] = await Promise.all([
    strangers(engine, stack, { known, isSwarm }),
    removeAbandoned(engine),
  ]);
  const networks = isSwarm ? 2 : 1;
  if (suspects.every(({ kind }) => kind === "network") && suspects.length <= networks) return;
  const { stdout } = await execa("pulumi", ["stack", "export", "--stack", stack], {
    env: childEnvironment("pulumi"),
    extendEnv: false,
  });
  const orphans = suspects.filter(({ id }) => !stdout.includes(id));
  if (orphans.length === 0) return;
  await removeOrphans(engine, orphans);
  const kinds = orphans.map(({ kind, id }) => `${kind} ${id.slice(0, 12)}`).join(", ");
  await pulumi.log.info(`removed what a deploy that was killed has left: ${kinds}`);
}
