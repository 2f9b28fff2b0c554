import { describe, expect, it } from "@jest/globals";
import { type Lines, NODE_APP, risksIn } from "../../support/doctorCases";

describe("packages/doctor/next.ts", () => {
  it.each<[string, Lines]>([
    [
      "next assets header",
      {
        ...NODE_APP,
        "next.config.js": [
          "module.exports = { async headers() { return [{ source: '/_next/static/:path*', headers: [{ key: 'Cache-Control', value: 'public, max-age=31536000, immutable' }] }, { source: '/fonts/:path*', headers: [{ key: 'Cache-Control', value: 'max-age=31536000' }] }] } }",
        ],
      },
    ],
  ])("is silent about: %s", (_, files) => {
    expect(risksIn(files)).toEqual([]);
  });
});
