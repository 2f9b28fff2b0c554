import { describe, expect, it } from "@jest/globals";
import { commandLine, NAMESPACE, stackId } from "../../freshness/project";

describe("a clone of this repository", () => {
  it("names its commands as npm scripts, quiet where npm's own lines would disturb", () => {
    expect(commandLine("up")).toBe("npm run up");
    expect(commandLine("up --stack prod --adopt")).toBe("npm run up -- --stack prod --adopt");
    expect(commandLine("unlock --stack prod")).toBe("npm run -s unlock -- --stack prod");
  });

  it("keeps its namespace, and its stacks' labels are their names", () => {
    expect([NAMESPACE, stackId("prod")]).toEqual(["watch-party", "prod"]);
  });
});
