import { statSync } from "node:fs";
import { dirname, join, relative, resolve, sep } from "node:path";
import { must } from "../../freshness/sure";
import { isExamined, study } from "./examine";
import type { Diagnosis } from "./finding";
import { readRepository, type Skipped } from "./repository";
import { applied, type Ignored, type Settings, settingsOf } from "./settings";

/** A path that cannot be judged, or settings that cannot be read. */
export class JudgeError extends Error {
  override readonly name = "JudgeError";
}

/** The result for the given folders and files. */
export interface Judgement {
  /** Their paths are relative to the first common folder. */
  readonly findings: readonly Diagnosis[];
  readonly ignored: readonly Ignored[];
  readonly skipped: readonly Skipped[];
  readonly files: number;
  readonly settings: Settings;
}

/** Judges folders as repositories, and files as parts of the current folder. */
export async function judge(
  given: readonly string[],
  { from, all }: { readonly from: string; readonly all?: boolean },
): Promise<Judgement> {
  const folders: string[] = [];
  const files = new Map<string, Set<string>>();
  for (const each of given) {
    const path = resolve(from, each);
    const stat = statSync(path, { throwIfNoEntry: false });
    if (stat?.isDirectory()) folders.push(path);
    else if (stat?.isFile()) {
      // A file is judged together with the rest of its repository.
      const root = path.startsWith(`${from}${sep}`) ? from : dirname(path);
      files.set(root, (files.get(root) ?? new Set()).add(relative(root, path).replaceAll(sep, "/")));
    } else throw new JudgeError(`"${each}" is neither a folder nor a file; give the path of a repository`);
  }
  const parts = [
    ...folders.map((folder) => ({ folder, only: undefined })),
    ...[...files].map(([folder, only]) => ({ folder, only })),
  ];
  const several = parts.length > 1;
  const judged = await Promise.all(
    parts.map(async ({ folder, only }) => ({ folder, ...(await judgeFolder(folder, only, all)) })),
  );
  const prefix = (folder: string) => {
    const below = relative(from, folder).replaceAll(sep, "/");
    return several && below !== "" ? `${below}/` : "";
  };
  const placed = <T extends { readonly path: string }>(one: T, folder: string): T => ({
    ...one,
    path: `${prefix(folder)}${one.path}`,
  });
  return {
    findings: judged.flatMap(({ folder, findings }) => findings.map((one) => placed(one, folder))),
    ignored: judged.flatMap(({ folder, ignored }) =>
      ignored.map(({ finding, reason }) => ({ finding: placed(finding, folder), reason })),
    ),
    skipped: judged.flatMap(({ folder, skipped }) => skipped.map((one) => placed(one, folder))),
    files: judged.reduce((sum, one) => sum + one.files, 0),
    settings: must(judged[0], "folder or file to judge").settings,
  };
}

async function judgeFolder(
  folder: string,
  only: ReadonlySet<string> | undefined,
  all: boolean | undefined,
): Promise<Judgement> {
  const repository = await readRepository(folder, isExamined);
  const { settings, path, problems } = settingsOf(repository);
  if (problems.length > 0) throw new JudgeError(`${join(folder, path ?? "")}: ${problems.join("; ")}`);
  const studied = study(repository, { all: all ?? settings.all });
  const { findings, ignored, skipped } = applied(studied.findings, repository, settings);
  const isAsked = (one: { readonly path: string }) =>
    only === undefined || only.has(one.path.replace(/:\d+$/, ""));
  return {
    findings: findings.filter(isAsked),
    ignored: ignored.filter(({ finding }) => isAsked(finding)),
    skipped: [...studied.skipped, ...skipped].filter(isAsked),
    files: only?.size ?? repository.files.length,
    settings,
  };
}
