import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { WebSocketServer } from "ws";

const commit = readFileSync("/app/COMMIT", "utf8");
const page = readFileSync("public/index.html");
const server = createServer((request, response) => {
  if (request.url === "/version")
    response.setHeader("content-type", "application/json").end(JSON.stringify({ commit }));
  else response.setHeader("content-type", "text/html").end(page);
});
new WebSocketServer({ server }).on("connection", (socket) =>
  socket.on("message", (text) => socket.send(text)),
);
server.listen(3000);
process.on("SIGTERM", () => server.close(() => process.exit(0)));
