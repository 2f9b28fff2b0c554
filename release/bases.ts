import * as pulumi from "@pulumi/pulumi";
import type { DeployConfig } from "../config/types";
import { readBases } from "../engine/baseImages";
import type { DockerEngine } from "../engine/docker";
import { baseImages } from "../freshness/dockerfile/dependencies";
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
      baseImages(inputs[name]!.dockerfile, args, target, platform),
    ]),
  );
}

/**
 * Looks at the base images of a build. One that is another one now than the last release was built on, or than its registry
 * has, is told of, or fetched where the configuration says `update`.
 *
 * @param names the base images
 * @param built what the release that runs was built on
 * @returns their ids now, and whether the release that runs is to be built anew for them
 */
export async function settleBases(
  engine: DockerEngine,
  names: readonly string[],
  { built, builds, mode }: { built: Bases; builds: boolean; mode: DeployConfig["baseImages"] },
): Promise<{ bases: Bases; outdated: boolean }> {
  const found = await readBases(engine, names);
  const wanted = found.filter(({ id, newer }) => (id === undefined ? builds : newer && mode === "update"));
  // A base that a build would fetch is fetched before, so that the engine has it under its name and keeps to it; where that
  // fails, the build says so.
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
        `base image ${name}: its registry has a newer one, ${newer}; "watch-party:baseImages: update" fetches it and builds anew`,
      );
  if (!builds)
    for (const { name, id } of changed)
      await pulumi.log.warn(
        `base image ${name}: the engine has another one now, ${id}, than the release was built on, ${built[name]}` +
          (mode === "update" ? "; it is built anew" : '; "watch-party:baseImages: update" builds anew'),
      );
  return { bases, outdated: mode === "update" && changed.length > 0 };
}
