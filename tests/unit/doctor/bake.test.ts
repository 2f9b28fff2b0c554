import { describe, expect, it } from "@jest/globals";
import { type Lines, NODE_APP, risksIn } from "../../support/doctorCases";

describe("packages/doctor/bake.ts", () => {
  it.each<[string, Lines]>([
    [
      "bake print/cacheonly",
      {
        ...NODE_APP,
        "docker-bake.hcl": [
          'target "test" {',
          '  output = ["type=cacheonly"]',
          '  cache-from = ["type=gha"]',
          "}",
        ],
      },
    ],
  ])("is silent about: %s", (_, files) => {
    expect(risksIn(files)).toEqual([]);
  });
});
