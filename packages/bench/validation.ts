import { timesTable } from "./document";
import type { Results } from "./results";

/**
 * docs/CACHE_FIX_VALIDATION.md.
 *
 * @param faults the line of docs/faults.md that sums the matrix up
 */
export function validationDocument(
  { rows, versions, machine }: Results,
  faults: string,
  date: string,
): string {
  return `# The cache fix, validated

Written by \`npm run bench -- --write\` on ${date}: ${versions}; ${machine}.

## What was looked for

- **Faults**: ${faults}. Each was brought about on a real engine; [the matrix](faults.md) has them one by one.
- **Claims.** The original fix came with twelve tests. They are here under their names, on the engine where a mock could not see
  it: \`npm test -- tests/claims\`.
- **Releases.** Deploys under load, broken ones, killed ones, over ssh: \`npm run test:releases\`.

## Build times, the baseline

examples/watch-party, each the median of its rounds, on one machine; [bench.md](bench.md) has the flows, the goals and a larger app:

${timesTable(rows.filter(({ app }) => app === "example"))}

*original* is what the scripts did: \`docker builder prune -f\`, both images one after the other with the commit as a
build arg, the containers replaced. It proves nothing, and while it replaces a container nothing answers. The rows of this
program hold every proof.

A deploy prints the seconds of each step; they are the stack output \`seconds\`, are kept with each release
(\`npm run -s releases\`), and stand as a plot in the report (\`npm run -s report\`).

## What to watch

| watch | how | act where |
|---|---|---|
| what is served | \`npm run -s verify -- --stack S\`, by a timer | exit 1: it names the link, the service and the remedy |
| how long deploys take | \`npm run -s releases -- --stack S\` | a step takes twice its share of the table above |
| disk | the line "Disk: … free" of each deploy, the report | less is free than two releases need; lower \`watch-party:keepReleases\` |
| the build cache | \`npm run -s clear-caches -- all --dry-run --stack S\` | it outgrows the disk: \`--purge\` |
| what could serve stale code | \`npm run -s doctor -- PATH\` in CI | exit 1 |

## Trade-offs

- Every layer made from source is built anew for each commit, also where its files are the same. That is what makes the rest provable.
- What no image holds is pruned before each build, for all stacks on that engine: they share its build cache.
- Proofs cost seconds of each deploy (\`imageProofs\` and \`proof\` among the printed steps); they cannot be switched off.
`;
}
