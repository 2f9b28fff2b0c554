const { readFileSync } = require("node:fs");
const { createServer } = require("node:http");
const { connect } = require("node:net");

const commit = readFileSync("/app/COMMIT", "utf8");
createServer((request, response) => {
  if (request.url === "/version")
    return response.setHeader("content-type", "application/json").end(JSON.stringify({ commit }));
  connect(6379, "cache")
    .on("connect", function () {
      this.write("PING\r\n");
    })
    .on("data", function (answer) {
      this.end();
      response.end(answer);
    })
    .on("error", (error) => {
      response.statusCode = 503;
      response.end(error.message);
    });
}).listen(3000);
