import { describe, expect, it } from "@jest/globals";
import { type Lines, NODE_APP, risksIn } from "../../support/doctorCases";

describe("packages/doctor/nginx.ts", () => {
  it.each<[string, Lines]>([
    [
      "nginx assets",
      {
        ...NODE_APP,
        "nginx.conf": [
          "server {",
          "  listen 80;",
          "  root /usr/share/nginx/html;",
          "  location / { try_files $uri /index.html; add_header Cache-Control no-cache; }",
          '  location /assets/ { expires 1y; add_header Cache-Control "public, immutable"; }',
          "  location ~* \\.(js|css|png|woff2?)$ { expires 30d; }",
          "  location = /sw.js { add_header Cache-Control no-cache; }",
          "}",
        ],
      },
    ],
  ])("is silent about: %s", (_, files) => {
    expect(risksIn(files)).toEqual([]);
  });
});
