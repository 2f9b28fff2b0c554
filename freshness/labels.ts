/** Labels by which people, tools and this program know what a stack owns on an engine. */

/** Of everything that belongs to a stack: its containers, networks, volumes, services and secrets. */
export const STACK_LABEL = "watch-party.stack";
/** Of a container or a service: the name of the app's service; `EDGE_SERVICE` for the edge. */
export const SERVICE_LABEL = "watch-party.service";
/** No service of an app may have this name. */
export const EDGE_SERVICE = "edge";
/** Of an accessory's container and volumes: its name. */
export const ACCESSORY_LABEL = "watch-party.accessory";
/** Of a volume that the stack created: its name in the configuration. */
export const VOLUME_LABEL = "watch-party.volume";
/** Of a temporary container: the process that removes it. */
export const OWNER_LABEL = "watch-party.owner";
/** Of a container with a service's release command. A service may have any name, also one that ends in `-release`. */
export const RELEASE_COMMAND_LABEL = "watch-party.release-command";
/** Of a container with a one-off command: its stack and service. */
export const RUN_LABEL = "watch-party.run";
