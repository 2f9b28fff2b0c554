import { broken, type Verdict } from "../freshness/chain";

/** The verdict on a proof that takes too long. */
export function unended(
  link: "served" | "browser",
  service: string,
  evidence: string,
  seconds: number,
): Verdict {
  return broken({
    link,
    service,
    wrong: `${evidence} cannot be proven in time`,
    expected: `all answers within ${seconds} s`,
    found: "some answers are missing",
    evidence,
    remedy: "See which of the service's paths answer slowly or without end, then deploy again.",
  });
}
