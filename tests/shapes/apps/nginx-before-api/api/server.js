const { readFileSync } = require("node:fs");

const commit = readFileSync("/app/COMMIT", "utf8");
require("node:http")
  .createServer((request, response) => {
    response.setHeader("content-type", "application/json");
    response.end(JSON.stringify(request.url === "/version" ? { commit } : { text: "hello from the API" }));
  })
  .listen(3000);
