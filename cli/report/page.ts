import type { DiskUse } from "../../engine/caches";
import { type Certificate, EVERY_SERVICE, isBroken, type Verdict } from "../../freshness/chain";
import type { ListedRelease } from "../../release/releases";
import { shortIdentity } from "../../source/checkout";
import { html, Markup } from "./markup";
import { STYLE } from "./style";

/** The data of a report. */
export interface Report {
  readonly certificate: Certificate;
  /** Whether the proofs were made for this report; otherwise they are the last deploy's. */
  readonly isLive: boolean;
  /** Why new proofs failed. */
  readonly problem?: string;
  readonly services: readonly string[];
  /** The newest first. */
  readonly releases: readonly ListedRelease[];
  /** Seconds of each step of the last deploy, and `total`. */
  readonly seconds: Readonly<Record<string, number>>;
  /** The engine's disk usage, as in `docker system df`; absent if it did not answer. */
  readonly disk?: readonly DiskUse[];
  /** Free bytes where the engine keeps its images. */
  readonly free?: number;
}

/** A self-contained page: no script, no font, no URL but the stack's own. */
export function page(report: Report): string {
  const { stack, commit, url, time } = report.certificate;
  return html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<link rel="icon" href="data:,">
<title>${stack}: ${shortIdentity(commit)}</title>
<style>${new Markup(STYLE)}</style>
</head>
<body>
<header>
<h1>${stack}</h1>
<p><a href="${url}">${url}</a> · commit <code>${shortIdentity(commit)}</code> · ${moment(time)}</p>
${banner(report)}
</header>
<main>
${report.services.map((service) => chain(service, report.certificate.links))}
${releases(report.releases)}
${steps(report.seconds)}
${engine(report)}
</main>
</body>
</html>
`.text;
}

function banner({ certificate, isLive, problem }: Report): Markup {
  const broken = certificate.links.filter(isBroken);
  const unchecked = certificate.links.filter(({ status }) => status === "not checked").length;
  const says =
    broken.length > 0
      ? `${broken.length} of ${certificate.links.length} proofs are broken`
      : `All ${certificate.links.length - unchecked} proofs hold${unchecked > 0 ? `, ${unchecked} were not made` : ""}`;
  const when = isLive ? "Proven for this report." : `As the last deploy proved it. ${problem ?? ""}`;
  return html`<p class="banner ${broken.length > 0 ? "broken" : "proven"}" role="status"><strong>${says}.</strong> ${when.trim()}</p>`;
}

function chain(service: string, links: readonly Verdict[]): Markup {
  const own = links.filter((link) => link.service === service || link.service === EVERY_SERVICE);
  return html`<section aria-labelledby="chain-${service}">
<h2 id="chain-${service}">${service}</h2>
<table>
<thead><tr><th scope="col">link</th><th scope="col">status</th><th scope="col">found</th></tr></thead>
<tbody>
${own.map(verdict)}
</tbody>
</table>
</section>
`;
}

const MARKS: Readonly<Record<Verdict["status"], string>> = { proven: "✓", broken: "✗", "not checked": "–" };

function verdict(of: Verdict): Markup {
  const remedy = isBroken(of)
    ? html`<dt>wrong</dt><dd>${of.wrong}</dd><dt>remedy</dt><dd>${of.remedy}</dd>`
    : undefined;
  const status = of.status.replace(" ", "-");
  return html`<tr><th scope="row">${of.link}</th><td class="${status}"><span aria-hidden="true">${MARKS[of.status]}</span> ${of.status}</td><td><details${new Markup(isBroken(of) ? " open" : "")}><summary>${of.found}</summary><dl><dt>expected</dt><dd>${of.expected}</dd><dt>seen in</dt><dd>${of.evidence}</dd>${remedy}</dl></details></td></tr>
`;
}

function releases(list: readonly ListedRelease[]): Markup {
  const longest = Math.max(...list.map(({ seconds }) => seconds), 1);
  const rows = list.map(({ commit, time, by, seconds, running, rolledBack }) => {
    const note = running ? "running" : rolledBack ? "rolled back" : "kept";
    return html`<tr><th scope="row"><code>${shortIdentity(commit)}</code></th><td>${moment(time)}</td><td>${by}</td><td>${note}</td><td class="number">${seconds.toFixed(1)} s</td><td>${bar(seconds / longest)}</td></tr>
`;
  });
  return html`<section aria-labelledby="releases">
<h2 id="releases">Releases</h2>
<table>
<thead><tr><th scope="col">commit</th><th scope="col">deployed</th><th scope="col">by</th><th scope="col">state</th><th scope="col" class="number">took</th><th scope="col"><span class="unseen">plot</span></th></tr></thead>
<tbody>
${rows}
</tbody>
</table>
</section>
`;
}

function steps({ total = 0, ...seconds }: Readonly<Record<string, number>>): Markup {
  const rows = Object.entries(seconds).map(
    ([step, taken]) =>
      html`<tr><th scope="row">${step}</th><td class="number">${taken.toFixed(1)} s</td><td>${bar(taken / Math.max(total, 0.1))}</td></tr>
`,
  );
  return html`<section aria-labelledby="steps">
<h2 id="steps">The last deploy, ${total.toFixed(1)} s</h2>
<table>
<thead><tr><th scope="col">step</th><th scope="col" class="number">took</th><th scope="col"><span class="unseen">plot</span></th></tr></thead>
<tbody>
${rows}
</tbody>
</table>
</section>
`;
}

/** The bar repeats the number beside it. */
function bar(share: number): Markup {
  const width = Math.round(Math.min(1, Math.max(0, share)) * 1000) / 10;
  return html`<svg class="bar" viewBox="0 0 100 10" preserveAspectRatio="none" aria-hidden="true"><rect width="${width}" height="10"/></svg>`;
}

function engine({ certificate, disk, free }: Report): Markup {
  const { engine, docker, pulumi, plugins } = certificate.versions;
  const rows = (disk ?? []).map(
    ({ what, count, size, reclaimable }) =>
      html`<tr><th scope="row">${what}</th><td class="number">${count}</td><td class="number">${size}</td><td class="number">${reclaimable}</td></tr>
`,
  );
  const table = html`<table>
<thead><tr><th scope="col">disk</th><th scope="col" class="number">count</th><th scope="col" class="number">size</th><th scope="col" class="number">reclaimable</th></tr></thead>
<tbody>
${rows}
</tbody>
</table>
`;
  const left = free === undefined ? undefined : html`<p>${(free / 1024 ** 3).toFixed(1)} GiB are free.</p>`;
  return html`<section aria-labelledby="engine">
<h2 id="engine">Engine</h2>
${disk ? table : html`<p>The engine did not answer.</p>`}${left}
<p>Built with Docker Engine ${engine}, docker ${docker}, pulumi ${pulumi}, plugins docker ${plugins.docker} and command ${plugins.command}.</p>
</section>
`;
}

function moment(time: string): Markup {
  const words = time.replace("T", " ").replace(/(:\d\d)(\.\d+)?Z$/, "$1 UTC");
  return html`<time datetime="${time}">${words}</time>`;
}
