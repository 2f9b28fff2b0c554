/** A response that a browser's Cache Storage holds. */
export interface Kept {
  readonly cache: string;
  /** Empty in the entry that records the name of a cache. Such a cache may have no responses. */
  readonly url: string;
  readonly status: number;
  readonly headers: readonly (readonly [string, string])[];
  readonly body: string;
}

type Input = string | URL | Request;
type Options = { ignoreSearch?: boolean; ignoreMethod?: boolean; cacheName?: string };

/** What the storage uses of the worker's global scope. */
export interface StorageWorld {
  request(input: Input): Request;
  answer(entry: Kept): Response;
  fetch(input: Input): Promise<Response>;
}

/**
 * The global `caches` of a service worker, stored in a list that it changes. Like `replay`, it is sent as source text,
 * so it uses only its arguments.
 */
export function cacheStorage(kept: Kept[], world: StorageWorld) {
  const address = (url: string, options: Options = {}) =>
    options.ignoreSearch ? url.split(/[?#]/)[0] : url.split("#")[0];
  const find = (cache: string | undefined, input: Input, options: Options = {}) => {
    const request = world.request(input);
    if (request.method !== "GET" && !options.ignoreMethod) return [];
    const wanted = address(request.url, options);
    return kept.filter(
      (entry) =>
        (cache === undefined || entry.cache === cache) &&
        entry.url !== "" &&
        address(entry.url, options) === wanted,
    );
  };
  const remove = (entries: readonly Kept[]) => {
    for (const entry of entries) kept.splice(kept.indexOf(entry), 1);
    return entries.length > 0;
  };
  const first = (entries: readonly Kept[]) => (entries[0] ? world.answer(entries[0]) : undefined);
  const all = (cache: string) => kept.filter((entry) => entry.cache === cache && entry.url !== "");
  const open = (cache: string) => ({
    match: async (input: Input, options?: Options) => first(find(cache, input, options)),
    matchAll: async (input?: Input, options?: Options) =>
      (input ? find(cache, input, options) : all(cache)).map((entry) => world.answer(entry)),
    keys: async () => all(cache).map((entry) => world.request(entry.url)),
    delete: async (input: Input, options?: Options) => remove(find(cache, input, options)),
    put: async (input: Input, response: Response) => {
      const { url } = world.request(input);
      const headers = [...response.headers] as [string, string][];
      const entry = { cache, url, status: response.status, headers, body: await response.text() };
      remove(find(cache, url));
      kept.push(entry);
    },
    add: async (input: Input) => open(cache).put(input, await world.fetch(input)),
    addAll: async (inputs: readonly Input[]) => {
      for (const input of inputs) await open(cache).add(input);
    },
  });
  const names = () => [...new Set(kept.map((entry) => entry.cache))];
  return {
    open: async (cache: string) => {
      if (!names().includes(cache)) kept.push({ cache, url: "", status: 200, headers: [], body: "" });
      return open(cache);
    },
    match: async (input: Input, options: Options = {}) => first(find(options.cacheName, input, options)),
    has: async (cache: string) => names().includes(cache),
    keys: async () => names(),
    delete: async (cache: string) => remove(kept.filter((entry) => entry.cache === cache)),
  };
}
