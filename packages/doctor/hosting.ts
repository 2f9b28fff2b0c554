import type { Finding } from "./finding";
import { isLong, isTooLong, nginxSeconds } from "./lifetime";
import { parseYaml, type Yaml } from "./yaml";

const isVercel = (path: string) => /(^|\/)(vercel|now)\.json$/.test(path);
const isFirebase = (path: string) => /(^|\/)firebase\.json$/.test(path);
const isServe = (path: string) => /(^|\/)serve\.json$/.test(path);
const isAzure = (path: string) => /(^|\/)staticwebapp\.config\.json$/.test(path);
const isHeaders = (path: string) => /(^|\/)_headers$/.test(path);
const isApache = (path: string) =>
  /(^|\/)(\.htaccess|httpd[\w.-]*\.conf|apache2?[\w.-]*\.conf|000-default\.conf)$/.test(path);
const isNetlify = (path: string) => /(^|\/)netlify\.toml$/.test(path);

export const isHosting = (path: string) =>
  isVercel(path) ||
  isFirebase(path) ||
  isServe(path) ||
  isAzure(path) ||
  isHeaders(path) ||
  isApache(path) ||
  isNetlify(path);

const FIX =
  'Keep it to files that have their content in their name, and send pages with Cache-Control "no-cache".';
const WORKER_SCRIPT = /(^|\/)(sw|service-?worker|ngsw-worker|workbox-[\w-]+)\.js$/i;

/** Finds settings of a static file host that keep pages in caches. */
export function hostingFindings(path: string, text: string): Finding[] {
  if (isHeaders(path)) return headersFile(path, text);
  if (isNetlify(path)) return netlifyFile(path, text);
  if (isApache(path)) return apacheFile(path, text);
  return parseYaml(withoutComments(text)).flatMap((document) => {
    if (isVercel(path))
      return [
        ...listed(path, document.at("headers"), "source"),
        ...routes(path, document.at("routes"), "src"),
      ];
    if (isServe(path)) return listed(path, document.at("headers"), "source");
    if (isFirebase(path)) {
      const hosting = document.at("hosting");
      return [hosting, ...hosting.items].flatMap((one) => listed(path, one.at("headers"), "source"));
    }
    return [
      ...routes(path, document.at("routes"), "route"),
      ...mapped(path, document.at("globalHeaders"), "/*"),
    ];
  });
}

/** JSON with its comments blanked. Strings such as "/**" stay. */
function withoutComments(json: string): string {
  return json.replace(/"(?:[^"\\\n]|\\.)*"|\/\/[^\n]*|\/\*[\s\S]*?\*\//g, (part) =>
    part.startsWith('"') ? part : part.replace(/[^\n]/g, " "),
  );
}

