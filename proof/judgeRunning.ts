import type { Verdict } from "../freshness/chain";
import { changesVerdict, containerVerdict, readOnlyVerdict } from "../freshness/container";
import { aliasVerdict } from "../freshness/container/alias";
import { endedVerdict, isOfJob } from "../freshness/container/ended";
import { mountsVerdict } from "../freshness/container/mounts";
import { keptVerdict } from "../freshness/image/kept";
import type { DeployedService } from "./deployment";
import type { RunningFacts } from "./runningFacts";

/**
 * Judges a running release: each image has its name; each container exists, runs, matches its image, has nothing
 * mounted over the image's files, and is the only one with its host name.
 */
export function judgeRunning({ service, image, tag, host }: DeployedService, facts: RunningFacts): Verdict[] {
  const { container, ending, images, changes, covered, neighbours, commands } = facts;
  const { name, caches, volumes } = service;
  const kept = keptVerdict(name, image, tag, images);
  const running =
    container && ending && !(container.running && isOfJob(service.schedule, container.restarts))
      ? endedVerdict(service, container.name, ending)
      : containerVerdict(name, image, container);
  if (!container || running.status === "broken") return [kept, running];
  const mounts = container.mounts.map(({ destination }) => destination);
  return [
    kept,
    running,
    container.readOnly
      ? readOnlyVerdict(name, container.name)
      : changesVerdict(name, container.name, changes, caches, mounts, commands),
    mountsVerdict(name, container.name, covered, volumes),
    aliasVerdict(name, host, container, neighbours),
  ];
}
