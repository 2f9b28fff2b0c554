import { shipImages } from "../engine/ship";
import { assertUnbroken } from "../freshness/chain";
import { proveDeployment } from "../proof/proofs";
import { shortIdentity } from "../source/checkout";
import { reachEngine } from "./server";
import { readRecord, readSecretConfig } from "./state";

/**
 * Proves another stack's running release again, and copies its images to this stack's engine if missing: from engine to
 * engine through this machine.
 *
 * @param from the stack to prove
 * @param to the stack to deploy next
 * @throws FreshnessError of the first broken link of the other stack
 */
export async function bringRelease(from: string, to: string): Promise<void> {
  const [there, here] = await Promise.all([readSecretConfig(from), readSecretConfig(to)]);
  const record = await readRecord(from);
  const [source, target] = await Promise.all([reachEngine(there), reachEngine(here)]);
  assertUnbroken(await proveDeployment(source, { ...record.deployment, url: there.publicUrl }));
  const { commit, images } = record.current;
  process.stderr.write(`${from} serves ${shortIdentity(commit)}, proven again\n`);
  const digests = Object.values(images).map(({ digest }) => digest);
  const sizes = await target.imageSizes(digests);
  const missing = digests.filter((_, at) => sizes[at] === 0);
  if (missing.length === 0) return;
  process.stderr.write(`bringing ${missing.length === 1 ? "1 image" : `${missing.length} images`} …\n`);
  await shipImages(source, target, missing);
}
