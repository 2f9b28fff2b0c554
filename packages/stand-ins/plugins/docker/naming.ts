/** Generates names for resources without one. */

import { randomBytes } from "node:crypto";
import type { CheckCall } from "../serve";
import { type Props, text, texts } from "../values";

/**
 * The name from the program, else the current name, else `NAME-` and seven hex digits. `made` is true if the name is
 * generated.
 */
export function nameFor({ name, olds, news, naming }: CheckCall): { name: string; made: boolean } {
  const given = news.name;
  if (given !== undefined && given !== null) return { name: given as string, made: false };
  const old = text(olds.name);
  if (old !== undefined && texts(olds.__defaults).includes("name")) return { name: old, made: true };
  if (naming?.mode === "disable")
    throw new Error(`${name}: automatic names are switched off, and it has no name`);
  if (naming !== undefined && naming.proposed !== "") return { name: naming.proposed, made: true };
  return { name: `${name}-${randomBytes(4).toString("hex").slice(0, 7)}`, made: true };
}

/**
 * The inputs with missing defaults filled in, and a list of them. The list later distinguishes a default from a set
 * value.
 */
export function withDefaults(inputs: Props, defaults: Props): Props {
  const missing = Object.keys(defaults).filter((key) => inputs[key] === undefined || inputs[key] === null);
  const filled = Object.fromEntries(missing.map((key) => [key, defaults[key] ?? null]));
  return { __defaults: [...missing].sort(), ...inputs, ...filled };
}
