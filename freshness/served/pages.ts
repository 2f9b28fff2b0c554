import { textOfPage } from "../browser/html";
import { type Break, broken, type Verdict } from "../chain";
import { cachedBy } from "../served";
import type { Answer } from "./answer";

/** Minimum length of an abbreviated commit, as in git. Fewer digits may be a number. */
const FEWEST_DIGITS = 7;
/** Maximum length of an abbreviated commit that an app shows. A longer one is the full commit. */
const MOST_SHORT_DIGITS = 12;

/** Escape sequences in a script or URL. Without their removal they would join the digits after them. */
const ESCAPES = /\\u[0-9a-f]{4}|\\x[0-9a-f]{2}|%[0-9a-f]{2}|\\[nrt]/gi;
/** A full or abbreviated commit that is not part of a longer word, with the suffix for uncommitted changes. */
const IDENTITY = /(?<![0-9A-Za-z])[0-9a-f]{7,64}(?:-dirty-[0-9a-f]+)?(?![0-9A-Za-z])/g;

/**
 * Whether a page names the commit, in full or by at least its first seven digits. The suffix for uncommitted changes
 * must be present too: the digits alone name the commit without those changes.
 */
export function namesCommit(page: string, commit: string): boolean {
  const [digits = "", uncommitted] = commit.split("-dirty-");
  return identitiesIn(page).some((found) => {
    const [start = "", rest] = found.split("-dirty-");
    return digits.startsWith(start) && rest === uncommitted;
  });
}

function identitiesIn(page: string): string[] {
  return page.replace(ESCAPES, " ").match(IDENTITY) ?? [];
}

/** Judges the pages of a service that must name the commit, each by all its answers. */
export function pagesVerdict(service: string, commit: string, answers: readonly Answer[]): Verdict | Break {
  const urls = [...new Set(answers.map(({ url }) => url))];
  const expected = `commit ${commit} named by ${urls.join(", ")}`;
  const [first] = answers.flatMap((answer) => {
    const wrong = problem(answer, commit);
    return wrong ? [{ answer, wrong }] : [];
  });
  if (!first) {
    const evidence = `${answers.length} answers`;
    return { link: "served", service, status: "proven", expected, found: expected, evidence };
  }
  const {
    answer: { url, address },
    wrong: [what, found],
  } = first;
  const place = address === "" ? url : `${url} at ${address}`;
  return broken({
    link: "served",
    service,
    evidence: place,
    wrong: `${place} ${what}`,
    found,
    expected: `commit ${commit}, whole or its first ${FEWEST_DIGITS} digits or more`,
    remedy:
      "Show the text of the commit file on that page (or take it out of the service's pages); " +
      "if it does, see what between the service and that address keeps the page. Then deploy again.",
  });
}

function problem(answer: Answer, commit: string): [what: string, found: string] | undefined {
  if (answer.status === 0) return ["does not answer", `no answer (${answer.error})`];
  if (answer.status !== 200) {
    const to = answer.headers.location;
    return ["does not answer with a page", `status ${answer.status}${to ? `, a redirect to ${to}` : ""}`];
  }
  if (namesCommit(answer.body, commit)) return undefined;
  const cache = cachedBy(answer.headers);
  const from = cache === undefined ? "" : `, from a cache (${cache})`;
  const other = otherCommit(answer.body);
  return other
    ? ["names another commit", `commit ${other}${from}`]
    : ["does not name the commit", `a page without a commit${from}`];
}

/** Finds a full commit anywhere, or an abbreviated one in visible text. Names of assets look like abbreviated commits. */
function otherCommit(page: string): string | undefined {
  const whole = identitiesIn(page).find((each) => each.length >= 40);
  const shown = textOfPage(page);
  return whole ?? identitiesIn(shown).find((each) => each.length <= MOST_SHORT_DIGITS || each.includes("-"));
}
