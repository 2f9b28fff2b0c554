import type * as pulumi from "@pulumi/pulumi";

/** How the status begins that reports the end of a step to the CLI. */
export const STEP_ENDED = "step ended: ";

/** Measures the steps of a deploy. A step ends when its outputs are known, and can have a second part. */
export class StepClock {
  private readonly start = performance.now();
  private readonly ends: [string, number][] = [];

  /** @param ended is called at the end of each step; default: not at all */
  constructor(private readonly ended?: (step: string) => void) {}

  /** Marks the end of a step, and returns the output unchanged. */
  mark<T>(step: string, output: pulumi.Output<T>): pulumi.Output<T> {
    return output.apply((value) => {
      this.end(step);
      return value;
    });
  }

  end(step: string): void {
    this.ends.push([step, performance.now()]);
    this.ended?.(step);
  }

  /** When a step ended, ISO 8601; undefined if it has not. */
  endOf(step: string): string | undefined {
    const at = this.ends.findLast(([name]) => name === step)?.[1];
    return at === undefined ? undefined : new Date(performance.timeOrigin + at).toISOString();
  }

  /** Step → seconds since the previous step ended, and their sum. */
  seconds(): Record<string, number> {
    let before = this.start;
    const steps: Record<string, number> = {};
    for (const [step, at] of this.ends) {
      steps[step] = (steps[step] ?? 0) + at - before;
      before = at;
    }
    steps.total = before - this.start;
    return Object.fromEntries(Object.entries(steps).map(([step, took]) => [step, round(took)]));
  }
}

function round(milliseconds: number): number {
  return Math.round(milliseconds / 10) / 100;
}
