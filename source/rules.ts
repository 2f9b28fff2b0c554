import { posix } from "node:path";
import { simpleGit } from "simple-git";
import type { DeployConfig, ServiceConfig } from "../config";
import { cacheConfigVerdict } from "../freshness/cache";
import type { Verdict } from "../freshness/chain";
import { dockerfileVerdict } from "../freshness/dockerfile";
import type { BuildInputs } from "./buildInputs";
import { type Checkout, contextPath, treeAt } from "./checkout";
import { parseTree, readObjects } from "./git";

const COMPOSE = /^(docker-)?compose(\.[\w-]+)?\.ya?ml$/;

/**
 * Judges what the commit says of its own builds, before any of them: the links `dockerfile` and `cache` of each service.
 * Nothing but git is asked, so that a preview judges too.
 */
export async function judgeSource(
  config: Pick<DeployConfig, "services">,
  checkout: Checkout,
  inputs: Readonly<Record<string, BuildInputs>>,
): Promise<Verdict[]> {
  const verdicts = await Promise.all(
    config.services.map(async (service) => {
      const compose = await composeFiles(checkout, service);
      const { name, target, args, commitFile } = service;
      const path = posix.join(contextPath(checkout, service), service.dockerfile);
      const { dockerfile, dockerignore, tree } = inputs[name]!;
      const build = { service: name, path, dockerfile, target, args };
      return [
        dockerfileVerdict({
          ...build,
          dockerignore,
          commitFile,
          contextFiles: tree.map((entry) => entry.path),
        }),
        cacheConfigVerdict({ ...build, compose }),
      ];
    }),
  );
  return verdicts.flat();
}

/** The compose files beside the service and beside the app, as the commit has them. */
async function composeFiles(
  checkout: Checkout,
  service: ServiceConfig,
): Promise<{ path: string; text: string }[]> {
  const folders = [...new Set([checkout.prefix, contextPath(checkout, service)])];
  const git = simpleGit(checkout.root);
  const found = await Promise.all(
    folders.map(async (folder) => {
      const entries = parseTree(await git.raw(["ls-tree", "-z", treeAt(checkout, folder)]));
      return entries
        .filter(({ path, mode }) => mode.startsWith("100") && COMPOSE.test(path))
        .map(({ path, hash }) => ({ path: posix.join(folder, path), hash }));
    }),
  );
  const files = found.flat();
  const texts = await readObjects(
    checkout.root,
    files.map(({ hash }) => hash),
  );
  return files.map(({ path }, index) => ({ path, text: texts[index]!.toString("utf8") }));
}
