import type { ServiceConfig } from "../config";
import type { Verdict } from "../freshness/chain";
import { containerVerdict } from "../freshness/container";
import { type VersionAnswer, versionVerdict } from "../freshness/served";
import type { DockerEngine } from "./docker";

/** One service of a release, as it was deployed. */
export interface DeployedService {
  readonly service: ServiceConfig;
  readonly container: string;
  /** The image's digest. */
  readonly image: string;
  /** The container's host name within the network. */
  readonly host: string;
}

/** How often the public address is asked for each service. */
const TIMES = 3;
/** How long the public address may take to lead to the release: a certificate may have to be fetched first. */
const PATIENCE_MS = { plain: 5_000, https: 90_000 };

/** Proves what runs: each container is of the image that was built, healthy, and answers with the commit itself. */
export async function proveContainers(
  engine: DockerEngine,
  edge: string,
  services: readonly DeployedService[],
  commit: string,
): Promise<Verdict[]> {
  const verdicts = await Promise.all(
    services.map(async ({ service, container, image, host }): Promise<Verdict[]> => {
      const running = containerVerdict(service.name, image, await engine.inspectContainer(container));
      if (running.status === "broken" || service.port === undefined) return [running];
      const base = `http://${host}:${service.port}`;
      const deadline = Date.now() + service.startSeconds * 1000;
      const health = await until(
        deadline,
        () => engine.get(edge, `${base}${service.health}`),
        (answer) => answer.ok,
      );
      const url = `${base}${service.version}`;
      if (!health.ok) {
        const asked = { url: `${base}${service.health}`, status: 0, body: "", error: health.error };
        return [running, versionVerdict("container", service.name, commit, [asked])];
      }
      const { ok, body, error } = await engine.get(edge, url);
      return [
        running,
        versionVerdict("container", service.name, commit, [{ url, status: ok ? 200 : 0, body, error }]),
      ];
    }),
  );
  return verdicts.flat();
}

/** Proves what users get: each service's version path, asked several times at the public address. */
export async function proveServed(
  publicUrl: string,
  services: readonly ServiceConfig[],
  commit: string,
): Promise<Verdict[]> {
  const patience = publicUrl.startsWith("https:") ? PATIENCE_MS.https : PATIENCE_MS.plain;
  const deadline = Date.now() + patience;
  return Promise.all(
    services
      .filter((service) => service.port !== undefined)
      .map((service) =>
        until(
          deadline,
          async () => {
            const answers: VersionAnswer[] = [];
            for (let time = 0; time < TIMES; time++)
              answers.push(await askVersion(`${publicUrl}/.freshness/${service.name}`));
            return versionVerdict("served", service.name, commit, answers);
          },
          (verdict) => verdict.status === "proven",
        ),
      ),
  );
}

/** Asks until the answer is good or the time is over; the last answer counts. */
async function until<T>(deadline: number, ask: () => Promise<T>, good: (answer: T) => boolean): Promise<T> {
  for (;;) {
    const answer = await ask();
    if (good(answer) || Date.now() >= deadline) return answer;
    await new Promise((resume) => setTimeout(resume, 100));
  }
}

async function askVersion(url: string): Promise<VersionAnswer> {
  try {
    const response = await fetch(url, {
      redirect: "manual",
      headers: { connection: "close" },
      signal: AbortSignal.timeout(10_000),
    });
    return { url, status: response.status, body: await response.text(), error: "" };
  } catch (cause) {
    const { message, cause: reason } = cause as Error & { cause?: Error };
    return { url, status: 0, body: "", error: reason?.message || message };
  }
}
