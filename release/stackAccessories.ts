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

/** What accessories are connected to. */
interface Surroundings {
  readonly images: ServiceImages;
  readonly volumes: {
    mounts(
      of: AccessoryConfig,
    ): { readonly volumeName: pulumi.Output<string>; readonly containerPath: string }[];
  };
  readonly edge: { readonly containerId: pulumi.Output<string>; readonly network: pulumi.Output<string> };
}

/** The accessories of a stack: what their components are given, and what the services of a release wait for. */
export class StackAccessories {
  /** What a log does not repeat. */
  readonly secrets: readonly string[];
  private readonly running: pulumi.Output<DeployedAccessory>[] = [];
  private readonly built: pulumi.Output<unknown>;
  private waiting: pulumi.Output<Readonly<Record<string, string>>> | undefined;

  constructor(
    private readonly deploy: Prepared,
    private readonly at: Surroundings,
  ) {
    this.secrets = accessorySecretsOf(deploy.config);
    this.built = pulumi.all(deploy.config.services.map((service) => at.images.of(service).digest));
  }

  /** An accessory, whose container is replaced once the images are proven. */
  accessory({ accessory, imageId }: PinnedAccessory) {
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

  /** All of them, once they are healthy. */
  get deployed(): pulumi.Output<readonly DeployedAccessory[]> {
    return pulumi.all(this.running);
  }

  /**
   * `<NAME>_URL` of each, once they are healthy and the backups before a release command are taken. Undefined if there is nothing to
   * wait for.
   */
  get urls(): pulumi.Output<Readonly<Record<string, string>>> | undefined {
    const saves = this.saves();
    if (this.running.length === 0 && saves === undefined) return undefined;
    const plain = accessoryUrls(this.deploy.config.accessories);
    const known = this.secrets.length > 0 ? pulumi.secret(plain) : pulumi.output(plain);
    this.waiting ??= pulumi.all([known, this.deployed, saves]).apply(([urls]) => urls);
    return this.waiting;
  }

  private saving: pulumi.Output<void> | undefined;

  private saves(): pulumi.Output<void> | undefined {
    const { plan, engine, config, stack, last } = this.deploy;
    if (!plan.isNew || !engine || backupPlans(config).length === 0) return undefined;
    const take = () => backupBefore(engine, config, { stack, last: last.record?.deployment }).catch(fail);
    this.saving ??= this.built.apply(take);
    return this.saving;
  }
}
