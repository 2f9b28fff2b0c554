import * as z from "zod";
import { EVENTS } from "../freshness/events";
import { filled, isHttpUrl, list, oneOf, strict, text, whole } from "./values";

const VARIABLE = /^[A-Za-z_][A-Za-z0-9_]*$/;

const hook = z
  .preprocess((value) => (typeof value === "string" ? ["sh", "-c", value] : value), list(filled).min(1))
  .optional();

/** Commands on the machine that deploys: a program and its arguments, or a text for `sh -c`. */
export const hooksSchema = strict({
  /** Runs before the prune and the builds; its failure stops the deploy. Default: none. */
  beforeBuild: hook,
  /** Runs when the new containers are proven, before the edge leads to them; its failure refuses the release. Default: none. */
  beforeSwitch: hook,
  /** Runs when the release is served and proven; its failure is a warning. Default: none. */
  afterSwitch: hook,
  /** Runs when a deploy has failed; its failure is a warning. Default: none. */
  afterFailure: hook,
  /** Variables of this machine that the commands get, besides those that say what is deployed. Default: none. */
  env: list(text.regex(VARIABLE, { error: "allowed: the name of a variable" })).default([]),
  /** Seconds that each command has. Default: 600. */
  seconds: whole(1, 86400).default(600),
});

/** A webhook. */
const webhookSchema = strict({
  /** Where to, set with --secret, or `{ env: VARIABLE }` of the machine that deploys. */
  url: z.union(
    [
      text.refine((url) => url === "[secret]" || isHttpUrl(url), { error: "allowed: an http or https URL" }),
      z.strictObject({ env: z.string().regex(VARIABLE) }),
    ],
    { error: "allowed: an http or https URL, or a mapping of env to the name of a variable" },
  ),
  /** `slack` posts a text as Slack, Mattermost and Rocket.Chat take it, `json` all facts. Default: by the URL. */
  format: oneOf("slack", "json").optional(),
  /** Which events: deployed, refused, rolled back, drifted. Default: all. */
  on: list(oneOf(...EVENTS)).default([...EVENTS]),
});

/** One webhook, or a list. */
export const notifySchema = z.preprocess((value) => {
  const all = Array.isArray(value) ? value : [value];
  return all.map((each) => (typeof each === "string" ? { url: each } : each));
}, list(webhookSchema));
