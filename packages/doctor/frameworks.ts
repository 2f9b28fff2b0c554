import type { Finding } from "./finding";
import { headerFinding } from "./hosting";
import { isLong, isTooLong, nginxSeconds } from "./lifetime";

const isIis = (path: string) => /(^|\/)web\.config$/i.test(path);
const isHaproxy = (path: string) => /(^|\/)haproxy[\w.-]*\.(cfg|conf)$/.test(path);
const isAppEngine = (path: string) => /(^|\/)app\.ya?ml$/.test(path);
const isSpring = (path: string) => /(^|\/)application[\w.-]*\.(properties|ya?ml)$/.test(path);
const isPython = (path: string) =>
  /(^|\/)((\w+_)?(views|urls|settings|app|main|server|wsgi|config|__init__)|settings\/\w+|config\/\w+)\.py$/.test(
    path,
  ) && !/(^|\/)(migrations|tests?)\//.test(path);

/** Files of other servers and frameworks in which pages get a lifetime. */
export const isFrameworkFile = (path: string) =>
  isIis(path) || isHaproxy(path) || isAppEngine(path) || isSpring(path) || isPython(path);

const FIX =
  'Send pages with Cache-Control "no-cache", and a long lifetime only for files that have their content in their name.';

/** Findings for settings of servers and frameworks that keep pages in caches. */
export function frameworkFindings(path: string, text: string): Finding[] {
  if (isIis(path)) return iisFindings(path, text);
  if (isHaproxy(path)) return haproxyFindings(path, text);
  if (isAppEngine(path)) return appEngineFindings(path, text);
  if (isSpring(path)) return springFindings(path, text);
  return pythonFindings(path, text);
}

function finding(path: string, line: number, found: string, why: string, fix = FIX): Finding {
  return {
    rule: "pages-cached",
    severity: "warning",
    path,
    line,
    why,
    found: found.trim().slice(0, 200),
    fix,
  };
}

const lineAt = (text: string, index: number) => text.slice(0, index).split("\n").length;

/** `<clientCache cacheControlMaxAge="7.00:00:00"/>`, outside of a `<location>` for other files. */
function iisFindings(path: string, text: string): Finding[] {
  return [...text.matchAll(/<clientCache\b[^>]{0,300}/gi)].flatMap((match) => {
    const [, days = "0", hours = "0", minutes = "0"] =
      /cacheControlMaxAge\s*=\s*"(?:(\d+)\.)?(\d+):(\d+):\d+"/i.exec(match[0]) ?? [];
    const isUsed = /UseMaxAge/i.test(match[0]);
    const seconds = Number(days) * 86_400 + Number(hours) * 3600 + Number(minutes) * 60;
    const location = text.slice(0, match.index).lastIndexOf("<location ");
    const isInside = location > text.slice(0, match.index).lastIndexOf("</location>");
    const place = isInside
      ? (/path\s*=\s*"([^"]*)"/.exec(text.slice(location, location + 200))?.[1] ?? "")
      : "";
    const isForPages = place === "" || /html?$/.test(place);
    return isUsed && isTooLong(seconds) && isForPages
      ? [
          finding(
            path,
            lineAt(text, match.index),
            match[0],
            "static pages get this lifetime too, unless index.html has a location of its own: browsers may show them for that long without asking",
          ),
        ]
      : [];
  });
}

function haproxyFindings(path: string, text: string): Finding[] {
  return text.split("\n").flatMap((line, at) => {
    const [, control, condition] =
      /^\s*(?:http-response|http-after-response)\s+(?:set|add)-header\s+Cache-Control\s+("[^"]*"|\S+)(.*)$/i.exec(
        line,
      ) ?? [];
    if (control === undefined || /\b(if|unless)\b/.test(condition ?? "")) return [];
    return headerFinding(path, at + 1, control.replaceAll('"', "").replaceAll("\\", ""), "/*");
  });
}

