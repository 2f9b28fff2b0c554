import type { Life, LifeResult, Profile } from "./replay";

/** Script of a service worker, as read from its URL. */
export interface WorkerFacts {
  readonly url: string;
  readonly scope: string;
  readonly status: number;
  /** Empty if the response is not a script. */
  readonly script: string;
  /** URL → text of the imported scripts that could be read. */
  readonly imports: Readonly<Record<string, string>>;
}

/** What a worker shows after a deploy: the new page, the page that it cached, or unknown. */
type Freshness = "fresh" | "stale" | "unknown";

export interface Judgement {
  readonly shows: Freshness;
  /** Why the result is unknown. */
  readonly why: string;
  /** What the browser stores afterwards. */
  readonly profile: Profile;
}

/** Effect of a worker of the previous release on a page of the new one. */
export interface JudgedWorker {
  /** URL of the page. */
  readonly page: string;
  readonly before: WorkerFacts;
  /** Response of the new release at the worker's URL. */
  readonly after: WorkerFacts;
  /** What the old worker shows at the first load after the deploy. */
  readonly first: Freshness;
  /** What the browser shows at the next load, after it has fetched the new worker. */
  readonly second: Freshness;
  readonly why: string;
}

/** A page before and after a deploy. */
export interface PageChange {
  readonly url: string;
  readonly oldHtml: string;
  readonly newHtml: string;
}

/** Runs a service worker; see `replay`. */
export type Replayer = (life: Life) => Promise<LifeResult>;

export const NEW_BROWSER: Profile = { caches: [], preload: false };

/**
 * Requests the new page through an old worker. The browser first installs the worker and visits the old page through
 * it, which fills the caches. Then the network serves the new page while the browser still has the old worker. A worker
 * that cannot run here is `unknown`, never `stale`.
 */
export async function judgeWorker(
  worker: WorkerFacts,
  page: PageChange,
  replay: Replayer,
): Promise<Judgement> {
  if (page.oldHtml === page.newHtml) return { shows: "fresh", why: "", profile: NEW_BROWSER };
  const yesterday = await replay({
    ...lifeOf(worker, page),
    html: page.oldHtml,
    stamp: "old",
    events: ["install", "activate", "navigate"],
  });
  if (yesterday.error) return { shows: "unknown", why: yesterday.error, profile: yesterday.profile };
  if (yesterday.unregisters) return { shows: "fresh", why: "", profile: yesterday.profile };
  const profile = yesterday.profile;
  return judge(await replay({ ...lifeOf(worker, page), profile, events: ["navigate"] }), page);
}

/**
 * Judges what the browser shows at the second load. At the first load it fetched and installed the new worker. If the
 * new worker skips waiting, it controls the page.
 * @param profile what the browser stores after the first load
 */
export async function judgeUpdate(
  { before, after }: Pick<JudgedWorker, "before" | "after">,
  page: PageChange,
  profile: Profile,
  replay: Replayer,
): Promise<Judgement> {
  const installed = await replay({ ...lifeOf(after, page), profile, events: ["install"] });
  if (installed.error) return { shows: "unknown", why: installed.error, profile };
  if (installed.unregisters) return { shows: "fresh", why: "", profile: installed.profile };
  const next = installed.skipsWaiting
    ? await replay({ ...lifeOf(after, page), profile: installed.profile, events: ["activate", "navigate"] })
    : await replay({ ...lifeOf(before, page), profile: installed.profile, events: ["navigate"] });
  return next.unregisters ? { shows: "fresh", why: "", profile: next.profile } : judge(next, page);
}

/** Whether a browser treats the new script as an update. It compares bytes, including those of imported scripts. */
export function isUpdate(before: WorkerFacts, after: WorkerFacts): boolean {
  return (
    after.script !== before.script ||
    Object.entries(before.imports).some(([url, text]) => after.imports[url] !== text)
  );
}

function lifeOf({ url, scope, script, imports }: WorkerFacts, page: PageChange): Omit<Life, "events"> {
  return {
    url,
    scope,
    script,
    imports,
    page: page.url,
    html: page.newHtml,
    stamp: "new",
    profile: NEW_BROWSER,
  };
}

function judge({ error, body, profile }: LifeResult, page: PageChange): Judgement {
  if (error) return { shows: "unknown", why: error, profile };
  if (body === undefined || body === page.newHtml || body.startsWith("new "))
    return { shows: "fresh", why: "", profile };
  if (body === page.oldHtml || body.startsWith("old ")) return { shows: "stale", why: "", profile };
  return { shows: "unknown", why: "it generates a page of its own", profile };
}
