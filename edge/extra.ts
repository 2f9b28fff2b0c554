import { quote } from "../engine/cli";
import type { DockerEngine } from "../engine/docker";
import { EDGE_IMAGE } from "../engine/edgeNames";
import { EngineError } from "../engine/problems";
import { NAMESPACE } from "../freshness/project";
import { caddyfile, type Route, type Site } from "./caddy";
import { linesBeforeExtra } from "./siteKeys";

/** Stands behind `extra` in the same block. */
const END = "end-of-extra";

/** A site with nothing but `extra`. The JSON that Caddy makes of it shows whether `extra` leaves its block. */
function frame(extra: string): string {
  return `http://extra.invalid {
	handle /.freshness {
	}
	handle {
	route {
${extra.replace(/\n?$/, "")}
	respond ${END}
	}
	}
}
`;
}
const LINES_BEFORE = 5;

/** Reads the length of the first configuration in bytes, then both. */
const CHECK = `
read -r length; head -c "$length" > /tmp/frame; cat > /tmp/whole
caddy adapt --config /tmp/frame --adapter caddyfile || exit
caddy validate --config /tmp/whole --adapter caddyfile > /dev/null`;

/**
 * Lets Caddy check `extra`, alone and within the whole configuration, in a container of its own.
 *
 * @throws EngineError with the line and what is wrong there
 */
export async function assertExtra(
  engine: DockerEngine,
  services: readonly Route[],
  site: Site & { readonly extra: string },
): Promise<void> {
  const own = frame(site.extra);
  const whole = caddyfile(services, site, "/edge/release-check");
  const run = "run --rm --interactive --network none --entrypoint sh";
  const input = `${Buffer.byteLength(own)}\n${own}${whole}`;
  const script = `docker ${run} ${EDGE_IMAGE} -euc ${quote(CHECK)}`;
  const { stdout } = await engine.script(script, { input, minutes: 5 }).catch((cause: Error) => {
    throw new EngineError(refusal(cause.message, site.extra, linesBeforeExtra(whole)), { cause });
  });
  if (!isFramed(stdout))
    throw new EngineError(
      `${NAMESPACE}:extra ends the block that it stands in, and would take the program's own routes; allowed: directives with balanced braces`,
    );
}

/** Whether what Caddy read is the frame, with `extra` in its second block alone. */
export function isFramed(json: string): boolean {
  const { apps = {}, ...others } = JSON.parse(json) as { apps?: Record<string, { servers?: object }> };
  const servers = Object.values(apps.http?.servers ?? {}) as { routes?: Framed[] }[];
  const site = only(servers[0]?.routes);
  const [, block, ...more] = only(site?.handle)?.routes ?? [];
  const route = only(only(block?.handle)?.routes);
  const last = only(route?.handle)?.routes?.at(-1);
  return (
    Object.keys(others).length === 0 &&
    Object.keys(apps).join() === "http" &&
    servers.length === 1 &&
    more.length === 0 &&
    [block, route, last].every((each) => each?.match === undefined) &&
    last?.handle?.at(-1)?.body === END
  );
}

/** The one item of a list; undefined if it has none or several. */
function only<T>(list: readonly T[] | undefined): T | undefined {
  return list?.length === 1 ? list[0] : undefined;
}

interface Framed {
  readonly match?: unknown;
  readonly handle?: readonly { readonly routes?: readonly Framed[]; readonly body?: string }[];
}

/**
 * What Caddy found wrong, with the line of `extra` in place of the file's. Of a directive that it does not know, Caddy says the line
 * behind it.
 */
export function refusal(said: string, extra: string, linesBefore: number): string {
  const line = said.split("\n").findLast((each) => /"level":"error"|^Error: /.test(each)) ?? said;
  const found = /"msg":("(?:[^"\\]|\\.)*")/.exec(line)?.[1];
  const words = found === undefined ? line : (JSON.parse(found) as string);
  const [, file, number] = /\/tmp\/(frame|whole):(\d+)/.exec(words) ?? [];
  const unknown = /unrecognized directive: ([^\s,]+)/.exec(words)?.[1];
  const named = extra.split("\n").findIndex((each) => each.trim().split(/\s/)[0] === unknown) + 1;
  const at = named || Number(number) - (file === "frame" ? LINES_BEFORE : linesBefore);
  const what = words
    .replace(/,? at \/tmp\/(frame|whole):\d+/g, "")
    .replace(/^(adapting config using caddyfile: |parsing caddyfile tokens for '(handle|route)': )+/, "");
  const isWithin = at >= 1 && at <= extra.split("\n").length;
  return `${NAMESPACE}:extra is refused by Caddy${isWithin ? ` in line ${at}` : ""}: ${what}; the edge is unchanged. Correct it and deploy again.`;
}
