import { examine } from "../../packages/doctor/examine";
import { repositoryOf } from "./repositories";

/** A small repository: path → lines. */
export type Lines = Readonly<Record<string, readonly string[]>>;

/** A Node app whose image holds its sources and nothing else; a case adds what deploys it. */
export const NODE_APP: Lines = {
  Dockerfile: ["FROM node:24", "WORKDIR /app", "COPY src ./src", "CMD node src/a.js"],
  "src/a.js": ["x"],
  ".dockerignore": ["**/node_modules", ".git"],
};

/** The beginning of a workflow whose one job deploys at each push; its steps follow. */
export const DEPLOY_JOB = ["on: push", "jobs:", "  deploy:", "    runs-on: ubuntu-latest", "    steps:"];

/** What doctor reports above a note: `path:line severity rule`. */
export function risksIn(files: Lines): string[] {
  const texts = Object.fromEntries(
    Object.entries(files).map(([path, lines]) => [path, `${lines.join("\n")}\n`]),
  );
  return examine(repositoryOf(texts))
    .filter(({ severity }) => severity !== "note")
    .map(({ path, line, severity, rule }) => `${path}:${line} ${severity} ${rule}`);
}