/** The finding for a Cache-Control on paths that include pages. */
export function headerFinding(path: string, line: number, control: string, paths: string): Finding[] {
  const isWorker = WORKER_SCRIPT.test(paths);
  if (!isLong(control) || !(isWorker || matchesPages(paths))) return [];
  const found = `${paths}: ${control}`.slice(0, 200);
  if (isWorker)
    return [
      {
        rule: "worker-kept",
        severity: "warning",
        path,
        line,
        why: "a proxy, or a browser for a day, may keep the script of the service worker: the old one decides what is served",
        found,
        fix: 'Send it with Cache-Control "no-cache".',
      },
    ];
  const isShared = !isLong(control.replace(/s-maxage\s*=\s*"?\d+/gi, ""));
  return [
    {
      rule: "pages-cached",
      severity: isShared ? "warning" : "error",
      path,
      line,
      why: isShared
        ? "a proxy or a CDN in between may answer with the page that it has kept, unless each deploy empties it"
        : "browsers may show pages for that long without asking, whatever is deployed",
      found,
      fix: FIX,
    },
  ];
}

/** Whether a host's path pattern matches pages: globs, path-to-regexp, regular expressions. */
export function matchesPages(pattern: string): boolean {
  const plain = pattern.trim().replace(/^\^/, "").replace(/\$$/, "");
  if (/^\/?(\*\*?(\/\*\*?)?|\(\.\*\)|\.\*|:\w+\*|:\w+\(\.\*\)|\(\.\*\)\.html|index\.html|)$/.test(plain))
    return true;
  if (/^\/?(\((\?!|\?:)[^)]*\)\)?\.\*\)?|\(\(\?!.*\)\.\*\))$/.test(plain)) return true;
  if (/\.html?(\)|\||$|["'])/.test(plain) && !/\?!/.test(plain)) return true;
  return /^\/?\*\*?\/\*?\.?@?\(?.*\bhtml?\b/.test(plain) && !/\?!/.test(plain);
}

function listed(path: string, node: Yaml, key: string): Finding[] {
  return node.items.flatMap((item) => {
    const source = item.at(key).text ?? item.at("glob").text ?? item.at("regex").text ?? "/";
    // A condition on a header or a host selects unknown requests.
    if (!item.at("has").isEmpty) return [];
    return item.at("headers").items.flatMap((header) => {
      if (header.at("key").text?.toLowerCase() !== "cache-control") return [];
      return headerFinding(
        path,
        header.at("value").line || header.line,
        header.at("value").text ?? "",
        source,
      );
    });
  });
}

function routes(path: string, node: Yaml, key: string): Finding[] {
  return node.items.flatMap((item) => mapped(path, item.at("headers"), item.at(key).text ?? "/"));
}

function mapped(path: string, headers: Yaml, paths: string): Finding[] {
  return headers.entries.flatMap(({ key, line, value }) =>
    key.toLowerCase() === "cache-control" ? headerFinding(path, line, value.text ?? "", paths) : [],
  );
}

/** The headers file of Netlify and Cloudflare: a path, followed by its headers. */
function headersFile(path: string, text: string): Finding[] {
  let paths = "";
  return text.split("\n").flatMap((line, at) => {
    if (/^\s*(#|$)/.test(line)) return [];
    if (/^\S/.test(line)) {
      paths = line.trim().replace(/^https?:\/\/[^/]+/, "");
      return [];
    }
    const control = /^\s+cache-control\s*:\s*(.*)$/i.exec(line)?.[1];
    return control === undefined ? [] : headerFinding(path, at + 1, control, paths);
  });
}

function netlifyFile(path: string, text: string): Finding[] {
  let paths = "";
  return text.split("\n").flatMap((line, at) => {
    if (/^\s*\[\[\s*headers\s*\]\]/.test(line)) paths = "";
    paths = /^\s*for\s*=\s*["']([^"']*)["']/.exec(line)?.[1] ?? paths;
    const control = /^\s*["']?cache-control["']?\s*=\s*["'](.*)["']/i.exec(line)?.[1];
    return control === undefined || paths === "" ? [] : headerFinding(path, at + 1, control, paths);
  });
}

/** Apache's sections determine the scope of a directive. */
function apacheFile(path: string, text: string): Finding[] {
  const sections: boolean[] = [];
  return text.split("\n").flatMap((line, at): Finding[] => {
    const [, closing, name, argument = ""] = /^\s*<(\/?)(\w+)\s*([^>]*)>/.exec(line) ?? [];
    if (name !== undefined) {
      if (closing === "/") sections.pop();
      else
        sections.push(
          /^(FilesMatch|Files|LocationMatch|Location|If)$/i.test(name) ? isForPages(name, argument) : true,
        );
      return [];
    }
    if (!sections.every(Boolean)) return [];
    const control =
      /^\s*Header\s+(?:always\s+|onsuccess\s+)?(?:set|append|merge|add)\s+Cache-Control\s+["']?([^"'\n]*)/i.exec(
        line,
      )?.[1];
    const place = { path, line: at + 1 };
    // For all files, unless a section for pages overrides it.
    if (control !== undefined && isLong(control)) return headerFinding(path, at + 1, control, "/*");
    const [, type, lifetime] = /^\s*Expires(?:ByType\s+(\S+)|Default)\s+["']?([^"'\n]*)/i.exec(line) ?? [];
    if (lifetime === undefined || (type !== undefined && !/text\/html/i.test(type))) return [];
    if (!isTooLong(expiresSeconds(lifetime))) return [];
    const hasOwn = /ExpiresByType\s+text\/html/i.test(text);
    if (type === undefined && hasOwn) return [];
    return [
      {
        rule: "pages-cached",
        severity: "error",
        ...place,
        why: "browsers may show pages for that long without asking, whatever is deployed",
        found: line.trim().slice(0, 200),
        fix: 'ExpiresByType text/html "access plus 0 seconds", and a long lifetime only for hashed files.',
      },
    ];
  });
}

function isForPages(name: string, argument: string): boolean {
  const pattern = argument
    .trim()
    .replace(/^~\s*/, "")
    .replace(/^["']|["']$/g, "");
  if (/^If$/i.test(name)) return /html/i.test(pattern);
  if (/^(Files|Location)$/i.test(name)) return pattern === "/" || /\.html?$|\*$/.test(pattern);
  return /html?\b/i.test(pattern) || pattern === ".*" || pattern === "^/";
}

/** `access plus 1 month 2 days`, or `A3600`. */
function expiresSeconds(text: string): number | undefined {
  const short = /^[AM](\d+)$/.exec(text.trim())?.[1];
  if (short !== undefined) return Number(short);
  const units: Record<string, string> = {
    second: "s",
    minute: "m",
    hour: "h",
    day: "d",
    week: "w",
    month: "M",
    year: "y",
  };
  const words = [...text.matchAll(/(\d+)\s*(second|minute|hour|day|week|month|year)/gi)].map(
    ([, amount, unit = ""]) => `${amount}${units[unit.toLowerCase()]}`,
  );
  return words.length > 0 ? nginxSeconds(words) : undefined;
}
