import * as pulumi from "@pulumi/pulumi";
import type { DeployConfig } from "../config/types";
import type { Certificate } from "../freshness/chain";
import { baseCommit, type Checkout, shortIdentity } from "../source/checkout";
import { isWithin } from "../source/git";
import { readDeploy } from "./lastDeploy";
import type { ReleaseRecord } from "./record";
import { buildOf } from "./settings";

/**
 * Returns the running release of another stack, to run in this stack without a build.
 * @param from the other stack
 * @throws RunError if its certificate is broken, it is older than the requested commit, or it was built with different
 * settings
 */
export async function promotedRelease(
  from: string,
  config: DeployConfig,
  { root, commit }: Pick<Checkout, "root" | "commit">,
): Promise<ReleaseRecord> {
  const { record, freshness } = await readDeploy("promoted-from", from);
  const release = record?.current;
  if (release === undefined) throw new pulumi.RunError(`stack ${from} has no deployment that succeeded`);
  const links = (freshness as Certificate | undefined)?.links ?? [];
  const broken = links.find(({ status }) => status === "broken");
  if (broken || links.length === 0)
    throw new pulumi.RunError(
      `the certificate of stack ${from} is ${broken ? `broken at ${broken.link} of ${broken.service}` : "missing"}; deploy it again`,
    );
  const [there, asked] = [shortIdentity(release.commit), shortIdentity(commit)];
  if (!(await isWithin(root, commit, baseCommit(release.commit))))
    throw new pulumi.RunError(
      `stack ${from} runs ${there}, which is older than ${asked} or beside it; deploy ${asked} there first`,
    );
  const differences = buildDifferences(release.made, buildOf(config, release.commit));
  if (differences.length > 0)
    throw new pulumi.RunError(
      `the images of stack ${from} were built otherwise than this stack would build them: ${differences.join("; ")}`,
    );
  return { ...release, from };
}

/**
 * Lists the settings in which two builds of a commit differ. Names only, because a build argument may be confidential.
 */
export function buildDifferences(there: ReleaseRecord["made"], here: ReleaseRecord["made"]): string[] {
  const differences: string[] = [];
  for (const key of ["platform", "rebuild"] as const)
    if (there[key] !== here[key]) differences.push(`${key} is "${there[key]}" there, "${here[key]}" here`);
  const [filtersThere, filtersHere] = [there, here].map(({ filters = "refuse" }) => filters);
  if (filtersThere !== filtersHere)
    differences.push(`filters is "${filtersThere}" there, "${filtersHere}" here`);
  const names = new Set([...Object.keys(there.services), ...Object.keys(here.services)]);
  for (const name of names) {
    const [one, other] = [there.services[name], here.services[name]];
    if (!one || !other) {
      differences.push(`service ${name} is ${one ? "there" : "here"} alone`);
      continue;
    }
    for (const key of ["context", "dockerfile", "target"] as const)
      if (one[key] !== other[key])
        differences.push(`${key} of ${name} is "${one[key] ?? ""}" there, "${other[key] ?? ""}" here`);
    const args = new Set([...Object.keys(one.args), ...Object.keys(other.args)]);
    for (const arg of [...args].sort())
      if (one.args[arg] !== other.args[arg])
        differences.push(`build arg ${arg} of ${name} ${difference(one.args[arg], other.args[arg])}`);
  }
  return differences;
}

function difference(there: string | undefined, here: string | undefined): string {
  if (there === undefined) return "is set here alone";
  return here === undefined ? "is set there alone" : "has another value";
}
