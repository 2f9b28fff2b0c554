const { readFileSync } = require("node:fs");
const express = require("express");

const commit = readFileSync("/app/COMMIT", "utf8");
const router = express.Router();
router.get("/", (_request, response) => response.send("hello from a subpath"));
router.get("/health", (_request, response) => response.sendStatus(204));
router.get("/version", (_request, response) => response.json({ commit }));
express()
  .use("/subpath", router)
  .listen(process.env.PORT ?? 3000);
