import { ToolchainError } from "../../../toolchain/errors";
import type { Paths } from "../../../toolchain/paths";
import { tail, tryRun } from "../../../toolchain/run";
import { type BaseImage, baseImages } from "../../../toolchain/versions";
import { makeCaddy } from "./caddy";
import { makeDebian } from "./debian";
import { type Engine, STAND_IN } from "./docker";
import { makeNode } from "./node";
import { makePython } from "./python";

export type PullFailure = "unreachable" | "timed out" | "refused";

/** Classifies a failed `docker pull`. Only an unreachable registry requires stand-ins. */
export function pullFailure(said: string): PullFailure {
  if (/no such host|server misbehaving|name resolution|network is unreachable|no route to host/i.test(said)) {
    return "unreachable";
  }
  if (/timeout|timed out|deadline exceeded/i.test(said)) return "timed out";
  if (/connection refused|connection reset|x509|certificate|EOF$/im.test(said)) return "unreachable";
  return "refused";
}

/** The base images that the engine lacks. */
export async function missingImages(engine: Engine): Promise<BaseImage[]> {
  const answers = await Promise.all(
    baseImages.map((image) => tryRun(engine.docker, ["image", "inspect", "--format", "{{.Id}}", image])),
  );
  return baseImages.filter((_, i) => !answers[i]?.ok);
}

/**
 * Pulls the base images if the registry answers. Otherwise creates them under the same names. `caddyBinary` provides
 * the binary for the edge once it is built.
 */
export async function bringImages(
  at: Paths,
  engine: Engine,
  missing: readonly BaseImage[],
  caddyBinary: () => Promise<string>,
  note: (text: string) => void,
): Promise<void> {
  const unreachable = await pullAll(engine, missing, note);
  if (unreachable.length === 0) return;
  const made = (image: BaseImage) => unreachable.includes(image);
  // The other images are made from this one. An existing one on the engine also works.
  note("debian:bookworm-slim by debootstrap");
  if (made("debian:bookworm-slim")) await makeDebian(at, engine);
  const rest: Promise<void>[] = [];
  note(`stand-ins of ${unreachable.join(", ")}`);
  if (made("node:24-bookworm-slim")) rest.push(makeNode(at, engine));
  if (made("python:3.11-slim-bookworm")) rest.push(makePython(engine));
  if (made("caddy:2.11")) rest.push(caddyBinary().then((binary) => makeCaddy(at, engine, binary)));
  const failed = (await Promise.allSettled(rest)).find((result) => result.status === "rejected");
  if (failed) throw failed.reason;
  note(`made here as stand-ins: ${unreachable.join(", ")}`);
}

/** Pulls what is missing. Returns the images whose registry is unreachable. */
async function pullAll(
  engine: Engine,
  missing: readonly BaseImage[],
  note: (text: string) => void,
): Promise<BaseImage[]> {
  if (process.env.WATCH_PARTY_OFFLINE) return [...missing];
  for (const [i, image] of missing.entries()) {
    note(`pulling ${image}`);
    const failure = await pull(engine, image);
    if (failure === undefined) continue;
    const kind = pullFailure(failure);
    // All images come from the same registry. If it is unreachable for one, skip the rest.
    if (kind !== "refused") return missing.slice(i);
    throw new ToolchainError(
      `docker pull ${image} was refused`,
      "Read what the registry says; `docker login` raises Docker Hub's limits.",
      1,
      tail(failure, 5),
    );
  }
  note(`pulled ${missing.join(", ")}`);
  return [];
}

/** Returns the client's output if the pull failed. Retries once after a timeout. */
async function pull(engine: Engine, image: string): Promise<string | undefined> {
  for (let attempt = 1; ; attempt++) {
    const result = await tryRun(engine.docker, ["pull", "--quiet", image], { timeout: 600_000 });
    if (result.ok) return undefined;
    const said = result.timedOut ? "timed out" : result.stderr;
    if (attempt === 2 || pullFailure(said) !== "timed out") return said;
  }
}

/** The base images that are stand-ins, for the report. */
export async function standInImages(
  engine: Engine,
): Promise<Record<string, "missing" | "stand-in" | "official">> {
  const entries = baseImages.map(async (image) => {
    const label = `{{index .Config.Labels "${STAND_IN}"}}`;
    const answer = await tryRun(engine.docker, ["image", "inspect", "--format", label, image]);
    const kind = !answer.ok ? "missing" : answer.stdout.trim() === "true" ? "stand-in" : "official";
    return [image, kind] as const;
  });
  return Object.fromEntries(await Promise.all(entries));
}