/** Google App Engine: `default_expiration`, or `expiration` of a handler for pages. */
function appEngineFindings(path: string, text: string): Finding[] {
  if (!/^runtime\s*:/m.test(text)) return [];
  const servesPages = /\.html?\b/.test(text);
  return text.split("\n").flatMap((line, at) => {
    const value = /^default_expiration\s*:\s*["']?([^"'#]*)/.exec(line)?.[1];
    if (value === undefined || !servesPages || !isTooLong(nginxSeconds(value.trim().split(/\s+/)))) return [];
    return [
      finding(
        path,
        at + 1,
        line,
        "handlers without an expiration of their own send pages with this one: browsers may show them for that long without asking",
      ),
    ];
  });
}

/** Spring serves index.html from the same folders as scripts and styles. */
function springFindings(path: string, text: string): Finding[] {
  const found: Finding[] = [];
  const flat = path.endsWith(".properties");
  const pattern = flat
    ? /^spring\.(?:web\.)?resources\.cache\.(?:period|cachecontrol\.max-age)\s*=\s*(\S+)/gm
    : /^[ \t]+(?:period|max-age)\s*:\s*(\S+)/gm;
  if (!flat && !/resources\s*:[\s\S]{0,300}cache\s*:/.test(text)) return [];
  for (const match of text.matchAll(pattern)) {
    const seconds = nginxSeconds([(match[1] ?? "").replace(/^PT/i, "").toLowerCase()]);
    if (isTooLong(seconds))
      found.push(
        finding(
          path,
          lineAt(text, match.index),
          match[0],
          "the static resources, index.html among them, get this lifetime: browsers may show them for that long without asking",
        ),
      );
  }
  return found;
}

/** Flask's lifetime of static files that lie at `/`, and Django's cached views. */
function pythonFindings(path: string, text: string): Finding[] {
  const findings: Finding[] = [];
  const flask = /^[^#\n]*SEND_FILE_MAX_AGE_DEFAULT["'\]]*\s*=\s*([\d_ *]+|timedelta\([^)\n]*\))/m.exec(text);
  if (flask && /static_url_path\s*=\s*["']\/?["']/.test(text) && isTooLong(secondsOf(flask[1] ?? "")))
    findings.push(
      finding(
        path,
        lineAt(text, flask.index + flask[0].length),
        flask[0],
        "the static files lie at /, where pages are among them: browsers may show those for that long without asking",
      ),
    );
  for (const match of text.matchAll(/^[^#\n]*\bcache_page\(\s*([\d_ *]+|timeout\s*=\s*[\d_ *]+)/gm)) {
    const seconds = secondsOf((match[1] ?? "").replace(/^timeout\s*=\s*/, ""));
    if (isTooLong(seconds))
      findings.push(
        finding(
          path,
          lineAt(text, match.index + match[0].length),
          match[0],
          "if the cache outlives a deploy, this view answers with the page of the earlier release, and browsers keep it as long",
          "Give the cache a key prefix or a version that changes with each release (KEY_PREFIX), and send pages with no-cache.",
        ),
      );
  }
  return findings;
}

function secondsOf(text: string): number | undefined {
  if (/timedelta/.test(text)) return /\b(days|weeks|hours)\s*=\s*[1-9]/.test(text) ? 3600 : undefined;
  const product = text.split("*").reduce((value, part) => value * Number(part.replaceAll("_", "").trim()), 1);
  return Number.isFinite(product) ? product : undefined;
}

/** Traefik's labels set headers for a whole router. */
export function labelFindings(path: string, line: number, label: string): Finding[] {
  const control = /customresponseheaders\.cache-control\s*[=:]\s*(.*)$/i.exec(label)?.[1];
  if (control === undefined || !isLong(control)) return [];
  return [
    finding(
      path,
      line,
      label,
      "every answer of a router that uses this middleware gets this lifetime, that of a page too",
    ),
  ];
}
