import { type AssetFacts, browserVerdicts, isHtml, KEPT_HEADER, type PageFacts } from "../freshness/browser";
import { namedByPage, type Registration, registrations } from "../freshness/browser/html";
import {
  isUpdate,
  type JudgedWorker,
  judgeUpdate,
  judgeWorker,
  NEW_BROWSER,
  type WorkerFacts,
} from "../freshness/browser/worker";
import type { Verdict } from "../freshness/chain";
import type { Answer } from "../freshness/served/answer";
import { zip } from "../freshness/sure";
import { ask, askPage } from "./http";
import { liveApart } from "./workerLife";

/** A page names more assets than this only by mistake; each costs a request. */
const MOST_ASSETS = 60;
const AT_ONCE = 6;
/** Limits for pages and workers that try to keep the proof busy. */
const MOST_WORKERS = 40;
const MOST_IMPORTS = 100;
/** Imported scripts can import others. */
const MOST_IMPORT_ROUNDS = 10;
/** Where tools put their workers. Firebase's worker controls no page. */
const WELL_KNOWN: readonly (readonly [path: string, scope: string])[] = [
  ["/sw.js", "/"],
  ["/service-worker.js", "/"],
  ["/serviceworker.js", "/"],
  ["/ngsw-worker.js", "/"],
  ["/workbox-sw.js", "/"],
  ["/firebase-messaging-sw.js", "/firebase-cloud-messaging-push-scope"],
];

/** Reads what a browser of the previous release has. Call it before the switch. Never rejects. */
export async function readBrowserBefore(publicUrl: string, paths: readonly string[]): Promise<PageFacts[]> {
  const workers = new WorkerReader();
  return inTurn(paths, 1, (path) => collectPage(new URL(path, publicUrl).href, workers));
}

/**
 * Proves that a browser which visited the previous release gets the new pages.
 *
 * @param before result of `readBrowserBefore`; empty at a first deploy and without a switch
 * @returns nothing for a service without pages
 */
export async function proveBrowser(
  publicUrl: string,
  service: string,
  paths: readonly string[],
  before: readonly PageFacts[],
  options: { strictAssets?: boolean } = {},
): Promise<Verdict[]> {
  const reader = new WorkerReader();
  const after = await inTurn(paths, 1, (path) => collectPage(new URL(path, publicUrl).href, reader));
  const judged: JudgedWorker[] = [];
  for (const page of after) {
    const old = before.find(({ url }) => url === page.url);
    if (!old?.html || !page.html) continue;
    for (const worker of old.workers)
      if (old.location.startsWith(worker.scope)) judged.push(await judgeBoth(worker, old, page, reader));
  }
  return browserVerdicts(service, before, after, judged, options);
}

/** Reads a page as a browser with an empty cache does, with its assets and the workers that it may register. */
export async function collectPage(url: string, workers = new WorkerReader()): Promise<PageFacts> {
  const answer = await askTwice(url, "text/html,application/xhtml+xml,*/*;q=0.8");
  const contentType = answer.headers["content-type"] ?? "";
  const page = {
    url,
    location: answer.url,
    status: answer.status,
    error: answer.error,
    endless: answer.endless,
    headers: answer.headers,
    received: new Date(),
  };
  if (answer.status !== 200 || !isHtml(contentType))
    return { ...page, html: "", assets: [], named: 0, workers: [] };

  const { base, assets: named, inline } = namedByPage(answer.body, answer.url);
  const found = inline.flatMap((code) => registrations(code, base));
  const assets = await inTurn(
    named.slice(0, MOST_ASSETS),
    AT_ONCE,
    async ({ url, kind }): Promise<AssetFacts> => {
      const asset = await askTwice(url, "*/*", { bodyless: kind !== "script" });
      if (kind === "script" && asset.status === 200) found.push(...registrations(asset.body, base, url));
      const { status, headers } = asset;
      const kept = KEPT_HEADER.toLowerCase() in headers;
      return { url, kind, status, contentType: headers["content-type"] ?? "", kept };
    },
  );
  for (const [path, scope] of WELL_KNOWN)
    found.push({ url: new URL(path, answer.url).href, scope: new URL(scope, answer.url).href });
  const read = await inTurn(uniqueByUrl(found).slice(0, MOST_WORKERS), AT_ONCE, (each) => workers.read(each));
  return {
    ...page,
    html: answer.body,
    assets,
    named: named.length,
    workers: read.filter(({ script }) => script !== ""),
  };
}

