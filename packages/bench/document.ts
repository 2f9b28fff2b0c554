import {
  type GrowthRow,
  growthExponent,
  judge,
  median,
  type Results,
  type Row,
  roundsOf,
  secondsOf,
} from "./results";

/** Steps grow faster than linearly from here on: a fit through four points is no finer. */
const LINEAR = 1.1;
/** A step that takes less is told by chance. */
const LEAST_SECONDS = 0.2;

/** docs/bench.md. */
export function benchDocument(results: Results): string {
  const { rows, growth, machine, versions } = results;
  const days = [...new Set(rows.map(({ time }) => time.slice(0, 10)))].join(", ");
  return `# Measured

Written by \`npm run bench -- --write\`: ${days}; ${versions}; ${machine}. The numbers are in [bench.json](bench.json).

Flows: *original* is what the scripts did (\`docker builder prune -f\`, both images one after the other with the commit as a build arg,
the containers replaced, a wait until they answer), *purging* the same with \`-af\`, *build* \`docker build\` of both with a full cache and
nothing else, while the images of its first build are served and asked for as those of the others are, *own* this program's \`up\` with every proof, *empty* a Pulumi program that declares nothing, *framework* \`next build\`
alone in a container. They take turns of three rounds on one machine, each after a deploy that is not measured, whose prune takes away what the
others have left; purging comes after the others, whose caches it would take away. Each flow has a repository of its own and Dockerfiles
that name the flow, so that none finds another's layers. Where nothing changed, *own*
and *empty* are \`pulumi up\`, with the preview that it makes first, and previews are \`pulumi preview\`; in the other cases *own* is this
program's command \`up\`; *rollback* is its command of that name.

Apps: *example* is examples/watch-party; *large* is the same with a frontend of 2,000 modules on 40 pages, made up from a seed;
*fixture* is the app of the tests.

## Goals

${goalsTable(rows)}
${floorText(rows)}
## Times

${timesTable(rows)}

*Served* is the time from the start to the first answer with the new text, under 5 requests a second; *failed* are those of all
rounds that failed; *stale* the rounds after which the page still showed another text. *Memory* is what the machine's available
memory fell by at most, *disk* what the engine held after the last round (docker system df).

## Where the time of a new commit goes

${stepsTable(rows)}
${growth.length === 0 ? "" : `\n## Growth\n\n${growthTables(growth)}\n`}`;
}

/** A table. */
export function markdown(head: readonly string[], body: readonly (readonly string[])[]): string {
  return [head, head.map(() => "---"), ...body].map((cells) => `| ${cells.join(" | ")} |`).join("\n");
}

const seconds = (value: number) => value.toFixed(1);

export function goalsTable(rows: readonly Row[]): string {
  const body = judge(rows).map(({ goal, allowed, measured, outcome }) => [goal, allowed, measured, outcome]);
  return markdown(["goal", "allowed", "measured", ""], body);
}

/**
 * What no flow can go below that runs the framework's build, and what of this program's time beyond it is work that a build alone
 * has not: said where both sides were measured.
 */
function floorText(rows: readonly Row[]): string {
  const apps = [...new Set(rows.map(({ app }) => app))];
  const told = (of: (app: Row["app"], build: number) => string | undefined) =>
    apps
      .flatMap((app) => {
        const build = secondsOf(rows, app, "commit", "build");
        return (build === undefined ? undefined : of(app, build)) ?? [];
      })
      .join(", ");
  const floors = told((app, build) => {
    const original = secondsOf(rows, app, "commit", "original");
    return original === undefined ? undefined : `${app} ${(build / original).toFixed(2)} ×`;
  });
  const more = told((app, build) => {
    const own = secondsOf(rows, app, "commit", "own");
    const steps = roundsOf(rows, app, "commit", "own").flatMap(({ steps }) => (steps ? [steps] : []));
    if (own === undefined || steps.length === 0) return undefined;
    const replacing = median(steps.map(({ prune = 0, services = 0 }) => prune + services));
    return `${app} ${seconds(replacing)} of ${seconds(own - build)} s`;
  });
  if (floors === "") return "";
  return `
\`docker build\` with a full cache, which proves nothing, prunes nothing and replaces nothing, takes of the original's time: ${floors}.
Nothing that runs the framework's own build on this machine goes below that.${
    more === ""
      ? ""
      : ` Of what *own* takes beyond \`docker build\`, the
prune and the new containers until they answer are: ${more}.`
  }
