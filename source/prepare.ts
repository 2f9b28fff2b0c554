import type { DeployConfig } from "../config";
import { assertUnbroken, type Verdict } from "../freshness/chain";
import { type BuildInputs, readBuildInputs } from "./buildInputs";
import { buildProblems, type Checkout, resolveCheckout, SourceError } from "./checkout";
import { exportContext } from "./context";
import { judgeSource } from "./rules";

/** What is built, what was judged of it, and where its contexts lie. */
export interface Source {
  readonly checkout: Checkout;
  /** Service → what the commit says of its build. */
  readonly inputs: Readonly<Record<string, BuildInputs>>;
  /** The links that the commit itself decides. */
  readonly verdicts: readonly Verdict[];
  /** Service → build context, relative to the project. */
  readonly contexts: Readonly<Record<string, string>>;
}

/**
 * Finds the checkout and checks that every service can be built from it, without writing anything.
 *
 * @throws SourceError, with all services' problems at once
 */
export async function checkSource(config: DeployConfig): Promise<Checkout> {
  const checkout = await resolveCheckout(config);
  const problems = await buildProblems(checkout, config.services);
  if (problems.length > 0) throw new SourceError(problems.join("\n"));
  return checkout;
}

/**
 * Checks the source and exports each service's build context from the git tree.
 *
 * @throws FreshnessError of the first broken link: nothing is exported then
 */
export async function prepareSource(config: DeployConfig, folder: string): Promise<Source> {
  const checkout = await checkSource(config);
  const read = config.services.map(
    async (service) => [service.name, await readBuildInputs(checkout, service)] as const,
  );
  const inputs = Object.fromEntries(await Promise.all(read));
  const verdicts = await judgeSource(config, checkout, inputs);
  assertUnbroken(verdicts);
  const contexts = await Promise.all(
    config.services.map(
      async (service) =>
        [service.name, await exportContext(checkout, service, inputs[service.name]!.tree, folder)] as const,
    ),
  );
  return { checkout, inputs, verdicts, contexts: Object.fromEntries(contexts) };
}
