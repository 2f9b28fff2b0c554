import type { Step } from "./parse";
import type { Command } from "./shell";

/** The values for two different commits. If they differ, the value depends on the commit. */
export type Pair = readonly [string, string];

export interface Mount {
  readonly type: string;
  /** The stage, the image or the build context that it reads from. */
  readonly from: Origin;
  readonly source: string;
  /** Absolute path. */
  readonly target: string;
}

export type Origin =
  | { readonly kind: "context" }
  | { readonly kind: "stage"; readonly stage: StageState }
  | { readonly kind: "image"; readonly image: string };

/** State of a stage during and after its build. */
export interface StageState {
  readonly index: number;
  /** BuildKit's name for it: its own name, or `stage-N`. */
  readonly name: string;
  readonly line: number;
  /** The stage that it is based on. */
  readonly parent?: StageState;
  /** The image that its chain of stages starts from. */
  readonly image: string;
  /** Variables that RUN sees: ARG and ENV. */
  env: Map<string, Pair>;
  /** Variables that the image keeps: ENV only. */
  kept: Map<string, Pair>;
  /** BuildKit's cache key of all steps so far. */
  key: Pair;
  workdir: string;
  user: Pair;
  shell: readonly string[];
  onbuild: readonly Step[];
  /** Whether it contains source of the context. */
  carries: boolean;
  /** Files that are known to depend, or not to depend, on the commit. */
  files: Map<string, Pair>;
  /** Folders that receive files of the context. */
  destinations: string[];
}

/** A step that ran for the target, and its effects. */
export interface Executed {
  readonly step: Step;
  readonly stage: StageState;
  /** Whether BuildKit runs it again for another commit with the same files. */
  readonly reruns: boolean;
  /** Origin of the source that this step brings; absent if it brings none. */
  readonly brings?: "context" | "stage";
  /** What a COPY or a mount reads from. */
  readonly origins: readonly Origin[];
  /** Sources of COPY and ADD, expanded, without heredocs. */
  readonly sources: readonly string[];
  /** Target of COPY and ADD: its absolute path, and whether it must be a folder. */
  readonly destination?: { readonly folder: string; readonly isFolder: boolean };
  /** Whether a program ran that may have written any file. */
  readonly opaque?: boolean;
  /** Whether COPY has --link. Its cache key then ignores the steps before it. */
  readonly linked: boolean;
  /** Whether the stage contained source before this step. */
  readonly carried: boolean;
  /** State of the commit's build argument at this step. */
  readonly argument: "in force" | "hidden" | "absent";
  readonly commands: readonly Command[];
  readonly mounts: readonly Mount[];
  readonly workdir: string;
  readonly shell: readonly string[];
}

/** Whether the value depends on the commit. */
export function differs(pair: Pair): boolean {
  return pair[0] !== pair[1];
}

/** Computes a value for each of the two commits. */
export function both<T>(compute: (side: 0 | 1) => T): readonly [T, T] {
  return [compute(0), compute(1)];
}

/** Values for one of the two commits. */
export function sideOf(values: ReadonlyMap<string, Pair>, side: 0 | 1): Map<string, string> {
  return new Map([...values].map(([name, value]) => [name, value[side]]));
}
