/**
 * The stand-in for the plugin `docker`: images, containers, networks, volumes, services and secrets, through the docker
 * CLI.
 */

import { changesOf } from "../diff";
import { serve } from "../serve";
import { hasUnknown, type Props, tidyProps } from "../values";
import { configure } from "./cli";
import { container } from "./container";
import { image } from "./image";
import { network, volume } from "./network-volume";
import { secret } from "./secret";
import { service } from "./service";

serve({
  name: "docker",
  version: "5.2.0",
  features: { supportsPreview: true, autonaming: true },
  // A changed host or option never replaces the provider: its resources continue to exist.
  diffConfig: (olds, news) => ({ changes: changesOf(settings(olds), settings(news)), ofInputs: true }),
  configure: (args) => configure(settings(args)),
  resources: {
    "docker:index/image:Image": image,
    "docker:index/container:Container": container,
    "docker:index/network:Network": network,
    "docker:index/volume:Volume": volume,
    "docker:index/secret:Secret": secret,
    "docker:index/service:Service": service,
  },
});

function settings(args: Props): Props {
  const known = tidyProps(args);
  for (const key of ["host", "sshOpts"]) if (hasUnknown(known[key])) delete known[key];
  return known;
}
