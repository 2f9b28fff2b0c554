import type { Life, LifeResult, Profile } from "./replay";

/** A service worker's script, as it was read from its address. */
export interface WorkerFacts {
  readonly url: string;
  readonly scope: string;
  readonly status: number;
  /** Empty where the answer is no script. */
  readonly script: string;
  /** Address → text of what it imports, as far as it could be read. */
  readonly imports: Readonly<Record<string, string>>;
}

/** What a worker shows of a new page: the new one, the one it kept, or this cannot be told. */
type Freshness = "fresh" | "stale" | "unknown";

export interface Judgement {
  readonly shows: Freshness;
  /** Why it cannot be told. */
  readonly why: string;
  /** What the browser keeps afterwards. */
  readonly profile: Profile;
}

/** What a worker of the release before means for a page of the new one. */
export interface JudgedWorker {
  /** The page's address. */
  readonly page: string;
  readonly before: WorkerFacts;
  /** What the new release answers at the worker's address. */
  readonly after: WorkerFacts;
  /** What the old worker shows at the first load after the deploy. */
  readonly first: Freshness;
  /** What the browser shows at the load after that, when it has seen the new worker. */
  readonly second: Freshness;
  readonly why: string;
}

/** A page before and after a deploy. */
export interface PageChange {
  readonly url: string;
  readonly oldHtml: string;
  readonly newHtml: string;
}

/** Lives a worker's life, see `replay`. */
export type Replayer = (life: Life) => Promise<LifeResult>;

export const NEW_BROWSER: Profile = { caches: [], preload: false };

/**
 * Asks an old worker for the new page. Yesterday the browser installed it and visited the page through it, so that its
 * caches hold what they would hold; today the network has the new page and the browser still has the old worker.
 *
 * A worker whose life cannot be lived here is `unknown`, never `stale`.
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
 * Asks what the browser shows at the second load: at the first one it fetched the new worker, installed it and, where that
 * one skips the waiting, made it the page's worker.
 *
 * @param profile what the browser keeps after the first load
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

/** Whether a browser that has the one takes the other for an update: it compares bytes, also of what is imported. */
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
