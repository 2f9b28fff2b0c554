import { type Break, broken, type Verdict } from "../chain";
import { commandLine, NAMESPACE } from "../project";

/** A deployed accessory, without secrets. */
export interface DeployedAccessory {
  readonly name: string;
  readonly container: string;
  /** Image reference from the configuration. */
  readonly image: string;
  /** Image ID that the engine had for this reference. */
  readonly imageId: string;
  readonly port?: number;
  readonly health?: readonly string[];
  /** Maximum seconds until it is healthy. */
  readonly startSeconds: number;
}

/** State of an accessory, as the engine reports it. */
export interface AccessoryFacts {
  /** Name of its container; undefined if the container is gone. */
  readonly name?: string;
  readonly running: boolean;
  readonly image?: string;
  /** Why its health check fails; undefined if it passes or if there is none. */
  readonly unhealthy?: string;
  readonly log?: readonly string[];
}

/** Judges whether an accessory runs as deployed. */
export function accessoryVerdict(
  stack: string,
  of: DeployedAccessory,
  facts: AccessoryFacts,
): Verdict | Break {
  const expected = `image ${of.image} (${of.imageId.slice(0, 19)}), running and healthy`;
  const evidence = `docker inspect ${facts.name ?? of.container.slice(0, 12)}`;
  const proven: Verdict = {
    link: "container",
    service: of.name,
    status: "proven",
    expected,
    found: expected,
    evidence,
  };
  const found =
    facts.name === undefined
      ? "no such container"
      : !facts.running
        ? "a container that does not run"
        : facts.image !== of.imageId
          ? `image ${facts.image?.slice(0, 19)}`
          : facts.unhealthy;
  if (found === undefined) return proven;
  const isSick = facts.running && facts.image === of.imageId;
  return broken({
    ...proven,
    wrong: isSick ? "the accessory is not healthy" : "the accessory does not run as it was deployed",
    found,
    remedy: isSick
      ? `See what it says (${commandLine(`logs ${of.name} --stack ${stack}`)}), then start it again: ${commandLine(`restart ${of.name} --stack ${stack}`)}.`
      : `Start it again: ${commandLine(`up --stack ${stack}`)}.`,
    log: facts.log,
  });
}

/** Judges a new container that did not become healthy in time. */
export function notHealthyInTime(
  of: DeployedAccessory,
  name: string,
  facts: AccessoryFacts,
  back: string,
): Break {
  return broken({
    link: "container",
    service: of.name,
    wrong: "the accessory's new container does not become healthy",
    expected: `healthy within ${of.startSeconds} s`,
    found: `${facts.unhealthy ?? "a container that does not run"}; ${back}`,
    evidence: `docker inspect ${name}`,
    remedy: `See its last lines, correct ${NAMESPACE}:accessories.${of.name}, and deploy again; if it is only slow, raise its startSeconds.`,
    log: facts.log,
  });
}
