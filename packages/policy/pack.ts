import { type PolicyConfigSchema, PolicyPack } from "@pulumi/policy";
import { type Inputs, RULES, type Settings } from "./rules";

/**
 * The SDK takes a secret for its value before a policy sees it, and whether it is one is what a rule asks: here policies
 * get the inputs as providers do.
 */
const deserialize = require("@pulumi/policy/deserialize") as {
  deserializeProperties: (properties: Struct, forRemediation: boolean) => unknown;
};
interface Struct {
  toJavaScript(): Inputs;
}
deserialize.deserializeProperties = (properties) => properties.toJavaScript();

const names = { type: "array" as const, items: { type: "string" as const } };
/** Rule → its settings. */
const SCHEMAS: Readonly<Record<string, PolicyConfigSchema>> = {
  "image-by-digest": { properties: { images: names } },
  "no-plain-secret": { properties: { variables: names } },
};

new PolicyPack("watch-party-freshness", {
  enforcementLevel: "mandatory",
  policies: RULES.map(({ name, description, problems }) => ({
    name,
    description,
    ...(SCHEMAS[name] ? { configSchema: SCHEMAS[name] } : {}),
    validateResource: ({ type, name: resource, props, getConfig }, report) => {
      for (const problem of problems(type, resource, props, getConfig<Settings>())) report(problem);
    },
  })),
});
