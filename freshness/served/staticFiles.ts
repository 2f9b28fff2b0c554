import { type Break, broken, type Verdict } from "../chain";

/** Folders that web servers serve as they are, by the images' own defaults. */
export const DOCUMENT_ROOTS = ["/usr/share/nginx/html", "/usr/local/apache2/htdocs", "/usr/share/caddy"];

/** How many files of a folder are compared. */
const MOST = 10;

/** Files that a server sends unchanged. */
const UNCHANGED = /\.(css|m?js|svg|png|jpe?g|gif|webp|avif|ico|woff2?|wasm)$/i;

/** One file of the image and its answer at the public address. */
export interface ServedFile {
  readonly url: string;
  /** The file's path in the image. */
  readonly file: string;
  /** Hashes of the file and of the body. */
  readonly hash: string;
  readonly served: string;
  readonly status: number;
  /** Whether the configuration names the folder in `assets`: the file must be served then. */
  readonly isDeclared: boolean;
}

/** Chooses files spread over a folder, so that a stale part of it is found. */
export function chosenFiles(paths: readonly string[], isDeclared: boolean): string[] {
  const all = [...paths].sort().filter((path) => isDeclared || UNCHANGED.test(path));
  if (all.length <= MOST) return all;
  return Array.from({ length: MOST }, (_, at) => all[Math.floor((at * (all.length - 1)) / (MOST - 1))] ?? "");
}

/**
 * Compares served files with the image's.
 *
 * @param entry hash of the entry page: a server that answers with it for an unknown path does not serve that file
 * @returns undefined if there is nothing to compare
 */
export function staticVerdict(
  service: string,
  files: readonly ServedFile[],
  entry: string | undefined,
): Verdict | Break | undefined {
  const judged = files.filter(
    ({ isDeclared, status, served }) => isDeclared || (status === 200 && served !== entry),
  );
  const [first] = judged;
  if (first === undefined) return undefined;
  const expected = judged.length === 1 ? "1 file of the image" : `${judged.length} files of the image`;
  const wrong = judged.find(({ status, served, hash }) => status !== 200 || served !== hash);
  if (wrong === undefined)
    return {
      link: "served",
      service,
      status: "proven",
      expected,
      found: expected,
      evidence: `${first.url} … compared with ${first.file} …`,
    };
  return broken({
    link: "served",
    service,
    wrong: `${wrong.url} is not the file of the image`,
    expected: `${wrong.file} of the image, ${wrong.hash.slice(0, 12)}`,
    found: wrong.status === 200 ? `other bytes, ${wrong.served.slice(0, 12)}` : `status ${wrong.status}`,
    evidence: wrong.url,
    remedy:
      "See what between the service and that address keeps or changes files, or correct the folder in assets; then deploy again.",
  });
}
