import { createHash } from "node:crypto";
import { mkdirSync, readdirSync, readFileSync, renameSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { isPackage } from "../freshness/package";
import { type Paths, paths } from "./paths";
import { versions } from "./versions";

/** Where a part came from. */
export type Origin = "official" | "yours" | "built from Go modules" | "stand-in";

export interface Part {
  readonly version: string;
  readonly where: string;
  readonly origin: Origin;
  /** The stamp of the file. A different one means that the file has changed. */
  readonly stamp?: string;
}

/** The result of a setup, stored so that the next run need not repeat the checks. */
export interface State {
  /** The fingerprint of the requested toolchain. A different one means that the setup must run again. */
  readonly wanted: string;
  readonly pulumi: Part;
  readonly languageHost: Part;
  readonly plugins: Readonly<Record<string, Part>>;
  /** Absent until a command needs an engine. */
  readonly docker?: Part & { readonly buildKitByEnv: boolean };
}

/** Reads the record of the last setup; undefined if there is none. */
export function readState(at: Paths = paths()): State | undefined {
  try {
    return JSON.parse(readFileSync(join(at.toolchain, "state.json"), "utf8")) as State;
  } catch {
    return undefined;
  }
}

/** Written to a temporary file and renamed. A reader sees the old record or the new one. */
export function writeState(state: State, at: Paths = paths()): void {
  mkdirSync(at.toolchain, { recursive: true });
  const file = join(at.toolchain, "state.json");
  writeFileSync(`${file}.${process.pid}`, `${JSON.stringify(state, undefined, 2)}\n`);
  renameSync(`${file}.${process.pid}`, file);
}

/** Size and time of a file, to detect a change without reading it. */
export function fileStamp(path: string): string {
  const { size, mtimeMs } = statSync(path, { throwIfNoEntry: false }) ?? { size: 0, mtimeMs: 0 };
  return `${size} ${mtimeMs}`;
}

/** A hash of all files below a folder, names and bytes. */
function hashFolder(folder: string): string {
  const hash = createHash("sha256");
  const walk = (at: string, prefix: string) => {
    const entries = readdirSync(at, { withFileTypes: true }).sort((a, b) => (a.name < b.name ? -1 : 1));
    for (const entry of entries) {
      if (entry.name === "node_modules" || entry.name.startsWith(".")) continue;
      const path = join(at, entry.name);
      if (entry.isDirectory()) walk(path, `${prefix}${entry.name}/`);
      else if (entry.isFile())
        hash.update(`${prefix}${entry.name}\0`).update(readFileSync(path)).update("\0");
    }
  };
  try {
    walk(folder, "");
  } catch {
    return "";
  }
  return hash.digest("hex");
}

/** The fingerprint of the toolchain that this clone requires. */
export function wanted(at: Paths = paths()): string {
  return createHash("sha256")
    .update(standInSources(at))
    .update(readFileSync(join(at.project, "toolchain", "versions.ts")))
    .update(readFileSync(join(at.project, "toolchain", "cli.ts")))
    .digest("hex");
}

/** Whether a setup brought what is required. The npm package compares versions: a clone's toolchain is as good. */
export function isWanted(state: State, at: Paths): boolean {
  return isPackage ? state.pulumi.version === versions.pulumi : state.wanted === wanted(at);
}

/** A hash of the stand-ins of the plugins; empty in the npm package, which has none. */
export function standInSources(at: Paths): string {
  return hashFolder(join(at.code, "packages", "stand-ins", "plugins"));
}
