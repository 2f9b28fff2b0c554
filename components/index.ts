/** The components, for other Pulumi programs: `import { BuildCachePrune, FreshImage } from "…/components"`. */

export { Accessory, type AccessoryArgs } from "./accessory";
export { BuildCachePrune, type BuildCachePruneArgs } from "./buildCachePrune";
export { ClusterNetwork } from "./clusterNetwork";
export { DependencyImage, type DependencyImageArgs } from "./dependencyImage";
export { Edge, type EdgeArgs } from "./edge";
export { EdgeFollowers, type EdgeFollowersArgs } from "./edgeFollowers";
export { FreshImage, type FreshImageArgs } from "./freshImage";
export { FreshService, type FreshServiceArgs } from "./freshService";
export { Front, type FrontArgs, serveFront } from "./front";
export { NetworkGuests, type NetworkGuestsArgs } from "./networkGuests";
export { type StackVolumes, stackVolumes } from "./stackVolumes";
export { WebService, type WebServiceArgs } from "./webService";
