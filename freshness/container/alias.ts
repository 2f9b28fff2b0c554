import { type Break, broken, type Verdict } from "../chain";

/** A running container with its names in each network. */
export interface NamedContainer {
  readonly id: string;
  readonly name: string;
  readonly networks: readonly NetworkNames[];
}

export interface NetworkNames {
  readonly id: string;
  readonly name: string;
  /** Names that the network's DNS resolves to this container. */
  readonly names: readonly string[];
}

/** Whether the DNS of any of its networks resolves a host name to a container. */
export function hasName({ networks }: NamedContainer, host: string): boolean {
  return networks.some(({ names }) => names.includes(host));
}

/**
 * Judges a service's host name. Only the deployed container may have it, because a name of two containers resolves to
 * either.
 * @param others all running containers in its networks; may include the container itself
 */
export function aliasVerdict(
  service: string,
  host: string,
  container: NamedContainer,
  others: readonly NamedContainer[],
): Verdict | Break {
  const own = new Set(container.networks.map(({ id }) => id));
  const twins = others
    .filter(({ id }) => id !== container.id)
    .flatMap(({ name, networks }) => {
      const shared = networks.find(({ id, names }) => own.has(id) && names.includes(host));
      return shared ? [{ name, network: shared.name }] : [];
    });
  const expected = `container ${container.name} alone at ${host}`;
  const evidence = `network ${container.networks.map(({ name }) => name).join(", ")}`;
  if (!hasName(container, host))
    return broken({
      link: "container",
      service,
      wrong: "no network has the container at its name",
      expected,
      found: `it is in ${container.networks.map(({ name }) => name).join(", ") || "no network"} under other names`,
      evidence: `docker inspect ${container.name}: NetworkSettings`,
      remedy: "Deploy again: the release then starts in new containers, without a build.",
    });
  const [first] = twins;
  if (!first) return { link: "container", service, status: "proven", expected, found: expected, evidence };
  return broken({
    link: "container",
    service,
    wrong: "another container answers to its name",
    expected,
    found: `${twins.map(({ name }) => name).join(", ")} there too`,
    evidence,
    remedy: `Disconnect it with "docker network disconnect --force ${first.network} ${first.name}", or remove it.`,
  });
}