`;
}

export function timesTable(rows: readonly Row[]): string {
  const body = rows.map(({ app, case: what, flow, rounds, disk }) => {
    const times = rounds.map((each) => each.seconds);
    const served = rounds.flatMap(({ servedSeconds }) => servedSeconds ?? []);
    const asked = rounds.filter(({ requests }) => requests !== null);
    const sum = (of: (each: (typeof rounds)[number]) => number | null) =>
      asked.reduce((total, each) => total + (of(each) ?? 0), 0);
    const judged = rounds.filter(({ stale }) => stale !== null);
    return [
      ...[app, what, flow, seconds(median(times))],
      `${seconds(Math.min(...times))}–${seconds(Math.max(...times))}`,
      String(rounds.length),
      served.length === 0 ? "–" : seconds(median(served)),
      asked.length === 0 ? "–" : `${sum(({ failed }) => failed)} of ${sum(({ requests }) => requests)}`,
      judged.length === 0 ? "–" : `${judged.filter(({ stale }) => stale).length} of ${judged.length}`,
      `${Math.max(...rounds.map(({ memoryMiB }) => memoryMiB))} MiB`,
      ["Images", "Build Cache"].map((kind) => `${kind.toLowerCase()} ${disk[kind] ?? "–"}`).join(", "),
    ];
  });
  const head = [
    "app",
    "case",
    "flow",
    "median s",
    "spread",
    "rounds",
    "served s",
    "failed",
    "stale",
    "memory",
    "disk",
  ];
  return markdown(head, body);
}

export function stepsTable(rows: readonly Row[]): string {
  const own = rows.filter(({ case: what, flow }) => what === "commit" && flow === "own");
  const names = [
    ...new Set(own.flatMap(({ rounds }) => rounds.flatMap(({ steps }) => Object.keys(steps ?? {})))),
  ];
  const body = own.map(({ app, rounds }) => {
    const floor = secondsOf(rows, app, "commit", "framework");
    return [
      app,
      ...names.map((name) => seconds(median(rounds.map(({ steps }) => steps?.[name] ?? 0)))),
      seconds(median(rounds.map(({ seconds: all, steps }) => all - (steps?.total ?? 0)))),
      floor === undefined ? "–" : seconds(floor),
    ];
  });
  return markdown(
    ["seconds", ...names, "the rest: CLI, Pulumi, putting away", "floor: next build alone"],
    body,
  );
}

export function growthTables(growth: readonly GrowthRow[]): string {
  const kinds = [...new Set(growth.map(({ by }) => by))];
  return kinds
    .map((by) => {
      const rows = growth.filter((row) => row.by === by);
      const names = Object.keys(rows[0]!.steps).filter((name) => name !== "total");
      const exponent = (of: (row: GrowthRow) => number) => {
        const points = rows.map((row) => [row.at, of(row)] as const);
        if (points.length < 2 || Math.max(...points.map(([, value]) => value)) < LEAST_SECONDS) return "–";
        const value = growthExponent(points);
        return `${value.toFixed(2)}${value > LINEAR ? " (faster than linear)" : ""}`;
      };
      const body = rows.map(({ at, seconds: all, steps, stateBytes }) => [
        ...[String(at), seconds(all), ...names.map((name) => seconds(steps[name] ?? 0))],
        `${Math.round(stateBytes / 1024)} KiB`,
      ]);
      const fit = [
        "exponent",
        exponent(({ seconds: all }) => all),
        ...names.map((name) => exponent(({ steps }) => steps[name] ?? 0)),
        exponent(({ stateBytes }) => stateBytes),
      ];
      return markdown([by, "seconds", ...names, "state"], [...body, fit]);
    })
    .join("\n\n");
}
