import { posix } from "node:path";
import { type Build, guessedContext, isDockerfile, isForeign, stepsOf } from "../doctor/builds";
import { type ComposeService, composeServices, isCompose } from "../doctor/composeFile";
import type { Repository } from "../doctor/repository";
import { isForDevelopment } from "../doctor/scope";
import { type Found, guessedTarget } from "./image";

/** A service before anything is guessed about it. */
export interface Candidate {
  readonly name: string;
  readonly build: Build;
  readonly target?: Found<string>;
  /** Where it was found. */
  readonly at: string;
  readonly compose?: ComposeService;
}

export interface Candidates {
  readonly services: readonly Candidate[];
  /** What cannot be deployed by this program, or was left out, and why. */
  readonly left: readonly string[];
}

const BASES = ["compose.yaml", "compose.yml", "docker-compose.yaml", "docker-compose.yml"];

/** The services of an app: those its compose file builds, otherwise one for each Dockerfile. */
export function candidates(repository: Repository, appName: string): Candidates {
  return fromCompose(repository) ?? fromDockerfiles(repository, appName);
}

function fromCompose(repository: Repository): Candidates | undefined {
  const rank = (path: string) => {
    const base = BASES.indexOf(posix.basename(path));
    return path.split("/").length * 10 + (base < 0 ? 9 : base);
  };
  const file = [...repository.texts.keys()]
    .filter((path) => isCompose(path) && !isForDevelopment(path))
    .sort((a, b) => rank(a) - rank(b))
    .map((path) => composeServices(path, repository.texts.get(path)!))
    .find((services) => services.some(({ build }) => build !== undefined));
  if (!file) return undefined;
  const left: string[] = [];
  const taken = new Set<string>();
  const services = file.flatMap((compose): Candidate[] => {
    const { build, path, line } = compose;
    const at = `${path}:${line}`;
    if (!build) {
      const image = compose.image?.text ?? "nothing";
      left.push(
        `${compose.name} runs ${image} and is not deployed by this program: run it beside the app, and name it in the services' environment (${at})`,
      );
      return [];
    }
    if (build.context === undefined) {
      left.push(
        `${compose.name} is built from ${build.written}, which is no folder of this repository (${path}:${build.line})`,
      );
      return [];
    }
    if (!isBelow(build.dockerfile, build.context)) {
      left.push(
        `${compose.name} has its Dockerfile, ${build.dockerfile}, outside of its context: move it there (${path}:${build.line})`,
      );
      return [];
    }
    const args = Object.fromEntries(
      build.args.flatMap(({ name, value }) => (value === undefined ? [] : [[name, value]])),
    );
    const { target } = build;
    return [
      {
        name: serviceName(compose.name, taken),
        build: {
          dockerfile: build.dockerfile,
          context: build.context,
          ...(target !== undefined && { target }),
          args,
        },
        ...(target !== undefined && { target: { value: target, at: `${path}:${build.line}` } }),
        at,
        compose,
      },
    ];
  });
  return { services, left };
}

function fromDockerfiles(repository: Repository, appName: string): Candidates {
  const left: string[] = [];
  const taken = new Set<string>();
  const services = [...repository.texts.keys()]
    .filter((path) => isDockerfile(path))
    .sort()
    .flatMap((dockerfile): Candidate[] => {
      const build: Build = { dockerfile, context: guessedContext(repository, dockerfile), args: {} };
      const isOther =
        isForDevelopment(dockerfile) ||
        /(^|\/)(tests?|fixtures|examples?|docs|\.github|ci)\//.test(dockerfile);
      if (isOther || isForeign(stepsOf(repository, build))) {
        left.push(
          `${dockerfile} is ${isOther ? "for development or tests" : "an image of third-party content alone"}, no service is made of it (${dockerfile}:1)`,
        );
        return [];
      }
      const target = guessedTarget(repository, dockerfile);
      const own = target ? { ...build, target: target.value } : build;
      const name = serviceName(nameOf(dockerfile, appName), taken);
      return [{ name, build: own, ...(target && { target }), at: `${dockerfile}:1` }];
    });
  return { services, left };
}

/** `Dockerfile.web` and `web.Dockerfile` are web, any other is its folder. */
function nameOf(dockerfile: string, appName: string): string {
  const file = posix.basename(dockerfile);
  const suffix =
    /^(?:Dockerfile|Containerfile)\.(.+)$/.exec(file)?.[1] ?? /^(.+)\.[Dd]ockerfile$/.exec(file)?.[1];
  if (suffix !== undefined && !/^(prod|production|release)$/.test(suffix)) return suffix;
  const folders = posix
    .dirname(dockerfile)
    .split("/")
    .filter((folder) => folder !== "." && !/^(docker|deploy|\.docker|build)$/.test(folder));
  return folders.at(-1) ?? appName;
}

/** As the configuration allows it, and each once. */
function serviceName(written: string, taken: Set<string>): string {
  const name = written
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, "-")
    .replace(/^[^a-z]+/, "")
    .slice(0, 29)
    .replace(/-+$/, "");
  const base = name === "" ? "app" : name;
  let unique = base;
  for (let number = 2; taken.has(unique); number++) unique = `${base.slice(0, 27)}-${number}`;
  taken.add(unique);
  return unique;
}

function isBelow(path: string, folder: string): boolean {
  return folder === "" || path.startsWith(`${folder}/`);
}
