import {
  Accessory,
  BuildCachePrune,
  ClusterNetwork,
  DependencyImage,
  Edge,
  EdgeFollowers,
  FreshImage,
  NetworkGuests,
  serveFront,
  stackVolumes,
  WebService,
} from "./components";
import { readConfig } from "./config";
import type { DeployConfig } from "./config/types";
import { spoken } from "./release/failure";
import { edgeArgs, prepareDeploy } from "./release/prepare";
import { outputsOf, publish } from "./release/publish";
import { ReleaseServices } from "./release/releaseServices";
import { ServiceImages } from "./release/serviceImages";
import { StackAccessories } from "./release/stackAccessories";

/** Configuration → plan → resources → proof → outputs. */
async function deploy(config: DeployConfig) {
  const prepared = await prepareDeploy(config);
  const { plan, labels, access } = prepared;
  // Containers run on the engine of `provider`; `commands` runs shell commands on its machine.
  const { provider, commands } = access;

  // The edge comes first: a port that is taken stops the deploy before anything is pruned or built.
  const edge = new Edge("edge", edgeArgs(prepared), { provider });

  // A new attempt prunes the build cache, then replaces every image. No image uses cacheFrom.
  const images = new ServiceImages(prepared);
  if (plan.kind === "build") {
    const { provider: builder } = images.builder;
    const prune = new BuildCachePrune("prune", images.pruneArgs(), { dependsOn: edge, provider: commands });
    for (const service of images.built) {
      const { name } = service;
      const dependsOn = [prune, ...images.earlierBuilds()];
      const dependencyArgs = images.dependencyArgs(service, prune);
      const dependencies =
        dependencyArgs &&
        new DependencyImage(`${name}.dependencies`, dependencyArgs, { provider: builder, dependsOn });
      const image = new FreshImage(name, images.imageArgs(service, prune, dependencies), {
        provider: builder,
        dependsOn: dependencies ? [...dependsOn, dependencies] : dependsOn,
      });
      images.prove(service, image, prune, dependencies);
    }
  }

  // Containers wait for the proof of their image. New ones start beside the old ones, which Pulumi removes last.
  const volumes = stackVolumes(prepared.volumes, labels, { provider });
  const overlay = config.cluster && new ClusterNetwork("cluster", { labels }, { provider });
  const accessories = new StackAccessories(prepared, { images, volumes, edge });
  for (const pinned of prepared.accessories)
    accessories.add(new Accessory(pinned.accessory.name, accessories.accessoryArgs(pinned), { provider }));
  accessories.backUp();
  // Services wait for the accessories and their backups. A release command runs before the first container of its service.
  const release = new ReleaseServices(prepared, { images, volumes, edge, overlay, accessories });
  for (const service of config.services)
    release.add(service, new WebService(service.name, release.serviceArgs(service), { provider }));
  const followerArgs = release.followerArgs();
  if (followerArgs) release.follow(new EdgeFollowers("edges", followerArgs, { provider }));
  const guestArgs = release.guestArgs();
  if (guestArgs) new NetworkGuests("guests", guestArgs, { provider: commands });

  // Switches the edge and proves what it serves: the first broken link fails the deploy, and the old release keeps serving.
  const published = publish(prepared, { services: release, images, volumes: volumes.record });
  return outputsOf(prepared, images, published);
}

/** A front has no source, no image and no release. */
async function program() {
  const config = readConfig();
  return config.front === undefined ? deploy(config) : serveFront(config);
}

export = () => program().catch(spoken);
