import type { EngineEvent } from "@pulumi/pulumi/automation";
import { STEP_ENDED } from "../../release/stepClock";

/** A step of a deploy: a resource that changes, or a phase of the program. */
export interface Step {
  readonly label: string;
  /** Start, by `performance.now()`. */
  readonly started: number;
  /** The current build step, or the last line of a command's output. */
  text: string;
  /** Seconds below which its end is not worth a line. */
  readonly quietBelow: number;
  /** Whether its output belongs in a log. */
  readonly speaks: boolean;
}

/** News of a deploy, in the order in which a display shows them. */
export type News =
  | { readonly kind: "line"; readonly text: string }
  | { readonly kind: "warning"; readonly text: string }
  | { readonly kind: "note"; readonly step: Step }
  | Ended;

/** The end of a step. */
interface Ended {
  readonly kind: "ended";
  readonly good: boolean;
  readonly step: Step;
  readonly seconds: number;
}

/** Phases of the program, each with the step of its clock that ends it, and the phase that begins then. */
const PHASES: Readonly<Record<string, { readonly label: string; readonly next?: string }>> = {
  prepare: { label: "prepare" },
  images: { label: "images", next: "imageProofs" },
  imageProofs: { label: "proof of the images", next: "services" },
  services: { label: "health checks", next: "proof" },
  proof: { label: "proof of what is served", next: "settle" },
  settle: { label: "watch of the release" },
};

/** Seconds below which the end of a minor step is not worth a line. */
const MINOR = 2;

/** Follows the steps of a deploy by the events of the Pulumi CLI. Reads no clock but the given one. */
export class Steps {
  private readonly running = new Map<string, Step>();
  private counts: Readonly<Record<string, number>> = {};
  private commits: { readonly before?: string; readonly after?: string } = {};

  /** @param hide masks the output of an image's build */
  constructor(
    private readonly hide: (text: string) => string,
    private readonly now: () => number = () => performance.now(),
  ) {
    // Reading git and the engine is of interest only while it takes long, or if it fails.
    this.begin("prepare", "prepare", Number.POSITIVE_INFINITY);
  }

  /** The steps that have begun and not ended, oldest first. */
  get current(): readonly Step[] {
    return [...this.running.values()];
  }

  /** The number of resources by what was done with them, such as `2 replaced, 21 unchanged`; empty before the end. */
  get resources(): string {
    const done = Object.entries(CHANGED).map(([op, word]) => [this.counts[op] ?? 0, word] as const);
    return done.flatMap(([count, word]) => (count === 0 ? [] : [`${count} ${word}`])).join(", ");
  }

  /** The commit before and after the deploy; undefined if it did not change. */
  get commitChange(): { readonly before: string; readonly after: string } | undefined {
    const { before, after } = this.commits;
    return before === undefined || after === undefined || before === after ? undefined : { before, after };
  }

  /** Takes an event into account. */
  hear(event: EngineEvent): News[] {
    const { diagnosticEvent, resourcePreEvent, resOutputsEvent, resOpFailedEvent, summaryEvent } = event;
    if (diagnosticEvent) return this.diagnostic(diagnosticEvent);
    if (event.policyEvent) return [{ kind: "warning", text: event.policyEvent.message.trim() }];
    if (resourcePreEvent) this.resourceBegins(resourcePreEvent.metadata);
    if (resOutputsEvent) return this.resourceEnds(resOutputsEvent.metadata, true);
    if (resOpFailedEvent) return this.resourceEnds(resOpFailedEvent.metadata, false);
    if (summaryEvent) this.counts = summaryEvent.resourceChanges ?? {};
    return [];
  }

  /** Ends what has not ended. @param good whether the deploy has succeeded */
  close(good: boolean): News[] {
    return [...this.running.keys()].flatMap((key) => this.end(key, good));
  }

  private diagnostic(event: NonNullable<EngineEvent["diagnosticEvent"]>): News[] {
    const { severity, urn = "", ephemeral } = event;
    const message = event.message.replace(/\n+$/, "");
    if (severity === "warning") return [{ kind: "warning", text: message }];
    // Errors come after the steps, each once.
    if (severity !== "info" && severity !== "info#err") return [];
    const step = this.running.get(keyOf("create", urn));
    if (step) return this.output(step, message);
    if (message.startsWith(STEP_ENDED)) return this.phaseEnds(message.slice(STEP_ENDED.length));
    return ephemeral || message === "" ? [] : [{ kind: "line", text: message }];
  }

