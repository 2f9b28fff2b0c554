import type { Shape } from "./shapes";

/** What came of the first deploy of a shape. */
export interface Tried {
  readonly shape: Shape;
  served: boolean;
  /** How long the deploy took, with those that were deployed in the same stack. */
  readonly seconds: number;
}

/** The text of docs/shapes.md. */
export function shapesDocument(tried: readonly Tried[], versions: string, date: string): string {
  const refused = tried.filter(({ served }) => !served).length;
  const rows = [...tried]
    .sort((a, b) => a.shape.name.localeCompare(b.shape.name))
    .map(({ shape, served }) => {
      const { name, server, framework, base, layout } = shape;
      const app = `[${name}](../tests/shapes/apps/${name})`;
      return `| ${[app, server, framework, base, layout, served ? "served" : "**refused**"].join(" | ")} |`;
    });
  return `# App shapes

Small apps of the kinds that are met most, each deployed on an engine without anything of it in the cache. "Served" means that the first
\`up\` exits 0 with all links proven and that the app answers at its route. Written by \`WATCH_PARTY_FULL=1 npm test -- tests/shapes\` on ${date}, ${versions}; CI deploys
eleven of them at each run.

${tried.length} shapes, ${refused} refused.

| app | server | framework | base image | layout | first deploy |
|---|---|---|---|---|---|
${rows.join("\n")}

The folder of an app has its \`shape.yaml\`, whose \`services\` are what its stack's configuration has under \`watch-party:services\`.
`;
}
