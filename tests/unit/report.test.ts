import { describe, expect, it } from "@jest/globals";
import { page } from "../../cli/report/page";
import { broken } from "../../freshness/chain";
import { goodReport } from "../support/report";

describe("the report's page", () => {
  it("says that all proofs hold, service by service", () => {
    const text = page(goodReport());
    expect(text).toContain(
      '<p class="banner proven" role="status"><strong>All 4 proofs hold, 1 were not made.</strong>',
    );
    expect(text.match(/<h2 id="chain-/g)).toHaveLength(2);
    // What is proven of every service stands with each.
    expect(text.match(/<th scope="row">cache<\/th>/g)).toHaveLength(2);
    expect(text).not.toContain('class="broken"');
  });

  it("opens what is broken, with the remedy", () => {
    const report = goodReport();
    const link = broken({
      ...{
        link: "served",
        service: "backend",
        expected: "commit a",
        found: "commit b",
        evidence: "/version",
      },
      ...{ wrong: "an old server answers", remedy: "Stop it." },
    });
    const { certificate } = report;
    const text = page({ ...report, certificate: { ...certificate, links: [...certificate.links, link] } });
    expect(text).toContain(
      '<p class="banner broken" role="status"><strong>1 of 6 proofs are broken.</strong>',
    );
    expect(text).toContain("<details open><summary>commit b</summary>");
    expect(text).toContain("<dt>remedy</dt><dd>Stop it.</dd>");
  });

  it("says if the proofs are the last deploy's, and why", () => {
    const { disk: _, free: __, ...report } = goodReport();
    const text = page({ ...report, isLive: false, problem: "Now: the engine does not answer" });
    expect(text).toContain("As the last deploy proved it. Now: the engine does not answer");
    expect(text).toContain("<p>The engine did not answer.</p>");
  });

  it("escapes all text, and loads nothing from the network", () => {
    const report = goodReport();
    const [first, ...others] = report.releases;
    const text = page({
      ...report,
      releases: [{ ...first!, by: '<img src="x" onerror="alert(1)">&' }, ...others],
    });
    expect(text).toContain("&lt;img src=&quot;x&quot; onerror=&quot;alert(1)&quot;&gt;&amp;");
    expect(text).not.toMatch(/<(script|img|iframe)| src="|@import|url\(/);
  });
});
