import * as pulumi from "@pulumi/pulumi";
import { accessorySecretsOf } from "../config/secrets";
import type { AccessoryConfig } from "../config/types";
import type { DeployedAccessory } from "../freshness/container/accessory";
import { accessoryUrls } from "../freshness/container/products";
import type { PinnedAccessory } from "./accessories";
import { backupBefore, backupPlans } from "./backup";
import { fail } from "./failure";
import type { Prepared } from "./prepare";
import type { ServiceImages } from "./serviceImages";

/** The inputs that all accessories share. */
interface Surroundings {
  readonly images: ServiceImages;
  readonly volumes: {
    mounts(
      of: AccessoryConfig,
    ): { readonly volumeName: pulumi.Output<string>; readonly containerPath: string }[];
  };
  readonly edge: { readonly containerId: pulumi.Output<string>; readonly network: pulumi.Output<string> };
}

/** The accessories of a stack: the inputs of their components, and the outputs that a release's services wait for. */
export class StackAccessories {
  /** Values that logs must not contain. */
  readonly secrets: readonly string[];
  private readonly running: pulumi.Output<DeployedAccessory>[] = [];
  private readonly built: pulumi.Output<unknown>;
  private saved: pulumi.Output<void> | undefined;
  private waiting: pulumi.Output<Readonly<Record<string, string>>> | undefined;

  constructor(
    private readonly deploy: Prepared,
    private readonly at: Surroundings,
  ) {
    this.secrets = accessorySecretsOf(deploy.config);
    this.built = pulumi.all(deploy.config.services.map((service) => at.images.of(service).digest));
  }

  /** The inputs of an accessory. Its container is replaced once the images are proven. */
  accessoryArgs({ accessory, imageId }: PinnedAccessory) {
    const { labels, engine } = this.deploy;
    const { edge, volumes } = this.at;
    return {
      accessory,
      imageId,
      network: edge.network,
      edge: edge.containerId,
      volumes: volumes.mounts(accessory),
      labels,
      after: this.built,
      engine,
    };
  }

  add({ deployed }: { readonly deployed: pulumi.Output<DeployedAccessory> }): void {
    this.running.push(deployed);
  }

  /** All accessories, once they are healthy. */
  get deployed(): pulumi.Output<readonly DeployedAccessory[]> {
    return pulumi.all(this.running);
  }

  /** Backs up what a new release's commands could damage, once the images are proven. */
  backUp(): void {
    const { plan, engine, config, stack, last } = this.deploy;
    if (!plan.isNew || !engine || backupPlans(config).length === 0) return;
    this.saved = this.built.apply(() =>
      backupBefore(engine, config, { stack, last: last.record?.deployment }).catch(fail),
    );
  }

  /**
   * `<NAME>_URL` of each accessory, once they are healthy and the backups are done. Undefined if there is nothing to wait
   * for.
   */
  get urls(): pulumi.Output<Readonly<Record<string, string>>> | undefined {
    if (this.running.length === 0 && this.saved === undefined) return undefined;
    const plain = accessoryUrls(this.deploy.config.accessories);
    const known = this.secrets.length > 0 ? pulumi.secret(plain) : pulumi.output(plain);
    this.waiting ??= pulumi.all([known, this.deployed, this.saved]).apply(([urls]) => urls);
    return this.waiting;
  }
}
