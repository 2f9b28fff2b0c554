import { posix } from "node:path";
import type { DeployConfig } from "../config";
import { cacheConfigVerdict } from "../freshness/cache";
import type { Verdict } from "../freshness/chain";
import { dockerfileVerdict } from "../freshness/dockerfile";
import type { BuildInputs } from "./buildInputs";
import { type Checkout, contextPath } from "./checkout";

/** Judges what the commit says of its own builds, before any of them: the links `dockerfile` and `cache` of each service. */
export function judgeBuilds(
  config: Pick<DeployConfig, "services">,
  checkout: Pick<Checkout, "prefix">,
  inputs: Readonly<Record<string, BuildInputs>>,
): Verdict[] {
  return config.services.flatMap((service) => {
    const { name, target, args, commitFile } = service;
    const path = posix.join(contextPath(checkout, service), service.dockerfile);
    const { dockerfile, dockerignore, tree, compose } = inputs[name]!;
    const build = { service: name, path, dockerfile, target, args };
    const contextFiles = tree.map((entry) => entry.path);
    return [
      dockerfileVerdict({ ...build, dockerignore, commitFile, contextFiles }),
      cacheConfigVerdict({ ...build, compose }),
    ];
  });
}
