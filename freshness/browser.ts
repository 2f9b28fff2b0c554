import type { AssetKind } from "./browser/html";
import { type Headers, privateLifetime } from "./browser/lifetime";
import { isUpdate, type JudgedWorker, type WorkerFacts } from "./browser/worker";
import { type Break, broken, type Verdict } from "./chain";

/** Maximum seconds that a browser may show a page without revalidating it. */
const MOST_SECONDS = 60;

/** A page as a browser with an empty cache receives it. */
export interface PageFacts {
  /** The requested URL. */
  readonly url: string;
  /** Final URL after redirects within the site. */
  readonly location: string;
  /** HTTP status; 0 without a response. */
  readonly status: number;
  /** Why there was no response; empty otherwise. */
  readonly error: string;
  /** Whether the response body did not end. */
  readonly endless?: boolean;
  readonly headers: Headers;
  /** When the response arrived. */
  readonly received: Date;
  /** Empty if the answer is not an HTML page. */
  readonly html: string;
  /** The assets that were requested. */
  readonly assets: readonly AssetFacts[];
  /** Number of assets that the page references. */
  readonly named: number;
  /** Service workers that this page or its scripts register, and those at well-known URLs. */
  readonly workers: readonly WorkerFacts[];
}

export interface AssetFacts {
  readonly url: string;
  readonly kind: AssetKind;
  readonly status: number;
  readonly contentType: string;
  /**
   * Whether the file comes from an earlier release. The edge keeps those files for pages that were loaded before the
   * deploy.
   */
  readonly kept: boolean;
}

/** Header that the edge adds to a file of an earlier release. */
export const KEPT_HEADER = "Freshness-Kept";

/** A six-line worker that deletes the caches of earlier workers and unregisters itself. */
export const FAREWELL_WORKER = `self.addEventListener("install", () => self.skipWaiting());
self.addEventListener("activate", (event) => event.waitUntil((async () => {
  for (const name of await caches.keys()) await caches.delete(name);
  await self.registration.unregister();
  for (const client of await self.clients.matchAll({ type: "window" })) client.navigate(client.url);
})()));
`;

const EXPECTED = {
  answer: "an HTML page",
  lifetime: `HTML that browsers keep for at most ${MOST_SECONDS} s`,
  assets: "all assets that the page needs",
  worker: "a worker that asks the network first",
};

/** Paths of the pages to judge: `/` if the service's route is `/`, and the declared pages. */
export function browserPaths(service: {
  readonly route?: string;
  readonly pages: readonly string[];
}): string[] {
  return [...new Set([...(service.route === "/" ? ["/"] : []), ...service.pages])];
}

/**
 * Judges what a returning browser gets from a service's pages.
 * - The page's lifetime in a private cache. The next deploy cannot revoke what this release lets browsers keep.
 * - The scripts and styles that the page needs. Each must answer, and not with an HTML page. A missing image or icon is
 *   only a warning, unless `strictAssets` is set, because browsers show the page without it.
 * - The service workers of the previous release. A deploy cannot change an installed worker, and the old worker handles
 *   the first load after the deploy. An old worker that shows the old page breaks the link only if the new release does
 *   not end it: the script at its URL is gone (browsers then keep the old worker), is unchanged, or does not take over
 *   immediately.
 * Browsers guess a lifetime if the page sets none. A guessed lifetime is reported but does not break the link: it grows
 * with the page's age, so the same page would pass on one day and fail on the next.
 * The lifetimes that the previous release set cannot be changed either. The evidence reports them.
 * @param before pages before the switch; empty at a first deploy or if nothing is switched
 * @returns an empty list for a service without pages
 */
