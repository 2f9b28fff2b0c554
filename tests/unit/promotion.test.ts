import { expect, it } from "@jest/globals";
import { parseConfig } from "../../config";
import { buildDifferences } from "../../release/promotion";
import { buildOf } from "../../release/settings";

const built = (config: Record<string, unknown>) => buildOf(parseConfig(config), "abc");
const services = (args: Record<string, string>, more: object = {}) => ({
  services: { frontend: { args, ...more }, backend: {} },
});

it.each([
  ["nothing", services({ A: "1" }), services({ A: "1" }), []],
  [
    "settings outside the image",
    services({}, { memoryMb: 100, env: { A: "1" }, port: 3000 }),
    services({}, { memoryMb: 200, env: { A: "2" }, port: 4000 }),
    [],
  ],
  [
    "a build arg's value, which is not repeated",
    services({ A: "secret" }),
    services({ A: "other" }),
    ["build arg A of frontend has another value"],
  ],
  [
    "build args that one of them has",
    services({ A: "1" }),
    services({ B: "1" }),
    ["build arg A of frontend is set there alone", "build arg B of frontend is set here alone"],
  ],
  [
    "the build context",
    services({}, { target: "web" }),
    services({}, { dockerfile: "Other" }),
    [
      'dockerfile of frontend is "Dockerfile" there, "Other" here',
      'target of frontend is "web" there, "" here',
    ],
  ],
  [
    "the platform, and a requested rebuild",
    { platform: "linux/arm64" },
    { rebuild: "again" },
    ['platform is "linux/arm64" there, "linux/amd64" here', 'rebuild is "" there, "again" here'],
  ],
  [
    "a service",
    { services: { frontend: {}, worker: {} } },
    { services: { frontend: {}, backend: {} } },
    ["service worker is there alone", "service backend is here alone"],
  ],
])("two stacks' builds differ in %s", (_, there, here, differences) =>
  expect(buildDifferences(built(there), built(here))).toEqual(differences),
);