/** Reads service worker scripts with all their imports, each once. */
class WorkerReader {
  readonly #read = new Map<string, Promise<WorkerFacts>>();

  read(registration: Registration): Promise<WorkerFacts> {
    const key = `${registration.url} ${registration.scope}`;
    const reading = this.#read.get(key) ?? readWorker(registration);
    this.#read.set(key, reading);
    return reading;
  }
}

async function readWorker({ url, scope }: Registration): Promise<WorkerFacts> {
  const answer = await askTwice(url, "*/*", { role: "serviceworker" });
  const script = isScript(answer) ? answer.body : "";
  // A script without end exists, but cannot be used.
  const status = answer.endless ? 200 : answer.status;
  const imports: Record<string, string> = {};
  if (!/importScripts/.test(script)) return { url, scope, status, script, imports };
  // A worker's imports are known only when it runs: run it, read the missing scripts, run it again.
  for (let round = 0; round < MOST_IMPORT_ROUNDS; round++) {
    const life = { url, scope, script, imports, page: scope, html: "", stamp: "", profile: NEW_BROWSER };
    const { missing } = await liveApart({ ...life, events: ["install"] });
    const left = MOST_IMPORTS - Object.keys(imports).length;
    const own = missing
      .filter((each) => URL.canParse(each) && new URL(each).origin === new URL(url).origin)
      .slice(0, left);
    const answers = await Promise.all(own.map((each) => askTwice(each, "*/*")));
    const scripts = answers.filter(isScript);
    for (const [each, answer] of zip(own, answers)) if (isScript(answer)) imports[each] = answer.body;
    if (scripts.length === 0) break;
  }
  return { url, scope, status, script, imports };
}

async function judgeBoth(
  before: WorkerFacts,
  old: PageFacts,
  page: PageFacts,
  reader: WorkerReader,
): Promise<JudgedWorker> {
  const change = { url: old.location, oldHtml: old.html, newHtml: page.html };
  const after = await reader.read(before);
  const first = await judgeWorker(before, change, liveApart);
  const judged = { page: page.url, before, after, first: first.shows, second: first.shows, why: first.why };
  if (first.shows !== "stale") return judged;
  // A failed answer does not show what browsers will get; a 404 does.
  if (after.status === 0 || after.status === 429 || after.status >= 500)
    return { ...judged, second: "unknown", why: `status ${after.status} in the new release` };
  if (after.script === "" || !isUpdate(before, after)) return judged;
  const second = await judgeUpdate({ before, after }, change, first.profile, liveApart);
  return { ...judged, second: second.shows, why: second.why };
}

function isScript({ status, headers, body }: Answer): boolean {
  const type = headers["content-type"] ?? "";
  return status === 200 && /javascript|ecmascript/i.test(type) && !/^\s*</.test(body) && body.trim() !== "";
}

/**
 * Sends a browser's request. A redirect of a worker is an error. Retries once, because the network may have failed.
 */
async function askTwice(
  url: string,
  accept: string,
  { role, bodyless }: { role?: "serviceworker"; bodyless?: boolean } = {},
): Promise<Answer> {
  const headers = { accept, ...(role && { "service-worker": "script" }) };
  const once = () => (role ? ask : askPage)(url, { headers, bodyless });
  const answer = await once();
  return answer.status === 0 || answer.status >= 500 ? once() : answer;
}

/** Processes items in order, `most` at a time. */
async function inTurn<T, R>(items: readonly T[], most: number, work: (item: T) => Promise<R>): Promise<R[]> {
  const results: R[] = [];
  const rest = items.entries();
  const one = async () => {
    for (const [index, item] of rest) results[index] = await work(item);
  };
  await Promise.all(Array.from({ length: most }, one));
  return results;
}

/** The scope of a page's own registration takes precedence over a well-known path. */
function uniqueByUrl(found: readonly Registration[]): Registration[] {
  return [...new Map([...found].reverse().map((each) => [each.url, each])).values()];
}
