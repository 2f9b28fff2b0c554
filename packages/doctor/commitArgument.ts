import { COMMIT_ARG } from "../../freshness/dockerfile/finding";
import { textBefore } from "../../freshness/sure";

/** Names under which repositories pass their commit, or another value that differs for each build. */
const NAMES =
  /(^|_)(COMMIT|SHA|GITSHA|REVISION|VCS_REF|GIT_(REF|HASH|REV|TAG)|BUILD_(ID|NUMBER|SHA|REF|HASH|REV|TIME|DATE|TIMESTAMP)|SOURCE_VERSION|CACHE_?(BUST|BUSTER|DATE|BREAKER))(_|$)/i;
/** Values that differ for each commit or each build. */
const VALUES =
  /github\.(sha|run_id|run_number)|GITHUB_(SHA|RUN_ID)|head\.sha|CI_COMMIT_(SHORT_)?SHA|rev-parse|git describe|git log|git-commit|CIRCLE_SHA1|SOURCEVERSION|BUILD_SOURCEVERSION|BITBUCKET_COMMIT|DRONE_COMMIT|CI_PIPELINE|GIT_(COMMIT|SHA|HASH|REV)|SOURCE_COMMIT|COMMIT_(SHA|HASH|ID)|\bdate\b|EPOCH|RANDOM|outputs\.(version|revision|sha|commit)|KAMAL_VERSION|COMMIT/i;

/** Whether a build argument passes the commit: `NAME=value`, or a name whose value comes from outside. */
export function isCommitGiven(argument: string): boolean {
  const at = argument.indexOf("=");
  const name = at < 0 ? argument : argument.slice(0, at);
  const value = at < 0 ? undefined : argument.slice(at + 1);
  if (name.trim() === COMMIT_ARG || NAMES.test(name.trim())) return !isConstant(value);
  return value !== undefined && VALUES.test(value);
}

/** Whether a value is a literal, and therefore the same for each commit. */
function isConstant(value: string | undefined): boolean {
  return value !== undefined && !/[$`{<(]/.test(value);
}

/** Renames the commit argument of a Dockerfile to the name that the rules use. Line numbers do not change. */
export function withCommitNamed(dockerfile: string, given: readonly string[]): string {
  const declared = [...dockerfile.matchAll(/^[ \t]*ARG[ \t]+([A-Za-z_]\w*)/gim)].map(([, name = ""]) => name);
  const names = declared.filter((name) => name !== COMMIT_ARG && (NAMES.test(name) || given.includes(name)));
  if (names.length === 0) return dockerfile;
  return dockerfile.replace(new RegExp(`\\b(${[...new Set(names)].join("|")})\\b`, "g"), COMMIT_ARG);
}

/** The names of arguments that receive the commit. */
export function commitNames(given: readonly string[]): string[] {
  return given.filter(isCommitGiven).map((argument) => textBefore(argument, "=").trim());
}
