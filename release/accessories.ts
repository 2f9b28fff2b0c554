import * as pulumi from "@pulumi/pulumi";
import type { AccessoryConfig } from "../config/types";
import type { DockerEngine } from "../engine/docker";
import { NAMESPACE } from "../freshness/project";
import { resolveImage } from "./accessory";
import type { DeployRecord } from "./record";

/** An accessory and the image that it runs. */
export interface PinnedAccessory {
  readonly accessory: AccessoryConfig;
  readonly imageId: string;
}

const PINNED = /(^|@)sha256:[0-9a-f]{64}$/;

/**
 * Resolves the images of accessories. Reuses the image that the last deploy resolved for the same name: a tag that
 * points to another image today does not change what runs.
 * @param engine absent in a preview
 */
export async function pinAccessories(
  accessories: readonly AccessoryConfig[],
  record: DeployRecord | undefined,
  engine: DockerEngine | undefined,
): Promise<PinnedAccessory[]> {
  const pinned = accessories.map(async (accessory) => {
    const { name, image } = accessory;
    const before = record?.deployment.accessories?.find((each) => each.name === name && each.image === image);
    if (before) return { accessory, imageId: before.imageId };
    const found =
      engine && (await resolveImage(engine, image).catch((cause: Error) => notFound(name, cause)));
    if (!PINNED.test(image)) await pulumi.log.warn(unpinned(accessory, found));
    return { accessory, imageId: found?.id ?? image };
  });
  return Promise.all(pinned);
}

function notFound(name: string, { message }: Error): never {
  throw new pulumi.RunError(`${NAMESPACE}:accessories.${name}.image: ${message}`);
}

function unpinned(
  { name, image }: AccessoryConfig,
  found: { id: string; digest?: string } | undefined,
): string {
  const digest = found?.digest?.replace(/^.*@/, "");
  const pin = digest === undefined ? found?.id : `${image}@${digest}`;
  const write = pin === undefined ? "" : `; to pin it for every engine, set it to ${pin}`;
  return `${NAMESPACE}:accessories.${name}.image is ${image}, a tag that may mean another image tomorrow: this stack keeps the one that it finds now${write}`;
}
