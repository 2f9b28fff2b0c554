import { posix } from "node:path";
import { type Build, ignoreFileOf, stepsOf } from "../../builds";
import { ignoreFindings } from "../../outputs";
import type { Repository } from "../../repository";
import type { Change } from "./change";
import { COMMIT_FILE, documentRoot, withCommit, withVersionFile } from "./dockerfileLines";
import { versionPath } from "./versionPath";

/** A service that is to be deployed, as far as its files matter. */
export interface Writable {
  readonly name: string;
  readonly build: Build;
  /** The folder of its own files. */
  readonly folder: string;
  /** The framework's name; absent if it is not known. */
  readonly framework?: string;
  /** Whether it is asked over HTTP. */
  readonly isServer: boolean;
  readonly servesVersion: boolean;
  readonly hasHealth: boolean;
}

/** What `init --write` adds to a repository, and the settings that belong to it. */
export interface WritePlan {
  readonly changes: readonly Change[];
  /** By service: keys of its configuration. */
  readonly settings: Readonly<Record<string, Readonly<Record<string, string>>>>;
  /** One line for each addition. */
  readonly why: readonly string[];
}

const VERSION_FILE = "version.json";

/** Plans what an app lacks for a deploy: lines of its Dockerfiles, an ignore file, a version path. */
export function writePlan(repository: Repository, services: readonly Writable[]): WritePlan {
  const texts = new Map(repository.texts);
  const changed = new Map<string, Change>();
  const settings: Record<string, Record<string, string>> = {};
  const why: string[] = [];
  const current = (): Repository => ({ ...repository, texts });
  const write = (path: string, after: string, reason: string) => {
    if (texts.get(path) === after) return;
    const before = repository.texts.get(path);
    changed.set(path, before === undefined ? { path, after } : { path, before, after });
    texts.set(path, after);
    why.push(`${path}: ${reason}`);
  };
  const set = (name: string, key: string, value: string) => {
    settings[name] = { ...settings[name], [key]: value };
  };
  for (const { name, build, folder, framework, isServer, servesVersion, hasHealth } of services) {
    const textOf = () => texts.get(build.dockerfile) ?? "";
    write(
      build.dockerfile,
      withCommit(current(), build, textOf()),
      "the commit before the sources of each stage, and its file in the image",
    );
    ignore(current(), build, write);
    if (!isServer || servesVersion) continue;
    const root = documentRoot(stepsOf(current(), build));
    // A program may have its own files below /srv.
    const isProgram = framework !== undefined && !framework.startsWith("Vite");
    const isStatic = root !== undefined && !(isProgram && root.startsWith("/srv"));
    const added = isStatic || framework === undefined ? undefined : versionPath(current(), folder, framework);
    if (isStatic) {
      write(
        build.dockerfile,
        withVersionFile(current(), build, textOf(), VERSION_FILE),
        `${VERSION_FILE} beside the pages, with the commit`,
      );
      set(name, "version", `/${VERSION_FILE}`);
      if (!hasHealth) set(name, "health", `/${VERSION_FILE}`);
    } else if (added) {
      write(added.change.path, added.change.after, `${added.path} answers with the commit`);
      if (added.path !== "/version") set(name, "version", added.path);
      if (!hasHealth) set(name, "health", added.path);
    } else {
      // The container that answered, its image and its bytes prove the commit then.
      set(name, "version", "none");
      why.push(
        `${name}: version is "none", because the place for a version path is not known${framework === undefined ? "" : ` (${framework})`}; let it answer /version with {"commit": "<the text of ${COMMIT_FILE}>"} and remove the key to prove more`,
      );
    }
  }
  return { changes: [...changed.values()], settings, why };
}

/** Adds to .dockerignore what an earlier build leaves in the folder. */
function ignore(
  repository: Repository,
  build: Build,
  write: (path: string, after: string, reason: string) => void,
): void {
  const [finding] = ignoreFindings(repository, build, stepsOf(repository, build), []);
  const patterns = finding?.fix.split("\n").slice(1) ?? [];
  if (patterns.length === 0) return;
  const file = ignoreFileOf(repository, build);
  const path = file?.path ?? posix.join(build.context, ".dockerignore");
  const before = file?.text ?? "";
  const start = before === "" || before.endsWith("\n") ? before : `${before}\n`;
  write(path, `${start}${patterns.join("\n")}\n`, "what an earlier build leaves is not copied");
}
