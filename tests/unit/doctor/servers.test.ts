import { describe, expect, it } from "@jest/globals";
import { type Lines, NODE_APP, risksIn } from "../../support/doctorCases";

describe("packages/doctor/servers.ts", () => {
  it.each<[string, Lines, string[]]>([
    [
      "fastify-static",
      {
        ...NODE_APP,
        "server.ts": ["app.register(fastifyStatic, { root: path.join(__dirname, 'dist'), maxAge: '30d' });"],
      },
      ["server.ts:1 error pages-cached"],
    ],
    [
      "koa-static",
      {
        ...NODE_APP,
        "server.js": [
          "app.use(serve('dist', { maxage: 86400000 }));",
          "const serve = require('koa-static');",
        ],
      },
      ["server.js:1 error pages-cached"],
    ],
    [
      "express res.set",
      {
        ...NODE_APP,
        "server.js": [
          "app.get('*', (req, res) => { res.set('Cache-Control', 'public, max-age=86400'); res.sendFile(path.join(__dirname, 'dist/index.html')); });",
        ],
      },
      ["server.js:1 error pages-cached"],
    ],
  ])("reports: %s", (_, files, expected) => {
    expect(risksIn(files)).toEqual(expected);
  });

  it.each<[string, Lines]>([
    [
      "express static html nocache",
      {
        ...NODE_APP,
        "server.js": [
          "app.use(express.static('dist', { maxAge: '1y', setHeaders(res, p) { if (p.endsWith('.html')) res.setHeader('Cache-Control', 'no-cache'); } }));",
        ],
      },
    ],
    [
      "express static index false",
      {
        ...NODE_APP,
        "server.js": [
          "app.use(express.static('dist', { maxAge: '1y', index: false }));",
          "app.get('*', (q, r) => r.set('Cache-Control','no-cache').sendFile('index.html'));",
        ],
      },
    ],
    [
      "express static assets",
      {
        ...NODE_APP,
        "server.js": [
          "app.use('/assets', express.static('dist/assets', { maxAge: '1y', immutable: true }));",
          "app.use(express.static('dist'));",
        ],
      },
    ],
    [
      "express static path.join",
      {
        ...NODE_APP,
        "server.js": [
          "app.use('/static', express.static(path.join(__dirname, 'build', 'static'), { maxAge: 31536000000 }));",
          "app.use('/img', express.static(path.join(__dirname, 'img'), { maxAge: '7d' }));",
        ],
      },
    ],
  ])("is silent about: %s", (_, files) => {
    expect(risksIn(files)).toEqual([]);
  });
});
