import { posix } from "node:path";
import { dependencyFindings } from "../../../freshness/dockerfile/dependencies";
import { parseDockerfile } from "../../../freshness/dockerfile/parse";
import { sideOf } from "../../../freshness/dockerfile/state";
import { expand } from "../../../freshness/dockerfile/words";
import { type Build, contextOf, stepsOf } from "../builds";
import type { Repository } from "../repository";

/** A value and its source. */
export interface Found<T> {
  readonly value: T;
  /** `file:line`. */
  readonly at: string;
}

/** What a Dockerfile says about its container. */
export interface ImageHints {
  readonly port?: Found<number>;
  readonly health?: Found<string>;
  /** The external image that its last stage is based on, directly or through other stages. */
  readonly base: string;
  /** How its program is started. */
  readonly command: string;
  /** Whether it starts without a command of the compose file: an entrypoint that is a script runs what it is given. */
  readonly startsItself: boolean;
  /** The variables that it sets. */
  readonly environment: ReadonlyMap<string, string>;
  /** The languages of its stages, as far as their images show. */
  readonly languages: readonly Language[];
}

export type Language = "node" | "python" | "go" | "ruby";

const LANGUAGES: readonly [RegExp, Language][] = [
  [/(^|\/)(node|bun|oven\/bun)([:@-]|$)/, "node"],
  [/(^|\/)(python|uv|poetry)([:@-]|$)/, "python"],
  [/(^|\/)(golang|go)([:@-]|$)/, "go"],
  [/(^|\/)ruby([:@-]|$)/, "ruby"],
];

/** Names of stages that are not deployed, and of those that are. */
const OTHER_STAGE = /^(dev|develop|development|test|tests|testing|lint|debug|ci|build|builder)$/;
const FINAL_STAGE = /^(prod|production|release|runtime|runner|final|deploy|server|serve)$/;

/** Reads the port, the health check and the command of a build from its Dockerfile. */
export function imageHints(repository: Repository, build: Build): ImageHints {
  const executed = stepsOf(repository, build);
  const last = executed.at(-1)?.stage;
  const own = executed.filter(({ stage }) => {
    for (let at = last; at; at = at.parent) if (at === stage) return true;
    return false;
  });
  const step = (keyword: string) => own.findLast((one) => one.step.keyword === keyword)?.step;
  const at = (line: number) => `${build.dockerfile}:${line}`;
  const environment = last ? sideOf(last.env, 0) : new Map<string, string>();
  const expose = step("EXPOSE");
  const command = [step("ENTRYPOINT"), step("CMD")]
    .flatMap((each) => (each ? [(each.json ?? [each.text]).join(" ")] : []))
    .join(" ");
  const started = step("CMD") ?? step("ENTRYPOINT");
  const given =
    /(?:--(?:port|http-port)[= ]|-p[= ]?|--bind[= ]\S*:|-b[= ]?\S*:|0\.0\.0\.0:|\s:)(\d{2,5})\b/.exec(
      expand(command, environment),
    );
  const variable = own.findLast(
    (one) => one.step.keyword === "ENV" && /(^|\s)PORT[= ]/.test(one.step.text),
  )?.step;
  const ports: (Found<number> | undefined)[] = [
    expose && { value: Number.parseInt(expand(expose.text, environment), 10), at: at(expose.line) },
    given && started ? { value: Number(given[1]), at: at(started.line) } : undefined,
    variable && { value: Number(environment.get("PORT")), at: at(variable.line) },
  ];
  const port = ports.find((one) => one !== undefined && one.value > 0 && one.value < 65536);
  const check = step("HEALTHCHECK");
  const path = check && healthPath(expand(check.text, environment));
  const health = check && path !== undefined ? { value: path, at: at(check.line) } : undefined;
  return {
    ...(port && { port }),
    ...(health && { health }),
    base: last?.image ?? "",
    command,
    startsItself: step("CMD") !== undefined || (command !== "" && !/\.sh$|entrypoint/.test(command)),
    environment: last ? sideOf(last.kept, 0) : new Map(),
    languages: LANGUAGES.filter(([pattern]) => executed.some(({ stage }) => pattern.test(stage.image))).map(
      ([, language]) => language,
    ),
  };
}

/** The path that a health check requests from its own container. */
export function healthPath(check: string): string | undefined {
  const found =
    /(?:https?:\/\/)?(?:localhost|127\.0\.0\.1|0\.0\.0\.0|\[::1\])(?::[\d${}A-Za-z_:-]+)?(\/[^\s"'|)?#{}]*)/.exec(
      check,
    )?.[1];
  // A variable that is known at run time only.
  if (found?.includes("$")) return undefined;
  // Without a path, the check requests the root.
  return found ?? (/https?:\/\/(?:localhost|127\.0\.0\.1|0\.0\.0\.0|\[::1\])/.test(check) ? "/" : undefined);
}

/**
 * The stage that installs dependencies only from manifests and lockfiles, so that its layers can be kept through the
 * prune.
 */
export function guessedDependencies(repository: Repository, build: Build): Found<string> | undefined {
  const { dockerfile: path, context, target, args } = build;
  const dockerfile = repository.texts.get(path) ?? "";
  const input = {
    service: path,
    path,
    dockerfile,
    args,
    commitFile: "/app/COMMIT",
    ...(target !== undefined && { target }),
    contextFiles: contextOf(repository, build),
  };
  // A file with unknown content may not pin versions.
  const read = (file: string) => repository.texts.get(posix.join(context, file)) ?? "unknown";
  const needed = new Set(stepsOf(repository, build).map(({ stage }) => stage.name));
  const found = parseDockerfile(dockerfile).stages.find(
    ({ name }) => needed.has(name) && dependencyFindings(input, { stage: name, read }).length === 0,
  );
  return found && { value: found.name, at: `${path}:${found.line}` };
}

/** The stage to build if the last one is not for a deployment. */
export function guessedTarget(repository: Repository, dockerfile: string): Found<string> | undefined {
  const { stages } = parseDockerfile(repository.texts.get(dockerfile) ?? "");
  const last = stages.at(-1);
  if (!last || !OTHER_STAGE.test(last.name)) return undefined;
  const found = stages.findLast(({ name }) => FINAL_STAGE.test(name));
  return found && { value: found.name, at: `${dockerfile}:${found.line}` };
}
