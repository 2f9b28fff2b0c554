import { posix } from "node:path";
import type { DeployConfig } from "../config/types";
import { cacheConfigVerdict } from "../freshness/cache";
import type { Verdict } from "../freshness/chain";
import { dockerfileVerdict } from "../freshness/dockerfile";
import type { DockerfileInput } from "../freshness/dockerfile/input";
import { hasVersion } from "../freshness/served/upstream";
import { type BuildInputs, type Contents, inputsOf } from "./buildInputs";
import { type Checkout, contextPath } from "./checkout";

/** Judges the commit's own build files before any build: the links `dockerfile` and `cache` of each service. */
export function judgeBuilds(
  config: Pick<DeployConfig, "services"> & Partial<Pick<DeployConfig, "platform">>,
  checkout: Pick<Checkout, "prefix">,
  { inputs, blobs }: Contents,
): Verdict[] {
  return config.services.flatMap((service) => {
    const own = inputsOf({ inputs }, service.name);
    const { tree, compose } = own;
    const input = dockerfileInput(service, checkout, own, config.platform);
    const read = (path: string) =>
      blobs.get(tree.find((entry) => entry.path === path)?.hash ?? "")?.toString("utf8") ?? "";
    const dependencies =
      service.dependencyStage === undefined ? undefined : { stage: service.dependencyStage, read };
    return [dockerfileVerdict({ ...input, dependencies }), cacheConfigVerdict({ ...input, compose })];
  });
}

/** Input of the rules for a service's Dockerfile. */
export function dockerfileInput(
  service: DeployConfig["services"][number],
  checkout: Pick<Checkout, "prefix">,
  { dockerfile, dockerfilePath, dockerignore, tree }: BuildInputs,
  platform?: DeployConfig["platform"],
): DockerfileInput {
  const { name, target, args, buildSecrets = {} } = service;
  const commitFile = hasVersion(service) ? service.commitFile : "";
  return {
    service: name,
    dockerfile,
    dockerignore,
    target,
    args,
    platform,
    commitFile,
    path: posix.join(contextPath(checkout, service), dockerfilePath),
    buildSecrets: Object.keys(buildSecrets),
    contextFiles: tree.map((entry) => entry.path),
  };
}
