import { stackId } from "../freshness/project";

/** Labels of everything that a stack creates on the engine. They show people and tools which stack owns it. */
export interface Labels {
  readonly stack: string;
  readonly service?: string;
  /** Set on what does not belong to a release. */
  readonly accessory?: string;
}

const PREFIX = "watch-party";

export function labelList(labels: Labels): { label: string; value: string }[] {
  return Object.entries(labels)
    .map(([name, value]) => ({
      label: `${PREFIX}.${name}`,
      value: name === "stack" ? stackId(value) : value,
    }))
    .sort((a, b) => (a.label < b.label ? -1 : 1));
}
