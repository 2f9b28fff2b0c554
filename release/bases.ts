import * as pulumi from "@pulumi/pulumi";
import type { DeployConfig } from "../config/types";
import { readBases } from "../engine/baseImages";
import type { DockerEngine } from "../engine/docker";
import { baseImages } from "../freshness/dockerfile/dependencies";
import { NAMESPACE } from "../freshness/project";
import { inputsOf } from "../source/buildInputs";
import type { Source } from "../source/prepare";
import type { Bases } from "./record";

/** Service → the base images of its build. */
export function basesOf(
  { services, platform }: Pick<DeployConfig, "services" | "platform">,
  { inputs }: Pick<Source, "inputs">,
): Record<string, string[]> {
  return Object.fromEntries(
    services.map(({ name, args, target }) => [
      name,
      baseImages(inputsOf({ inputs }, name).dockerfile, args, target, platform),
    ]),
  );
}

/**
 * Checks the base images of a build. Warns about each one that has changed since the last release was built, or that
 * differs from its registry. With `update` in the configuration, pulls it instead.
 * @param names the base images
 * @param built the base images of the running release
 * @returns their current IDs, and whether to rebuild the running release for them
 */
export async function settleBases(
  engine: DockerEngine,
  names: readonly string[],
  { built, builds, mode }: { built: Bases; builds: boolean; mode: DeployConfig["baseImages"] },
): Promise<{ bases: Bases; outdated: boolean }> {
  const found = await readBases(engine, names);
  const wanted = found.filter(({ id, newer }) => (id === undefined ? builds : newer && mode === "update"));
  // Pulls the base images before the build, so that the engine has them by name and the build uses those. If a pull
  // fails, the build reports it.
  const fetched = await Promise.all(
    wanted.map(({ name }) =>
      engine.pull(name).then(
        () => true,
        () => false,
      ),
    ),
  );
  const now = fetched.includes(true) ? await readBases(engine, names) : found;
  const bases = Object.fromEntries(now.flatMap(({ name, id }) => (id === undefined ? [] : [[name, id]])));
  const changed = now.filter(({ name, id }) => id && built[name] !== undefined && built[name] !== id);
  for (const { name, newer } of now)
    if (newer)
      await pulumi.log.warn(
        `base image ${name}: its registry has a newer one, ${newer}; "${NAMESPACE}:baseImages: update" pulls it and builds again`,
      );
  if (!builds)
    for (const { name, id } of changed)
      await pulumi.log.warn(
        `base image ${name}: changed on the engine since the release was built (was ${built[name]}, now ${id})` +
          (mode === "update" ? "; it is built again" : `; "${NAMESPACE}:baseImages: update" builds again`),
      );
  return { bases, outdated: mode === "update" && changed.length > 0 };
}
