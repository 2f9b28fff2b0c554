/** Labels of everything a stack makes on the engine, so that a person and the tools can tell whose it is. */
export interface Labels {
  readonly stack: string;
  readonly service?: string;
  /** Of what is of no release. */
  readonly accessory?: string;
}

const PREFIX = "watch-party";

export function labelList(labels: Labels): { label: string; value: string }[] {
  return Object.entries(labels)
    .map(([name, value]) => ({ label: `${PREFIX}.${name}`, value }))
    .sort((a, b) => (a.label < b.label ? -1 : 1));
}
