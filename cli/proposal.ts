import type { DeployConfig } from "../config/types";
import { isBroken } from "../freshness/chain";
import { commitsBetween } from "../source/between";
import { readContents } from "../source/buildInputs";
import { judgeBuilds } from "../source/builds";
import { resolveCheckout } from "../source/checkout";
import type { Proposal } from "./markdown";
import { operate } from "./operate";
import { ensureStack } from "./project";
import { readRecordIfAny } from "./state";

/**
 * Determines what a deploy would change. Broken links of the commit's own files are reported for all services at once,
 * without Pulumi, which would report only the first.
 */
export async function propose(stack: string, config: DeployConfig): Promise<Proposal> {
  const checkout = await resolveCheckout(config);
  const contents = await readContents(checkout, config.services, config.filters);
  const findings = judgeBuilds(config, checkout, contents).filter(isBroken);
  const record = await readRecordIfAny(stack);
  const running = record?.current;
  const commits = running && (await commitsBetween(checkout.root, running.commit, checkout.identity));
  const known = { stack, proposed: checkout.identity, running, commits, findings };
  if (findings.length > 0) return { ...known, changes: [], errors: [] };

  // Creating a stack writes to the backend, which a preview of an existing one may not be allowed to do.
  if (record === undefined) await ensureStack(stack);
  const { status, errors, changes } = await operate(stack, ["preview"], "stderr");
  const unsaid = status !== 0 && errors.length === 0 ? ["the preview failed; see the log"] : [];
  return { ...known, changes, errors: [...errors, ...unsaid] };
}