  private output(step: Step, message: string): News[] {
    const lines = message.split("\n").filter((line) => line.trim() !== "");
    return lines.flatMap((line): News[] => {
      const text = step.speaks ? line.trim() : buildStep(this.hide(line));
      if (text === undefined || text === step.text || /^Pruned at /.test(text)) return [];
      step.text = text;
      return [{ kind: "note", step: { ...step } }];
    });
  }

  private phaseEnds(name: string): News[] {
    const ended = this.end(name, true);
    const next = PHASES[name]?.next;
    const phase = next === undefined ? undefined : PHASES[next];
    if (next !== undefined && phase) this.begin(next, phase.label, next === "settle" ? MINOR : 1);
    return ended;
  }

  private resourceBegins({ op, urn, old }: { op: string; urn: string; old?: unknown }): void {
    if (urn.split("::")[2] === "pulumi:pulumi:Stack") this.commits = { before: commitOf(old) };
    const label = labelOf(op, urn);
    if (label === undefined) return;
    this.begin(keyOf(op, urn), label.text, label.isMinor ? MINOR : 0, label.speaks);
  }

  private resourceEnds(
    { op, urn, new: now }: { op: string; urn: string; new?: unknown },
    good: boolean,
  ): News[] {
    if (urn.split("::")[2] === "pulumi:pulumi:Stack")
      this.commits = { ...this.commits, after: commitOf(now) };
    return labelOf(op, urn) === undefined ? [] : this.end(keyOf(op, urn), good);
  }

  private begin(key: string, label: string, quietBelow: number, speaks = false): void {
    this.running.set(key, {
      label,
      started: this.now(),
      text: "",
      quietBelow,
      speaks,
    });
  }

  private end(key: string, good: boolean): News[] {
    const step = this.running.get(key);
    if (step === undefined) return [];
    this.running.delete(key);
    const seconds = (this.now() - step.started) / 1000;
    return good && seconds < step.quietBelow ? [] : [{ kind: "ended", good, step, seconds }];
  }
}

/** Counted operations, in the order and the words of the Pulumi CLI. */
const CHANGED = {
  create: "created",
  update: "updated",
  delete: "deleted",
  replace: "replaced",
  same: "unchanged",
};

/** The step of a Dockerfile that BuildKit or the docker plugin reports; undefined for its other output. */
export function buildStep(line: string): string | undefined {
  const [, step] = /^(?:#\d+ )?(\[[^\]]*\d+\/\d+\] .*)$/.exec(line.trim()) ?? [];
  return step;
}

/** A replaced resource is created and deleted in two steps. */
function keyOf(op: string, urn: string): string {
  return `${/^delete/.test(op) ? "delete" : "create"} ${urn}`;
}

interface Label {
  readonly text: string;
  readonly isMinor: boolean;
  readonly speaks: boolean;
}

/** How a display names a change of a resource; undefined for what is no change, or none of the engine. */
function labelOf(op: string, urn: string): Label | undefined {
  if (!/^(create|create-replacement|update|delete|delete-replaced)$/.test(op)) return undefined;
  const [types = "", name = ""] = urn.split("::").slice(2);
  const type = types.slice(types.lastIndexOf("$") + 1);
  if (/^(pulumi|watch-party):/.test(type)) return undefined;
  const isRemoval = op.startsWith("delete");
  const [provider, kind = ""] = [type.split(":")[0], type.split(":").at(-1)];
  const isAccessory = types.includes(":Accessory$");
  const noun = isAccessory ? "accessory" : kind.toLowerCase();
  const isPrune = types.includes(":BuildCachePrune$");
  const isOwn = provider === "docker" || provider === "command";
  // The plugin deletes no image.
  const isMain = isPrune || (/^(Image|Container|Service)$/.test(kind) && !(isRemoval && kind === "Image"));
  const text = isPrune ? name : `${noun} ${isAccessory ? name.replace(/-accessory$/, "") : name}`;
  return {
    text: isRemoval ? `remove ${text}` : text,
    isMinor: isOwn && !isMain,
    speaks: kind === "Command",
  };
}

function commitOf(state: unknown): string | undefined {
  const commit = (state as { outputs?: { commit?: unknown } } | undefined)?.outputs?.commit;
  return typeof commit === "string" ? commit : undefined;
}
