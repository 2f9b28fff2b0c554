import { readFileSync } from "node:fs";
import fastify from "fastify";

const app = fastify();
const commit = readFileSync("/app/COMMIT", "utf8");
app.get("/", async (_request, reply) => reply.type("text/html").send("<p>hello from Fastify</p>"));
app.get("/healthz", async () => "ok");
app.get("/version", async () => ({ commit }));
app.listen({ host: "0.0.0.0", port: 3000 });
