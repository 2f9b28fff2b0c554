import { describe, expect, it } from "@jest/globals";
import { LINKS } from "../../freshness/chain";
import { MOMENTS, PROOFS } from "../../proof/proofs";

describe("the list of proofs", () => {
  it("has the links of a running release; the others are proven before it runs", () => {
    const links = new Set(PROOFS.map(({ link }) => link));
    expect(LINKS.filter((link) => !links.has(link))).toEqual(["commit", "dockerfile", "cache", "bytes"]);
  });

  it("has a proof for each moment, and no proof that verify would leave out", () => {
    expect(new Set(PROOFS.map(({ at }) => at))).toEqual(new Set(MOMENTS));
  });
});
