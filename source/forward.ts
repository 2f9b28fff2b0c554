import { withCode } from "../engine/errorCodes";
import { baseCommit, type Checkout, shortIdentity } from "./checkout";
import { isWithin } from "./git";

/** Something newer runs already. */
class SupersededError extends Error {
  override readonly name = "SupersededError";
}

/**
 * Two deploys may overtake each other on their way: the one that comes last must not bring back what is older.
 *
 * @param running the commit that runs and since when, ISO 8601
 * @throws SupersededError where the checkout's commit is an ancestor of that one
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
        'To go back run "npm run rollback", or deploy it with --allow-older (WATCH_PARTY_ALLOW_OLDER=1)',
    ),
  );
}
