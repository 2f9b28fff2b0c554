import { until, within } from "../engine/until";
import { browserPaths } from "../freshness/browser";
import type { Verdict } from "../freshness/chain";
import type { Answer } from "../freshness/served/answer";
import { pagesVerdict } from "../freshness/served/pages";
import { placesOf } from "../freshness/served/places";
import { loopVerdict } from "../freshness/served/redirects";
import { answerVerdict } from "../freshness/served/upstream";
import { type ProvenService, proofAddress, withoutReplicas } from "./deployment";
import { addressesOf, ask, askPage } from "./http";
import { followRedirects } from "./redirects";
import type { ToProve } from "./toProve";
import { unended } from "./unended";

/** Requests for each address and service. */
const TIMES = 3;
/** Maximum time for the public address to serve the release; new routes may need a certificate first. */
const PATIENCE_MS = { plain: 5_000, newHttps: 90_000 };
/** Maximum time for the answers of one path, besides its own patience. */
const ANSWERS_SECONDS = 120;

/** Proves what users get: asks each service's version path several times, at every address of all its names. */
export async function proveVersions(of: ToProve): Promise<Verdict[]> {
  const { commit, services } = of.deployment;
  const asked = services
    .filter(({ service }) => service.port !== undefined)
    .map((deployed) => {
      const { service, host } = deployed;
      const { name, port, hosts } = service;
      const expectation = { link: "served", service: name, commit, upstream: `${host}:${port}` } as const;
      const urls = placesOf(of.deployment, hosts).map((url) => `${url}${proofAddress(deployed)}`);
      return askOften(of, name, ask, urls, (answers) => answerVerdict(service, expectation, answers));
    });
  return Promise.all(asked);
}

/** Proves that the pages which should name the commit do, asked like the version paths. */
export async function proveNamingPages(of: ToProve): Promise<Verdict[]> {
  const { commit, services } = of.deployment;
  const asked = withoutReplicas(services)
    .filter(({ service }) => service.pages.length > 0)
    .map(({ service: { name, pages, hosts } }) => {
      const [url] = placesOf(of.deployment, hosts);
      const urls = pages.map((path) => new URL(path, url).href);
      return askOften(of, name, askPage, urls, (answers) => pagesVerdict(name, commit, answers));
    });
  return Promise.all(asked);
}

/** Proves that no page redirects without end. */
export async function proveRedirects({ deployment }: ToProve): Promise<Verdict[]> {
  const { commit, services } = deployment;
  const loops = withoutReplicas(services).map(async ({ service }) => {
    const [url] = placesOf(deployment, service.hosts);
    const asked = entryPaths(service).map((path) => followRedirects(new URL(path, url).href));
    return loopVerdict(service.name, commit, await Promise.all(asked)) ?? [];
  });
  return (await Promise.all(loops)).flat();
}

/** Asks URLs at every address of their names, again and again until the answers prove the link or time is over. */
async function askOften(
  { deployment, isNewSite = false }: ToProve,
  service: string,
  askOne: typeof ask,
  urls: readonly string[],
  judge: (answers: Answer[]) => Verdict,
): Promise<Verdict> {
  const fetches = isNewSite && deployment.url.startsWith("https:");
  const deadline = Date.now() + (fetches ? PATIENCE_MS.newHttps : PATIENCE_MS.plain);
  const found = urls.map(async (url) => {
    const addresses = await addressesOf(url).catch((cause: Error) => [cause.message]);
    return addresses.map((address) => ({ url, address }));
  });
  const places = (await Promise.all(found)).flat();
  const seconds = (deadline - Date.now()) / 1000 + ANSWERS_SECONDS;
  const askAll = async () => {
    const answers: Answer[] = [];
    for (let time = 0; time < TIMES; time++)
      answers.push(...(await Promise.all(places.map(({ url, address }) => askOne(url, { address })))));
    return judge(answers);
  };
  const proving = until(deadline, askAll, ({ status }) => status === "proven");
  return within(seconds, proving, () => unended("served", service, urls.join(", "), Math.round(seconds)));
}

/** First pages of a service's users: its pages, or its route. */
function entryPaths(service: ProvenService): string[] {
  if (service.port === undefined || service.route === undefined) return [];
  return [...new Set([...browserPaths(service), service.route])];
}
