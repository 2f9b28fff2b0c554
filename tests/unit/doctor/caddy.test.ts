import { describe, expect, it } from "@jest/globals";
import { type Lines, NODE_APP, risksIn } from "../../support/doctorCases";

describe("packages/doctor/caddy.ts", () => {
  it.each<[string, Lines, string[]]>([
    [
      "caddy header",
      {
        ...NODE_APP,
        Caddyfile: [
          "example.com {",
          "  root * /srv",
          "  header Cache-Control max-age=86400",
          "  file_server",
          "}",
        ],
      },
      ["Caddyfile:3 error pages-cached"],
    ],
  ])("reports: %s", (_, files, expected) => {
    expect(risksIn(files)).toEqual(expected);
  });
});
