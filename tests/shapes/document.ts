import type { Shape } from "./shapes";

/** What came of the first deploy of a shape. */
export interface Tried {
  readonly shape: Shape;
  served: boolean;
  /** How long the deploy took, with those that were deployed in the same stack. */
  readonly seconds: number;
}

/** Shape → what came of its first deploy. */
export type Results = ReadonlyMap<string, string>;

/** What a document has of each shape. */
export function resultsIn(text: string): Map<string, string> {
  const rows = text.matchAll(/^\| \[([a-z-]+)\].*\| ([^|]*) \|$/gm);
  return new Map([...rows].map(([, name = "", result = ""]) => [name, result]));
}

/** The results of a run, each with the day and the engine. */
export function resultsOf(tried: readonly Tried[], versions: string, date: string): Map<string, string> {
  return new Map(
    tried.map(({ shape, served }) => [
      shape.name,
      `${served ? "served" : "**refused**"}, ${date}, ${versions}`,
    ]),
  );
}

/** The text of docs/shapes.md. */
export function shapesDocument(shapes: readonly Shape[], results: Results): string {
  const known = shapes.filter(({ name }) => results.has(name));
  const refused = known.filter(({ name }) => results.get(name)?.startsWith("**refused**")).length;
  const open = shapes.filter(({ name }) => !results.has(name)).map(({ name }) => name);
  const rows = known.map(({ name, server, framework, base, layout }) => {
    const app = `[${name}](../tests/shapes/apps/${name})`;
    return `| ${[app, server, framework, base, layout, results.get(name)].join(" | ")} |`;
  });
  return `# App shapes

Small apps of the usual kinds, each deployed to an engine that has nothing of it in its cache. "Served" means that the first \`up\` exits 0
with all links proven and that the app answers at its route. Written by \`WATCH_PARTY_FULL=1 npm test -- tests/shapes\`; with
\`WATCH_PARTY_SHAPES=NAME,NAME\` only those are deployed, and the rows of the others stay. CI deploys eleven of them at each run.

${known.length} shapes, ${refused} refused.${open.length > 0 ? ` Not deployed yet in their present form: ${open.join(", ")}.` : ""}

| app | server | framework | base image | layout | first deploy |
|---|---|---|---|---|---|
${rows.join("\n")}

The folder of an app has its \`shape.yaml\`. Its \`services\` are what the stack's configuration has under \`watch-party:services\`.
`;
}
