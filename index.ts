import {
  Accessory,
  BuildCachePrune,
  ClusterNetwork,
  DependencyImage,
  Edge,
  EdgeFollowers,
  FreshImage,
  NetworkGuests,
  stackVolumes,
  WebService,
} from "./components";
import { readConfig } from "./config";
import { newEdgeMemoryMb } from "./edge/size";
import { spoken } from "./release/failure";
import { prepareDeploy } from "./release/prepare";
import { outputsOf, publish } from "./release/publish";
import { ReleaseServices } from "./release/releaseServices";
import { ServiceImages } from "./release/serviceImages";
import { StackAccessories } from "./release/stackAccessories";

/** Configuration → plan → resources → proof → outputs. */
async function deploy() {
  const prepared = await prepareDeploy(readConfig());
  const { config, plan, labels, standing, access } = prepared;
  const { provider, commands } = access;
  const { listen, domain, services } = config;

  // The edge comes first: a port that is taken stops the deploy before anything is pruned or built.
  const memoryMb = newEdgeMemoryMb(config, prepared.engine);
  const edge = new Edge(
    "edge",
    { listen, domain, labels, memoryMb, handOver: standing?.handOver },
    { provider },
  );

  // The build cache is pruned before the builds; each new commit replaces the images, which are built without cacheFrom.
  const images = new ServiceImages(prepared);
  if (plan.kind === "build") {
    const { provider: builder } = images.builder;
    const prune = new BuildCachePrune("prune", images.prune(), { dependsOn: edge, provider: commands });
    for (const service of images.built) {
      const { name } = service;
      const dependsOn = [prune, ...images.turn()];
      const held = images.dependencies(service, prune);
      const dependencies =
        held && new DependencyImage(`${name}.dependencies`, held, { provider: builder, dependsOn });
      const image = new FreshImage(name, images.image(service, prune, dependencies), {
        provider: builder,
        dependsOn: dependencies ? [...dependsOn, dependencies] : dependsOn,
      });
      images.prove(service, image, prune, dependencies);
    }
    images.markBuilt();
  }

  // New containers start beside the old ones, which go when all else has succeeded.
  const volumes = stackVolumes(prepared.volumes, labels, { provider });
  const overlay = config.cluster && new ClusterNetwork("cluster", { labels }, { provider });
  const accessories = new StackAccessories(prepared, { images, volumes, edge });
  for (const pinned of prepared.accessories)
    accessories.add(new Accessory(pinned.accessory.name, accessories.accessory(pinned), { provider }));
  const release = new ReleaseServices(prepared, { images, volumes, edge, overlay, accessories });
  for (const service of services)
    release.add(service, new WebService(service.name, release.service(service), { provider }));
  const followers = release.followers();
  if (followers) release.follow(new EdgeFollowers("edges", followers, { provider }));
  const guests = release.guests();
  if (guests) new NetworkGuests("guests", guests, { provider: commands });

  // The switch of the edge, and every proof: the first broken link fails the deploy, and the old release keeps serving.
  const published = publish(prepared, { services: release, images, volumes: volumes.record });
  return outputsOf(prepared, images, published);
}

export = () => deploy().catch(spoken);