export function browserVerdicts(
  service: string,
  before: readonly PageFacts[],
  after: readonly PageFacts[],
  workers: readonly JudgedWorker[],
  { strictAssets = false }: { strictAssets?: boolean } = {},
): (Verdict | Break)[] {
  const isBreaking = (asset: AssetFacts) => isMissing(asset) && (strictAssets || asset.kind !== "other");
  const pages = after.filter(isPage);
  const breaks = [
    ...after
      .filter(
        (page) => page.endless || (isDown(page) && before.some((was) => was.url === page.url && was.html)),
      )
      .map(down),
    ...pages.filter((page) => isLong(page) && !lifetime(page).guessed).map(longLived),
    ...pages
      .filter((page) => page.assets.some(isBreaking))
      .map((page) => withoutAssets(page, page.assets.filter(isBreaking))),
    ...workers.filter((worker) => worker.first === "stale" && worker.second === "stale").map(keptByWorker),
  ].map((details) => broken({ link: "browser", service, ...details }));
  if (breaks.length > 0) return breaks;
  const unchecked = (details: Pick<Verdict, "expected" | "found" | "evidence">): Verdict => ({
    link: "browser",
    service,
    status: "not checked",
    ...details,
  });
  if (pages.length === 0)
    return after.map((page) => {
      const warning = failing([page]);
      return {
        ...unchecked({ expected: EXPECTED.answer, found: shownAnswer(page), evidence: page.url }),
        ...(warning === undefined ? {} : { warning }),
      };
    });
  return [
    proven(service, before, after, workers),
    ...pages.filter(isLong).map((page) =>
      unchecked({
        expected: EXPECTED.lifetime,
        found: `${lifetime(page).seconds} s by the browser's heuristic; send Cache-Control: no-cache with the page`,
        evidence: `${page.url}: ${lifetime(page).by}`,
      }),
    ),
    ...workers.filter(isUntold).map(({ why, before: { url } }) =>
      unchecked({
        expected: EXPECTED.worker,
        found: `a worker that could not be tested: ${why}`,
        evidence: url,
      }),
    ),
  ];
}

function proven(
  service: string,
  before: readonly PageFacts[],
  after: readonly PageFacts[],
  workers: readonly JudgedWorker[],
): Verdict {
  const pages = after.filter(isPage);
  const longest = Math.max(...pages.map((page) => lifetime(page).seconds));
  const asked = pages.reduce((sum, page) => sum + page.assets.length, 0);
  const named = pages.reduce((sum, page) => sum + page.named, 0);
  const missing = pages.reduce((sum, page) => sum + page.assets.filter(isMissing).length, 0);
  const warnings = [failing(after), lacking(pages)].filter((each) => each !== undefined);
  const notes = [
    pages.map(({ url }) => url).join(", "),
    ...after.filter((page) => !isPage(page)).map((page) => `${page.url} is not a page: ${shownAnswer(page)}`),
    ...pages
      .map((page) => lifetime(page))
      .filter(({ seconds }) => seconds > 0)
      .map(({ by }) => by),
    ...before
      .map((page) => ({ url: page.url, ...lifetime(page) }))
      .filter(({ url, seconds }) => seconds > MOST_SECONDS && pages.some((page) => page.url === url))
      .map(({ url, seconds }) => `the previous release let browsers keep ${url} for ${seconds} s`),
    ...workers
      .filter(({ first, second }) => first === "stale" && second === "fresh")
      .map(
        ({ before: { url } }) =>
          `browsers with the old worker ${url} show the new page from the second load on`,
      ),
  ];
  return {
    link: "browser",
    service,
    status: "proven",
    expected: EXPECTED.lifetime,
    found: `HTML kept for at most ${longest} s, ${asked === named && missing === 0 ? named : `${asked - missing} of ${named}`} assets there`,
    evidence: [...new Set(notes)].join("; "),
    ...(warnings.length === 0 ? {} : { warning: warnings.join("; ") }),
  };
}

function lifetime(page: PageFacts) {
  return page.html ? privateLifetime(page.headers, page.received) : { seconds: 0, by: "no HTML" };
}

/** Whether an answer is an HTML page, which is judged. */
function isPage({ status, html }: PageFacts): boolean {
  return status === 200 && Boolean(html);
}

/** An answer in a few words. */
function shownAnswer(page: PageFacts): string {
  if (page.status === 0) return `no answer (${page.error})`;
  const to = page.headers.location;
  if (page.status >= 300 && page.status < 400) return `a redirect to ${to ?? "nowhere"}`;
  if (page.status !== 200) return `status ${page.status}`;
  return page.headers["content-type"] ?? "an answer without Content-Type";
}

