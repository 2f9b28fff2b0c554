import { type Break, broken, type Verdict } from "./chain";

/** What the engine says of a service's container. */
export interface RunningContainer {
  readonly name: string;
  readonly running: boolean;
  readonly image: string;
}

/** Judges what runs: the container that was deployed, from the image that was built. */
export function containerVerdict(
  service: string,
  image: string,
  container: RunningContainer | undefined,
): Verdict | Break {
  const expected = `a running container of ${short(image)}`;
  const found = !container
    ? "no such container"
    : container.running
      ? `a running container of ${short(container.image)}`
      : "a container that does not run";
  const evidence = container ? `container ${container.name}` : "the engine";
  if (container?.running && container.image === image)
    return { link: "container", service, status: "proven", expected, found, evidence };
  return broken({
    link: "container",
    service,
    wrong: "what runs is not what was deployed",
    expected,
    found,
    evidence,
    remedy: 'Deploy with "--refresh", so that what is gone or was changed by hand is made anew.',
  });
}

/** `sha256:` and twelve digits: enough to tell, short enough to read. */
export function short(digest: string): string {
  return digest.replace(/^(sha256:)?([0-9a-f]{12})[0-9a-f]*$/, "$1$2");
}
