import { within } from "../engine/until";
import { browserPaths } from "../freshness/browser";
import type { Verdict } from "../freshness/chain";
import { type Names, placesOf } from "../freshness/served/places";
import { proveBrowser, readBrowserBefore } from "./browserFacts";
import { type ProvenService, withoutReplicas } from "./deployment";
import type { Pages, ToProve } from "./toProve";
import { unended } from "./unended";

/** Maximum time to read a service's pages. Slow answers are cut one by one; this limits all of them. */
const PAGES_SECONDS = { before: 60, after: 180 };

/** Reads the current pages with their cache headers. Never rejects. */
export async function readPages(site: Names, services: readonly ProvenService[]): Promise<Pages> {
  const read = services.map(async (service) => {
    const [url] = placesOf(site, service.hosts);
    const reading = readBrowserBefore(url, browserPaths(service));
    return [service.name, await within(PAGES_SECONDS.before, reading, () => [])] as const;
  });
  return new Map(await Promise.all(read));
}

/** Proves that a browser with the old pages gets the new ones. */
export async function provePages({ deployment, before }: ToProve): Promise<Verdict[]> {
  const verdicts = withoutReplicas(deployment.services).map(({ service }) => {
    const { name, strictAssets, hosts } = service;
    const [url] = placesOf(deployment, hosts);
    const proving = proveBrowser(url, name, browserPaths(service), before?.get(name) ?? [], { strictAssets });
    return within(PAGES_SECONDS.after, proving, () => [unended("browser", name, url, PAGES_SECONDS.after)]);
  });
  return (await Promise.all(verdicts)).flat();
}
