import { join } from "node:path";
import type { DeployConfig } from "../config/types";
import { startEarly } from "../engine/until";
import { assertUnbroken, type Verdict } from "../freshness/chain";
import { commitVerdict } from "../freshness/commit";
import { type BuildInputs, findContents, inputsOf, readContents } from "./buildInputs";
import { dockerfileInput, judgeBuilds } from "./builds";
import { type Checkout, commitOf, resolveCheckout, shortIdentity, withChanges } from "./checkout";
import { exportContext } from "./context";
import { type DependencyContext, exportDependencies } from "./dependencies";
import { TreeError } from "./tree";
import { readNamed } from "./upstream";

/** The source of a deploy, its verdicts, and its contexts. */
export interface Source {
  readonly checkout: Checkout;
  /** Service → the commit's inputs of its image. */
  readonly inputs: Readonly<Record<string, BuildInputs>>;
  /** The links that the commit itself decides: `commit`, `dockerfile` and `cache`. */
  readonly verdicts: readonly Verdict[];
  /**
   * Service → build context, relative to the project, once written: the prune does not wait for thousands of files.
   */
  readonly contexts: Readonly<Record<string, Promise<string>>>;
  /** Service → build inputs of its dependency stage, if it has one. */
  readonly dependencies: Readonly<Record<string, DependencyContext>>;
}

/**
 * Checks that the commit exists and that every service can be built from it, without writing anything.
 *
 * @throws SourceError with all services' problems
 * @throws FreshnessError (link commit) if the source is not the commit
 */
export async function checkSource(config: DeployConfig): Promise<void> {
  if (config.front !== undefined) return;
  await findContents(await resolveCheckout(config), config.services, config.filters);
}

/**
 * Checks the source and exports each service's build context from the git tree. Runs only git, so that a preview can do
 * it too.
 *
 * @param folder folder for contexts, relative to the project
 * @throws FreshnessError of the first broken link; nothing is exported then
 */
export async function prepareSource(config: DeployConfig, folder: string): Promise<Source> {
  const commit = await commitOf(config);
  // Most checkouts have no uncommitted changes, so read the commit meanwhile. A problem of the changes is reported
  // first.
  const reading = startEarly(readContents(commit, config.services, config.filters));
  const checkout = await withChanges(commit, config).catch(async (cause: Error) => {
    // A tree that git cannot check out differs from the working tree for that reason.
    const before = await reading.catch((first: Error) => first);
    throw before instanceof TreeError ? before : cause;
  });
  const [{ inputs, blobs }, named] = await Promise.all([
    checkout.tree === commit.tree ? reading : readContents(checkout, config.services, config.filters),
    config.commit === "HEAD" ? readNamed(checkout) : undefined,
  ]);
  const verdicts = [
    commitVerdict(checkout, named),
    ...config.services.flatMap(({ name }) => inputsOf({ inputs }, name).filters ?? []),
    ...judgeBuilds(config, checkout, { inputs, blobs }),
  ];
  assertUnbroken(verdicts);
  const held = config.services.flatMap((service) =>
    service.dependencyStage === undefined
      ? []
      : exportDependencies(
          dockerfileInput(service, checkout, inputsOf({ inputs }, service.name), config.platform),
          service.dependencyStage,
          {
            tree: inputsOf({ inputs }, service.name).tree,
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
      const context = startEarly(exportContext(own, folderName, inputsOf({ inputs }, name).tree, blobs));
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
