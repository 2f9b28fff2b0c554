/** The stand-in for the plugin `command`: commands on this machine and, over ssh, on others. */

import { serve } from "../serve";
import { localCommand } from "./local";
import { remoteCommand } from "./remote";

serve({
  name: "command",
  version: "1.2.1",
  features: { supportsPreview: true, acceptSecrets: true, acceptResources: true, acceptOutputs: true },
  // The official plugin notes the version of the library it is made with; a state moves between the two unchanged.
  checkConfig: (news) => ({ ...news, "__pulumi-go-provider-version": "v1.5.0" }),
  resources: { "command:local:Command": localCommand, "command:remote:Command": remoteCommand },
});
