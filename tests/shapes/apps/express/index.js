const { readFileSync } = require("node:fs");
const express = require("express");

const app = express();
const commit = readFileSync("/app/COMMIT", "utf8");
app.get("/", (_request, response) => response.send("<p>hello from Express</p>"));
app.get("/version", (_request, response) => response.json({ commit }));
app.listen(3000);
