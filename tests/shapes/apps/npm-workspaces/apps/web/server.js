const { readFileSync } = require("node:fs");
const Koa = require("koa");
const { greeting } = require("greeting");

const commit = readFileSync("/app/COMMIT", "utf8");
new Koa()
  .use((context) => {
    context.body = context.path === "/version" ? { commit } : greeting;
  })
  .listen(3000);
