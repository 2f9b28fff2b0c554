import { type Break, broken, EVERY_SERVICE, type Verdict } from "../chain";
import { commandLine } from "../project";

const REMEDY = `Deploy again with "${commandLine("up")}": it writes the edge's files again.`;

/**
 * Judges the content of the edge's volume: the release that the edge routes to, and the assets that browsers may still
 * request.
 * @param release the served release
 * @param builds builds of the kept releases, commit → build; empty if no service has assets
 * @param files absent state: the volume does not say which release the edge serves; `isChanged`: Caddy does not have the configuration
 * that it was given
 */
export function edgeFilesVerdicts(
  release: string,
  builds: ReadonlyMap<string, string>,
  files: { readonly state?: unknown; readonly kept: readonly string[]; readonly isChanged?: boolean },
): (Verdict | Break)[] {
  const evidence = "the edge's volume, /edge";
  const leads = `files that lead to release ${release}`;
  const led: Verdict = {
    link: "served",
    service: EVERY_SERVICE,
    status: "proven",
    expected: leads,
    found: leads,
    evidence,
  };
  const lost = [...builds].filter(([, build]) => !files.kept.includes(build)).map(([commit]) => commit);
  const assets = `the assets of ${builds.size === 1 ? "1 release" : `${builds.size} releases`}`;
  return [
    files.state === undefined
      ? broken({
          ...led,
          wrong: "the edge's volume does not say which release the edge serves",
          found: "no such files",
          remedy: REMEDY,
        })
      : led,
    ...(files.isChanged
      ? [
          broken({
            ...led,
            wrong: "somebody has given the edge another configuration",
            expected: "the configuration of the last deploy",
            found: "another one in Caddy",
            evidence: "Caddy's own answer, http://localhost:2019/config/ in the edge",
            remedy: `Deploy again with "${commandLine("up")}": it loads the configuration again.`,
          }),
        ]
      : []),
    ...(lost.length === 0
      ? []
      : [
          broken({
            link: "browser",
            service: EVERY_SERVICE,
            wrong: "pages that were loaded before the last deploy do not find their assets",
            expected: `${assets} in the edge's volume`,
            found: `none of ${lost.map((commit) => commit.slice(0, 12)).join(", ")}`,
            evidence,
            remedy: REMEDY,
          }),
        ]),
  ];
}
