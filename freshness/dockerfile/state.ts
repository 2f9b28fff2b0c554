import type { Step } from "./parse";
import type { Command } from "./shell";

/** A value as it is for one commit and as it is for another. Where the two differ, the commit made the difference. */
export type Pair = readonly [string, string];

export interface Mount {
  readonly type: string;
  /** The stage it reads from, an image, or the build context. */
  readonly from: Origin;
  readonly source: string;
  /** Absolute. */
  readonly target: string;
}

export type Origin =
  | { readonly kind: "context" }
  | { readonly kind: "stage"; readonly stage: StageState }
  | { readonly kind: "image"; readonly image: string };

/** A stage while it is built, and after it. */
export interface StageState {
  readonly index: number;
  /** As BuildKit calls it: its name, or `stage-N`. */
  readonly name: string;
  readonly line: number;
  /** The stage it starts from. */
  readonly parent?: StageState;
  /** The image it starts from, in the end. */
  readonly image: string;
  /** What RUN sees: ARG and ENV. */
  env: Map<string, Pair>;
  /** What the image keeps: ENV alone. */
  kept: Map<string, Pair>;
  /** BuildKit's cache key of all so far. */
  key: Pair;
  workdir: string;
  user: Pair;
  shell: readonly string[];
  onbuild: readonly Step[];
  /** Whether source of the context is in it. */
  carries: boolean;
  /** Files whose content is known to depend, or not, on the commit. */
  files: Map<string, Pair>;
  /** Folders that the context was copied to. */
  destinations: string[];
}

/** A step that ran for the target, and what is known of it. */
export interface Executed {
  readonly step: Step;
  readonly stage: StageState;
  /** Whether BuildKit runs it again for another commit with the same files. */
  readonly reruns: boolean;
  /** Where source comes from in this step; absent: it brings none. */
  readonly brings?: "context" | "stage";
  /** The stage or image that a COPY or a mount reads from. */
  readonly origins: readonly Origin[];
  /** Of COPY and ADD: expanded, without heredocs. */
  readonly sources: readonly string[];
  /** Of COPY and ADD: where to, absolute, and whether a slash says that it is a folder. */
  readonly destination?: { readonly folder: string; readonly isFolder: boolean };
  /** Whether a program ran that may have written anything. */
  readonly opaque?: boolean;
  /** COPY --link: its key holds nothing of what stands before it. */
  readonly linked: boolean;
  /** Whether source was in the stage before this step. */
  readonly carried: boolean;
  /** The commit's argument at this step. */
  readonly argument: "in force" | "hidden" | "absent";
  readonly commands: readonly Command[];
  readonly mounts: readonly Mount[];
  readonly workdir: string;
  readonly shell: readonly string[];
}

/** Whether the commit makes a difference. */
export function differs(pair: Pair): boolean {
  return pair[0] !== pair[1];
}

/** Computes a value for each of the two commits. */
export function both<T>(compute: (side: 0 | 1) => T): readonly [T, T] {
  return [compute(0), compute(1)];
}

/** Values as they are for one of the two commits. */
export function sideOf(values: ReadonlyMap<string, Pair>, side: 0 | 1): Map<string, string> {
  return new Map([...values].map(([name, value]) => [name, value[side]]));
}
