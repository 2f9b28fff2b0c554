/** The same address on another host. */
export function withHost(url: string, host: string): string {
  const { protocol, port } = new URL(url);
  return `${protocol}//${host}${port === "" ? "" : `:${port}`}`;
}

/** A site: its public address, and its other names. */
export interface Names {
  readonly url: string;
  /** Names that the edge answers to besides that of `url`. */
  readonly otherNames?: readonly string[];
}

/** Where users reach a service: on its own hosts, or on all names of the site. The first one is that of its pages. */
export function placesOf(
  { url, otherNames = [] }: Names,
  hosts: readonly string[] | undefined,
): readonly [string, ...string[]] {
  const [first, ...others] = hosts ?? [];
  if (first !== undefined) return [withHost(url, first), ...others.map((host) => withHost(url, host))];
  return [url, ...otherNames.map((host) => withHost(url, host))];
}

/** All names of a site, without ports: those that a front knows it by. @param hosts those of its services alone */
export function namesOf({ url, otherNames = [] }: Names, hosts: readonly string[]): string[] {
  return [...new Set([new URL(url).hostname, ...otherNames, ...hosts])];
}

/** Whether other names of a site at this address are known to the edge alone: no name server knows an address. */
export function isAddress(url: string): boolean {
  const { hostname } = new URL(url);
  return /^[\d.]+$|^\[|^localhost$/.test(hostname);
}
