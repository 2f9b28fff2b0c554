import { mkdirSync, readlinkSync, renameSync, symlinkSync } from "node:fs";
import { dirname } from "node:path";

/** Makes `path` a link to `target`, by rename. A concurrent reader sees the old link or the new one. */
export function link(target: string, path: string): void {
  try {
    if (readlinkSync(path) === target) return;
  } catch {
    // It does not exist yet, or is a file.
  }
  mkdirSync(dirname(path), { recursive: true });
  const draft = `${path}.${process.pid}`;
  symlinkSync(target, draft);
  renameSync(draft, path);
}
