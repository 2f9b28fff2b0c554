import { withCode } from "../engine/errorCodes";
import { commandLine } from "../freshness/project";
import { baseCommit, type Checkout, shortIdentity } from "./checkout";
import { isWithin } from "./git";

/** A newer commit is already deployed. */
class SupersededError extends Error {
  override readonly name = "SupersededError";
}

/**
 * Refuses a commit that is older than the deployed one: of two deploys that overlap, the later one must not bring back
 * the older commit.
 *
 * @param running the deployed commit and its time, ISO 8601
 * @throws SupersededError if the checkout's commit is an ancestor of the deployed one
 */
export async function assertForward(
  { root, commit }: Pick<Checkout, "root" | "commit">,
  running: { readonly commit: string; readonly time: string },
): Promise<void> {
  const newer = baseCommit(running.commit);
  if (newer === commit || !(await isWithin(root, commit, newer))) return;
  const [asked, there] = [shortIdentity(commit), shortIdentity(running.commit)];
  throw new SupersededError(
    withCode(
      "superseded",
      `${asked} is older than ${there}, which runs since ${running.time}; nothing was changed. ` +
        `To go back run "${commandLine("rollback")}", or deploy it with --allow-older (WATCH_PARTY_ALLOW_OLDER=1)`,
    ),
  );
}
