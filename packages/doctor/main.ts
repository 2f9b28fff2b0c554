import { readFileSync } from "node:fs";
import { join } from "node:path";
import { doctor } from "./command";

const { version } = JSON.parse(readFileSync(join(__dirname, "..", "package.json"), "utf8")) as {
  version: string;
};

doctor(process.argv.slice(2), {
  version,
  description: "Lists what in a repository can serve stale code. Without a path: checks the current folder.",
}).then(
  (status) => {
    process.exitCode = status;
  },
  (cause: Error) => {
    process.stderr.write(`error: ${cause.message}\n`);
    process.exitCode = 1;
  },
);
