import { describe, expect, it } from "@jest/globals";
import { type Lines, NODE_APP, risksIn } from "../../support/doctorCases";

describe("packages/doctor/hosting.ts", () => {
  it.each<[string, Lines, string[]]>([
    [
      "build swallowed then up",
      {
        ...NODE_APP,
        "compose.yaml": ["services:", "  web:", "    build: ."],
        "deploy.sh": [
          "#!/bin/bash",
          "set -euo pipefail",
          "git pull",
          "docker compose build || true",
          "docker compose up -d",
        ],
      },
      ["deploy.sh:4 error build-failure-swallowed"],
    ],
    [
      "netlify.toml",
      {
        ...NODE_APP,
        "netlify.toml": [
          "[[headers]]",
          '  for = "/*"',
          "  [headers.values]",
          '    Cache-Control = "public, max-age=86400"',
        ],
      },
      ["netlify.toml:4 error pages-cached"],
    ],
    [
      "firebase",
      {
        ...NODE_APP,
        "firebase.json": [
          '{"hosting":{"headers":[{"source":"**","headers":[{"key":"Cache-Control","value":"max-age=86400"}]}]}}',
        ],
      },
      ["firebase.json:1 error pages-cached"],
    ],
    [
      "swa",
      {
        ...NODE_APP,
        "staticwebapp.config.json": ['{"globalHeaders":{"Cache-Control":"public, max-age=86400"}}'],
      },
      ["staticwebapp.config.json:1 error pages-cached"],
    ],
    [
      "serve.json",
      {
        ...NODE_APP,
        "serve.json": [
          '{"headers":[{"source":"**/*","headers":[{"key":"Cache-Control","value":"max-age=3600"}]}]}',
        ],
      },
      ["serve.json:1 error pages-cached"],
    ],
    [
      "apache expires default",
      {
        ...NODE_APP,
        "apache.conf": [
          "<VirtualHost *:80>",
          "ExpiresActive On",
          'ExpiresDefault "access plus 1 month"',
          "</VirtualHost>",
        ],
      },
      ["apache.conf:3 error pages-cached"],
    ],
    [
      "htaccess html",
      {
        ...NODE_APP,
        ".htaccess": ["ExpiresActive On", 'ExpiresByType text/html "access plus 1 week"'],
      },
      [".htaccess:2 error pages-cached"],
    ],
    [
      "settings in JSON with comments",
      {
        "firebase.json": [
          "{",
          "  // the site",
          '  "hosting": {',
          '    /* pages too */ "headers": [',
          '      { "source": "/**", "headers": [{ "key": "Cache-Control", "value": "max-age=86400" }] }, // a day',
          "    ],",
          "  },",
          "}",
        ],
      },
      ["firebase.json:5 error pages-cached"],
    ],
  ])("reports: %s", (_, files, expected) => {
    expect(risksIn(files)).toEqual(expected);
  });

  it.each<[string, Lines]>([
    [
      "vercel assets",
      {
        ...NODE_APP,
        "vercel.json": [
          '{"headers":[{"source":"/assets/(.*)","headers":[{"key":"Cache-Control","value":"public, max-age=31536000, immutable"}]},{"source":"/(.*).js","headers":[{"key":"Cache-Control","value":"max-age=86400"}]}]}',
        ],
      },
    ],
    [
      "vercel fonts ext",
      {
        ...NODE_APP,
        "vercel.json": [
          '{"headers":[{"source":"/(.*)\\\\.(woff2|png|svg)","headers":[{"key":"Cache-Control","value":"public, max-age=31536000"}]}]}',
        ],
      },
    ],
    [
      "firebase assets",
      {
        ...NODE_APP,
        "firebase.json": [
          '{"hosting":{"public":"dist","headers":[{"source":"**/*.@(js|css)","headers":[{"key":"Cache-Control","value":"max-age=31536000"}]}]}}',
        ],
      },
    ],
  ])("is silent about: %s", (_, files) => {
    expect(risksIn(files)).toEqual([]);
  });
});
