/** The stand-in for the plugin `command`: runs commands on this machine and, over SSH, on others. */

import { serve } from "../serve";
import type { Props, Value } from "../values";
import { localCommand } from "./local";
import { remoteCommand } from "./remote";

serve({
  name: "command",
  version: "1.2.1",
  features: { supportsPreview: true, acceptSecrets: true, acceptResources: true, acceptOutputs: true },
  // The official plugin records the version of the library it is built with. The same value keeps the state
  // interchangeable.
  checkConfig: (news) => ({ ...decoded(news), "__pulumi-go-provider-version": "v1.5.0" }),
  resources: { "command:local:Command": localCommand, "command:remote:Command": remoteCommand },
});

/** The official plugin parses strings as JSON if possible: a version "1" becomes a number. */
function decoded(news: Props): Props {
  return Object.fromEntries(
    Object.entries(news).map(([key, value]): [string, Value] => [key, jsonOf(value) ?? value]),
  );
}

function jsonOf(value: Value): Value | undefined {
  try {
    return typeof value === "string" ? JSON.parse(value) : undefined;
  } catch {
    return undefined;
  }
}
