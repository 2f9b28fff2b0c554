import type { DockerEngine } from "../engine/docker";
import { until, within } from "../engine/until";
import { browserPaths, type PageFacts } from "../freshness/browser";
import { broken, type Verdict } from "../freshness/chain";
import { unhealthyVerdict } from "../freshness/container";
import { missingCapability } from "../freshness/container/capability";
import { versionVerdict } from "../freshness/served";
import type { Answer } from "../freshness/served/answer";
import { shownAnswer } from "../freshness/served/asking";
import { pagesVerdict } from "../freshness/served/pages";
import { loopVerdict } from "../freshness/served/redirects";
import { proveBrowser, readBrowserBefore } from "./browserFacts";
import type { DeployedService, Deployment, ProvenService } from "./deployment";
import { proveFollowers } from "./followers";
import { addressesOf, ask, askPage } from "./http";
import { askInstances, instancesOf } from "./instances";
import { followRedirects } from "./redirects";
import { readEnding } from "./runningFacts";
import { runtimeOf } from "./runtime";
import { trustEdge } from "./trust";

/** Requests for each address and service. */
const TIMES = 3;
/** Maximum time for the public address to serve the release; new routes may need a certificate first. */
const PATIENCE_MS = { plain: 5_000, newHttps: 90_000 };

/** Maximum time to read a service's pages. Slow answers are cut one by one; this limits all of them. */
const PAGES_SECONDS = { before: 60, after: 180 };
/** Maximum time for the answers of one path, besides its own patience. */
const ANSWERS_SECONDS = 120;

/** Proves the running containers; asks only the engine. */
export async function proveRunning(
  engine: DockerEngine,
  deployment: Pick<Deployment, "services" | "edge" | "network" | "cluster">,
): Promise<Verdict[]> {
  return runtimeOf(deployment).proveRunning(engine, deployment);
}

/** Service → its pages in a release. */
export type Pages = ReadonlyMap<string, readonly PageFacts[]>;

/** Reads the current pages with their cache headers. Never rejects. */
export async function readPages(url: string, services: readonly ProvenService[]): Promise<Pages> {
  const read = services.map(async (service) => {
    const reading = readBrowserBefore(url, browserPaths(service));
    return [service.name, await within(PAGES_SECONDS.before, reading, () => [])] as const;
  });
  return new Map(await Promise.all(read));
}

/** Proves that a browser with the old pages gets the new ones. */
export async function provePages(
  url: string,
  services: readonly ProvenService[],
  before: Pages,
): Promise<Verdict[]> {
  const verdicts = services.map((service) => {
    const { name, strictAssets } = service;
    const proving = proveBrowser(url, name, browserPaths(service), before.get(name) ?? [], { strictAssets });
    return within(PAGES_SECONDS.after, proving, () => [unended("browser", name, url, PAGES_SECONDS.after)]);
  });
  return (await Promise.all(verdicts)).flat();
}

/** The verdict on a proof that takes too long. */
function unended(link: "served" | "browser", service: string, evidence: string, seconds: number): Verdict {
  return broken({
    link,
    service,
    wrong: `${evidence} cannot be proven in time`,
    expected: `all answers within ${seconds} s`,
    found: "some answers are missing",
    evidence,
    remedy: "See which of the service's paths answer slowly or without end, then deploy again.",
  });
}

/** Proves a deployment from the engine and the public address, without changes. */
export async function proveDeployment(engine: DockerEngine, deployment: Deployment): Promise<Verdict[]> {
  const verdicts = await Promise.all([
    proveRunning(engine, deployment),
    // Docker itself asks rarely. And what one address answers may come from any of a cluster's replicas.
    proveHealth(engine, deployment),
    proveAddress(engine, deployment),
    proveFollowers(engine, deployment),
  ]);
  return verdicts.flat();
}

/** How long a container that serves may take to answer its health path with 2xx, asked again and again, in seconds. */
const SERVING_SECONDS = 5;

/** Proves that what serves is healthy, and asks each instance of it for the commit. */
async function proveHealth(engine: DockerEngine, deployment: Deployment): Promise<Verdict[]> {
  const services = deployment.services.map((deployed) => ({
    ...deployed,
    service: { ...deployed.service, startSeconds: SERVING_SECONDS },
  }));
  return proveAnswers(engine, { ...deployment, services }, { serves: true });
}

/** Proves what the public address serves, without a switch. */
export async function proveAddress(engine: DockerEngine, deployment: Deployment): Promise<Verdict[]> {
  const { commit, url, services } = deployment;
  await trustEdge(engine, deployment, { waits: false });
  const pages = services.map(({ service }) => service);
  return (await Promise.all([proveServed(url, services, commit), provePages(url, pages, new Map())])).flat();
}

