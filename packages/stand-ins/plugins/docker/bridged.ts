/** The common part of Network and Volume, which cannot be changed once they exist. */

import type { Resource } from "../serve";
import { type Props, text, tidyProps, UNKNOWN } from "../values";
import { diffFields, type Fields, unsupported } from "./fields";
import { nameFor, withDefaults } from "./naming";

interface Bridged {
  fields: Fields;
  defaults: Props;
  /** The outputs before the resource exists. `computed` marks a list of keys as unknown. */
  plan(inputs: Props, computed: (keys: readonly string[]) => Props): Props;
  /** Creates it and returns its ID. */
  create(inputs: Props): Promise<string>;
  /** Its outputs; undefined if it no longer exists. */
  read(id: string): Promise<Props | undefined>;
  delete(id: string): Promise<void>;
}

/** A resource on the engine that is created, read and deleted, never updated. */
export function bridged(kind: Bridged): Resource {
  return {
    async check(call) {
      const { name } = nameFor(call);
      const failures = unsupported("docker", kind.fields, call.news);
      return { inputs: withDefaults(nested(call.news), { ...kind.defaults, name }), failures };
    },

    diff: async ({ olds, news }) => diffFields(kind.fields, olds, news),

    async create({ news, preview, urn }) {
      const inputs = tidyProps(news);
      if (preview) {
        return {
          id: "",
          properties: kind.plan(inputs, (keys) => Object.fromEntries(keys.map((key) => [key, UNKNOWN]))),
        };
      }
      const id = await oneError(kind.create(inputs));
      const found = await kind.read(id);
      if (found === undefined) throw new Error(`${urn}: gone as soon as it was made`);
      return {
        id,
        // Keep inputs that the engine does not return, such as a secret's data.
        properties: {
          ...inputs,
          ...found,
          ...(inputs.labels === undefined ? {} : { labels: inputs.labels }),
        },
      };
    },

    async read({ id, properties, inputs }) {
      const found = await kind.read(id);
      if (found === undefined) return undefined;
      // An import has no inputs.
      const known = Object.keys(inputs).length > 0 ? inputs : { name: text(found.name) ?? id };
      return { id, properties: { ...properties, ...found, ...sameLabels(properties, found) }, inputs: known };
    },

    // Every field forces a replacement, so there is nothing to update.
    update: async ({ olds }) => olds,

    delete: ({ id }) => oneError(kind.delete(id)),
  };
}

/** The engine returns labels in its own order. If the labels are the same, keep the order of the state. */
function sameLabels(properties: Props, found: Props): Props {
  const sorted = (value: Props[string] | undefined): string =>
    JSON.stringify(Array.isArray(value) ? value.map((item) => JSON.stringify(item)).sort() : []);
  return sorted(properties.labels) === sorted(found.labels) ? { labels: properties.labels ?? [] } : {};
}

/** Marks the objects in lists as having no defaults, as the official plugin does. */
function nested(news: Props): Props {
  return Object.fromEntries(
    Object.entries(news).map(([key, value]) => [
      key,
      Array.isArray(value)
        ? value.map((item) =>
            typeof item === "object" && item !== null && !Array.isArray(item)
              ? { __defaults: [], ...item }
              : item,
          )
        : value,
    ]),
  );
}

/** Wraps an error in the official plugin's format. */
export async function oneError<T>(work: Promise<T>): Promise<T> {
  return work.catch((error: unknown) => {
    throw new Error(framed(error));
  });
}

/** The text of `oneError`. */
export function framed(error: unknown): string {
  return `1 error occurred:\n\t* ${error instanceof Error ? error.message : String(error)}\n\n`;
}
