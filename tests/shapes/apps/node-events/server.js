import { readFileSync } from "node:fs";
import { createServer } from "node:http";

const commit = readFileSync("/app/COMMIT", "utf8");
createServer((request, response) => {
  if (request.url === "/version")
    return response.setHeader("content-type", "application/json").end(JSON.stringify({ commit }));
  if (request.url !== "/events")
    return response
      .setHeader("content-type", "text/html")
      .end('<p>a stream of events</p><script>new EventSource("events")</script>');
  response.setHeader("content-type", "text/event-stream");
  const beat = setInterval(() => response.write(`data: ${Date.now()}\n\n`), 1000);
  request.on("close", () => clearInterval(beat));
}).listen(3000);
