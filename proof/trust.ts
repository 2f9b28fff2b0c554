import { getCACertificates, setDefaultCACertificates } from "node:tls";
import type { DockerEngine } from "../engine/docker";
import { ROOT_CERTIFICATE } from "../engine/edgeNames";
import { EngineError } from "../engine/problems";
import { readSites } from "../engine/sites";
import { FRONT } from "../freshness/served/front";
import type { Deployment } from "./deployment";
import { reachSites } from "./sites";

/** Maximum time for Caddy to create its authority, which it does on first use. */
const PATIENCE_MS = 30_000;

/** The container whose authority signs: the edge, or the front that it is behind. */
async function signerOf(engine: DockerEngine, { edge, behind }: Deployment): Promise<string> {
  const found = behind === undefined ? [] : await readSites(engine, behind);
  return found.find(({ names }) => names.includes(FRONT))?.id ?? edge;
}

/**
 * Makes this process reach all names of the edge, and trust the edge's own authority, read from the edge, in addition to the
 * default ones.
 *
 * @param waits whether the edge's configuration asks for an authority
 */
export async function trustEdge(
  engine: DockerEngine,
  deployment: Deployment,
  { waits }: { waits: boolean },
): Promise<void> {
  const { tls } = deployment;
  reachSites(deployment);
  if (tls !== "internal") return;
  const edge = await signerOf(engine, deployment);
  for (const deadline = Date.now() + PATIENCE_MS; ; ) {
    const root = await readRoot(engine, edge);
    if (root !== undefined) return setDefaultCACertificates([...getCACertificates("default"), root]);
    if (!waits) return;
    if (Date.now() > deadline)
      throw new EngineError(
        `the edge has not created its own certificate authority (${ROOT_CERTIFICATE}); see its log`,
      );
    await new Promise((resume) => setTimeout(resume, 100));
  }
}

/** The edge's own certificate; undefined if Caddy has not created it yet, or if the edge does not run. */
async function readRoot(engine: DockerEngine, edge: string): Promise<string | undefined> {
  try {
    return await engine.docker(["exec", edge, "cat", ROOT_CERTIFICATE]);
  } catch (cause) {
    if (cause instanceof EngineError) return undefined;
    throw cause;
  }
}