function isDown({ status }: PageFacts): boolean {
  return status === 0 || status >= 500;
}

/** Status 401, 403 or 429 means that the asset exists behind a login or a rate limit. */
function isMissing({ status, kind, contentType, kept }: AssetFacts): boolean {
  if (kept) return true;
  if (status === 200) return kind !== "other" && isHtml(contentType);
  return status === 0 || (status >= 400 && ![401, 403, 429].includes(status));
}

export function isHtml(contentType: string): boolean {
  return /^\s*(text\/html|application\/xhtml\+xml)\b/i.test(contentType);
}

function isLong(page: PageFacts): boolean {
  return lifetime(page).seconds > MOST_SECONDS;
}

function isUntold({ first, second }: JudgedWorker): boolean {
  return first === "unknown" || (first === "stale" && second === "unknown");
}

type Details = Omit<Break, "link" | "service" | "status">;

function down(page: PageFacts): Details {
  return {
    expected: EXPECTED.answer,
    found: shownAnswer(page),
    wrong: page.endless ? `${page.url} does not end` : `${page.url} no longer answers with a page`,
    evidence: page.url,
    remedy: "See what the service logs for that path, then deploy again.",
  };
}

function longLived(page: PageFacts): Details {
  const { seconds, by } = lifetime(page);
  return {
    expected: EXPECTED.lifetime,
    found: `${seconds} s (${by})`,
    wrong: `browsers keep ${page.url} after the next deploy`,
    evidence: page.location,
    remedy:
      "Answer the page with Cache-Control: no-cache; a long lifetime and immutable are for assets with a hash in their name.",
  };
}

function withoutAssets(page: PageFacts, missing: readonly AssetFacts[]): Details {
  return {
    expected: EXPECTED.assets,
    found: `${missing.length} of ${page.assets.length} missing: ${listed(missing)}`,
    wrong: `${page.url} refers to missing assets`,
    evidence: page.location,
    remedy:
      "Serve the scripts and styles of the same build as the page, or remove the references from the page.",
  };
}

/** Warning about missing assets that browsers can do without; undefined if none is missing. */
function lacking(pages: readonly PageFacts[]): string | undefined {
  const missing = pages.map((page) => ({ page, assets: page.assets.filter(isMissing) }));
  const said = missing
    .filter(({ assets }) => assets.length > 0)
    .map(({ page, assets }) => `${page.url} refers to missing assets: ${listed(assets)}`);
  return said.length === 0 ? undefined : said.join("; ");
}

/** Pages that fail and did not answer before either: no reason to refuse, but one to look. */
function failing(pages: readonly PageFacts[]): string | undefined {
  const down = pages.filter(isDown).map((page) => `${page.url} fails: ${shownAnswer(page)}`);
  return down.length === 0 ? undefined : down.join("; ");
}

function listed(missing: readonly AssetFacts[]): string {
  const shown = missing
    .slice(0, 3)
    .map(
      ({ url, status, kept }) =>
        `${url} (${kept ? "an earlier release's" : status === 0 ? "no answer" : status === 200 ? "an HTML page" : `status ${status}`})`,
    );
  return `${shown.join(", ")}${missing.length > 3 ? ", …" : ""}`;
}

function keptByWorker({ before, after, page }: JudgedWorker): Details {
  const path = new URL(before.url).pathname;
  const found = `the old release's worker ${path} answers navigations from its cache`;
  const common = { expected: EXPECTED.worker, found, evidence: `${page}, ${before.url}` };
  if (after.script === "")
    return {
      ...common,
      wrong: `the new release has no script at ${path} (status ${after.status}), so browsers keep the old one and its page`,
      remedy: `Serve a worker at ${path} that removes itself:\n${FAREWELL_WORKER}`,
    };
  return {
    ...common,
    wrong: isUpdate(before, after)
      ? `the new release's ${path} still answers from its cache at the second load`
      : `the new release's ${path} is the same, so browsers do not replace it`,
    remedy:
      `Let the worker at ${path} ask the network first for navigations and call self.skipWaiting() when it installs, ` +
      `or serve one there that removes itself:\n${FAREWELL_WORKER}`,
  };
}
