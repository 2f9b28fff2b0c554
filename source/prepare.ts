import type { DeployConfig } from "../config";
import { buildProblems, type Checkout, resolveCheckout, SourceError } from "./checkout";
import { exportContext } from "./context";

/** What is built, and where its contexts lie. */
export interface Source {
  readonly checkout: Checkout;
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

/** Checks the source and exports each service's build context from the git tree. */
export async function prepareSource(config: DeployConfig, folder: string): Promise<Source> {
  const checkout = await checkSource(config);
  const contexts = await Promise.all(
    config.services.map(
      async (service) => [service.name, await exportContext(checkout, service, folder)] as const,
    ),
  );
  return { checkout, contexts: Object.fromEntries(contexts) };
}
