import { join } from "node:path";
import type { DeployConfig } from "../config";
import { startEarly } from "../engine/until";
import { assertUnbroken, type Verdict } from "../freshness/chain";
import { commitVerdict } from "../freshness/commit";
import { type BuildInputs, findContents, readContents } from "./buildInputs";
import { dockerfileInput, judgeBuilds } from "./builds";
import { type Checkout, commitOf, resolveCheckout, shortIdentity, withChanges } from "./checkout";
import { exportContext } from "./context";
import { type DependencyContext, exportDependencies } from "./dependencies";
import { TreeError } from "./tree";
import { readNamed } from "./upstream";

/** What is built, what was judged of it, and where its contexts lie. */
export interface Source {
  readonly checkout: Checkout;
  /** Service → what the commit says of its build. */
  readonly inputs: Readonly<Record<string, BuildInputs>>;
  /** The links that the commit itself decides: `commit`, `dockerfile` and `cache`. */
  readonly verdicts: readonly Verdict[];
  /** Service → build context, relative to the project, once it is written: the prune need not wait for thousands of files. */
  readonly contexts: Readonly<Record<string, Promise<string>>>;
  /** Service → what its dependency stage is built from, where it has one. */
  readonly dependencies: Readonly<Record<string, DependencyContext>>;
}

/**
 * Checks that there is such a commit and that every service can be built from it, without writing anything.
 *
 * @throws SourceError, with all services' problems at once
 * @throws FreshnessError (link commit) where something else than the commit would be built
 */
export async function checkSource(config: DeployConfig): Promise<void> {
  await findContents(await resolveCheckout(config), config.services, config.filters);
}

/**
 * Checks the source and exports each service's build context from the git tree. Nothing but git is asked, so that a
 * preview judges too.
 *
 * @param folder where contexts are kept, relative to the project
 * @throws FreshnessError of the first broken link: nothing is exported then
 */
export async function prepareSource(config: DeployConfig, folder: string): Promise<Source> {
  const commit = await commitOf(config);
  // Most checkouts have no uncommitted changes, and what there are is told first.
  const reading = startEarly(readContents(commit, config.services, config.filters));
  const checkout = await withChanges(commit, config).catch(async (cause: Error) => {
    // What git cannot check out differs from the working tree for that reason.
    const before = await reading.catch((first: Error) => first);
    throw before instanceof TreeError ? before : cause;
  });
  const [{ inputs, blobs }, named] = await Promise.all([
    checkout.tree === commit.tree ? reading : readContents(checkout, config.services, config.filters),
    config.commit === "HEAD" ? readNamed(checkout) : undefined,
  ]);
  const verdicts = [
    commitVerdict(checkout, named),
    ...config.services.flatMap(({ name }) => inputs[name]!.filters ?? []),
    ...judgeBuilds(config, checkout, { inputs, blobs }),
  ];
  assertUnbroken(verdicts);
  const held = config.services.flatMap((service) =>
    service.dependencyStage === undefined
      ? []
      : exportDependencies(
          dockerfileInput(service, checkout, inputs[service.name]!, config.platform),
          service.dependencyStage,
          {
            tree: inputs[service.name]!.tree,
            blobs,
            folder,
          },
        ).then((context) => [service.name, context] as const),
  );
  const dependencies = Object.fromEntries(await Promise.all(held));
  const exported = config.services
    .filter(({ image }) => image === undefined)
    .map(({ name }) => {
      const own = join(folder, name);
      const folderName = `${name}-${shortIdentity(checkout.identity)}`;
      // A failed export fails the image, if the deploy builds one.
      const context = startEarly(exportContext(own, folderName, inputs[name]!.tree, blobs));
      return [name, context] as const;
    });
  return {
    checkout,
    inputs,
    verdicts,
    dependencies,
    contexts: Object.fromEntries(exported),
  };
}
