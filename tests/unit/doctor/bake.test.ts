import { describe, expect, it } from "@jest/globals";
import { type Lines, risksIn } from "../../support/doctorCases";

describe("packages/doctor/bake.ts", () => {
  it.each<[string, Lines]>([
    [
      "bake print/cacheonly",
      {
        Dockerfile: ["FROM node:24", "WORKDIR /app", "COPY src ./src", "CMD node src/a.js"],
        "src/a.js": ["x"],
        ".dockerignore": ["**/node_modules", ".git"],
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