/**
 * Proves new containers before the edge uses them: waits until each is healthy, then asks it for the commit. The
 * requests run in the edge's container, so that an image needs no shell and no HTTP client.
 *
 * @param options.signal ends the wait early
 * @param options.serves whether they are not new: the edge leads to them
 */
export async function proveAnswers(
  engine: DockerEngine,
  deployment: Deployment,
  { signal, serves }: { signal?: AbortSignal; serves?: boolean } = {},
): Promise<Verdict[]> {
  const { edge, services, commit } = deployment;
  const hosts = await runtimeOf(deployment).instances(engine, deployment);
  const instances = services.flatMap(({ service }, at) =>
    service.port === undefined
      ? []
      : instancesOf(service, hosts[at]!, deployment.url).map((instance) => ({ ...instance, at })),
  );
  const asked = await askInstances(engine, edge, instances, signal);
  const judged = services.map(async ({ service, container }, at) => {
    if (service.port === undefined) return [];
    const own = asked.filter((_, each) => instances[each]!.at === at);
    const sick = own.find(({ healthy }) => !healthy);
    if (sick) return [await judgeUnhealthy(engine, service, container, sick.answer, serves)];
    // Ignore cache headers: the container is asked directly.
    const answers = own.map(({ answer }) => ({ ...answer, headers: {} }));
    return [versionVerdict({ link: "container", service: service.name, commit }, answers)];
  });
  return (await Promise.all(judged)).flat();
}

async function judgeUnhealthy(
  engine: DockerEngine,
  service: ProvenService,
  id: string,
  answer: Answer,
  serves?: boolean,
): Promise<Verdict> {
  const [found] = await engine.inspectContainers([id]);
  const ending = found && (await readEnding(engine, found));
  const asked = { url: answer.url, said: shownAnswer(answer), status: answer.status };
  // It answers, so it has started.
  const log = answer.status === 0 ? (ending?.log ?? []).join("\n") : "";
  const lacks = missingCapability(log, service.capabilities);
  const name = found?.name ?? id.slice(0, 12);
  return unhealthyVerdict(service, asked, { name, ending, lacks, serves });
}

/**
 * Proves what users get: requests each service's version path, and its pages that name the commit, several times at
 * every address of the public name.
 *
 * @param isNewSite whether the edge may be new to this site
 */
export async function proveServed(
  publicUrl: string,
  services: readonly DeployedService[],
  commit: string,
  { isNewSite = false }: { isNewSite?: boolean } = {},
): Promise<Verdict[]> {
  const fetches = isNewSite && publicUrl.startsWith("https:");
  const deadline = Date.now() + (fetches ? PATIENCE_MS.newHttps : PATIENCE_MS.plain);
  const addresses = await addressesOf(publicUrl).catch((cause: Error) => [cause.message]);
  const seconds = (deadline - Date.now()) / 1000 + ANSWERS_SECONDS;
  const judged = (
    service: string,
    judge: (answers: Answer[]) => Verdict,
    askOne: typeof ask,
    urls: readonly string[],
  ) => {
    const places = urls.flatMap((url) => addresses.map((address) => ({ url, address })));
    const askAll = async () => {
      const answers: Answer[] = [];
      for (let time = 0; time < TIMES; time++)
        answers.push(...(await Promise.all(places.map(({ url, address }) => askOne(url, { address })))));
      return judge(answers);
    };
    const proving = until(deadline, askAll, ({ status }) => status === "proven");
    return within(seconds, proving, () => unended("served", service, urls.join(", "), Math.round(seconds)));
  };
  const versions = services
    .filter(({ service }) => service.port !== undefined)
    .map(({ service: { name, port }, host }) => {
      const expectation = { link: "served", service: name, commit, upstream: `${host}:${port}` } as const;
      return judged(name, (of) => versionVerdict(expectation, of), ask, [`${publicUrl}/.freshness/${name}`]);
    });
  const pages = services
    .filter(({ service }) => service.pages.length > 0)
    .map(({ service: { name, pages } }) =>
      judged(
        name,
        (of) => pagesVerdict(name, commit, of),
        askPage,
        pages.map((path) => new URL(path, publicUrl).href),
      ),
    );
  const loops = services.map(async ({ service }) => {
    const asked = entryPaths(service).map((path) => followRedirects(new URL(path, publicUrl).href));
    return loopVerdict(service.name, commit, await Promise.all(asked)) ?? [];
  });
  return (await Promise.all([...versions, ...pages, ...loops])).flat();
}

/** First pages of a service's users: its pages, or its route. */
function entryPaths(service: ProvenService): string[] {
  if (service.port === undefined || service.route === undefined) return [];
  return [...new Set([...browserPaths(service), service.route])];
}
