import { readFileSync } from "node:fs";
import { serve } from "@hono/node-server";
import { Hono } from "hono";
import { text } from "text";

const commit = readFileSync("/app/COMMIT", "utf8").trim();
const app = new Hono();
app.get("/", (context) => context.text(text));
app.get("/version", (context) => context.json({ commit }));
serve({ fetch: app.fetch, port: 3000 });
