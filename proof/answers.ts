import type { DockerEngine } from "../engine/docker";
import type { Verdict } from "../freshness/chain";
import { unhealthyVerdict } from "../freshness/container";
import { missingCapability } from "../freshness/container/capability";
import type { Answer } from "../freshness/served/answer";
import { redirectOf, shownAnswer } from "../freshness/served/asking";
import { placesOf } from "../freshness/served/places";
import { answerVerdict } from "../freshness/served/upstream";
import { zip } from "../freshness/sure";
import type { ProvenService } from "./deployment";
import { askInstances, instancesOf } from "./instances";
import { readEnding } from "./runningFacts";
import { runtimeOf } from "./runtime";
import type { ToProve } from "./toProve";

/** How long a container that serves may take to answer its health path with 2xx, asked again and again, in seconds. */
const SERVING_SECONDS = 5;

/**
 * Proves the containers by their own answers: waits until each is healthy, then asks it for the commit. Docker itself asks
 * rarely, and what one address answers may come from any replica. The requests run in the edge's container, so that an
 * image needs no shell and no HTTP client.
 */
export async function proveAnswers({ engine, deployment, signal, serves }: ToProve): Promise<Verdict[]> {
  const { edge, commit } = deployment;
  const services = deployment.services.map((deployed) =>
    serves ? { ...deployed, service: { ...deployed.service, startSeconds: SERVING_SECONDS } } : deployed,
  );
  const hosts = await runtimeOf(deployment).instances(engine, deployment);
  const instances = zip(services, hosts).flatMap(([of, own]) =>
    of.service.port === undefined
      ? []
      : instancesOf(of.service, own, placesOf(deployment, of.service.hosts)[0]).map((instance) => ({
          ...instance,
          of,
        })),
  );
  const asked = zip(instances, await askInstances(engine, edge, instances, signal));
  const judged = services.map(async (of) => {
    const { service, container } = of;
    if (service.port === undefined) return [];
    const own = asked.flatMap(([instance, answer]) => (instance.of === of ? [answer] : []));
    const sick = own.find(({ healthy }) => !healthy);
    if (sick) return [await judgeUnhealthy(engine, service, container, sick.answer, serves)];
    // Ignore cache headers: the container is asked directly.
    const answers = own.map(({ answer }) => ({ ...answer, headers: {} }));
    return [answerVerdict(service, { link: "container", service: service.name, commit }, answers)];
  });
  return (await Promise.all(judged)).flat();
}

async function judgeUnhealthy(
  engine: DockerEngine,
  service: ProvenService,
  id: string,
  answer: Answer,
  serves?: boolean,
): Promise<Verdict> {
  const [found] = await engine.inspectContainers([id]);
  const ending = found && (await readEnding(engine, found));
  const asked = { url: answer.url, said: shownAnswer(answer), status: answer.status, to: redirectOf(answer) };
  // It answers, so it has started.
  const log = answer.status === 0 ? (ending?.log ?? []).join("\n") : "";
  const lacks = missingCapability(log, service.capabilities);
  const name = found?.name ?? id.slice(0, 12);
  return unhealthyVerdict(service, asked, { name, ending, lacks, serves });
}
