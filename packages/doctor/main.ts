import { doctor } from "./command";
import { version } from "./package.json";

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
