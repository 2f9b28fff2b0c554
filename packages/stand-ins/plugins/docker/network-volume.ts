/** docker.Network and docker.Volume. */

import { setTimeout as sleep } from "node:timers/promises";
import type { Resource } from "../serve";
import { objects, type Props, text, textMap, tidyProps } from "../values";
import { api, apiOrNothing, EngineError } from "./api";
import { bridged } from "./bridged";
import type { Fields } from "./fields";

/** The same time as the official plugin waits for a network. */
const PATIENCE_MS = 30_000;

const networkFields: Fields = {
  name: { force: true },
  attachable: { force: true },
  driver: { force: true, computed: true },
  internal: { force: true, computed: true },
  ipamDriver: { force: true },
  ipv6: { force: true },
  labels: { force: true, set: true, keys: ["label", "value"] },
  options: { force: true, computed: true },
};

interface NetworkInspect {
  Id: string;
  Name: string;
  Driver: string;
  Scope: string;
  Internal: boolean;
  Attachable: boolean;
  Ingress: boolean;
  EnableIPv6: boolean;
  Options: Record<string, string> | null;
  Labels: Record<string, string> | null;
  IPAM: { Driver: string; Config: { Subnet?: string; Gateway?: string; IPRange?: string }[] | null };
}

export const network: Resource = bridged({
  fields: networkFields,
  defaults: { ipamDriver: "default" },
  plan: (inputs, computed) => ({
    ...computed(["driver", "id", "internal", "ipamConfigs", "options", "scope"]),
    ...inputs,
  }),

  async create(inputs) {
    const { Id } = await api<{ Id: string }>("POST", "/networks/create", {
      body: {
        Name: inputs.name,
        CheckDuplicate: true,
        Driver: inputs.driver ?? "bridge",
        Internal: inputs.internal === true,
        Attachable: inputs.attachable === true,
        EnableIPv6: inputs.ipv6 === true,
        IPAM: { Driver: inputs.ipamDriver },
        Options: textMap(inputs.options),
        Labels: labelMap(inputs),
      },
    }).catch((error: Error) => {
      throw new Error(`Unable to create network: ${error.message}`);
    });
    // A Swarm reports a network's driver only after a manager has allocated the network. Without it, the next `up`
    // would replace the network.
    const path = `/networks/${encodeURIComponent(Id)}`;
    for (const deadline = Date.now() + PATIENCE_MS; ; await sleep(100)) {
      if ((await apiOrNothing<NetworkInspect>("GET", path))?.Driver !== "") return Id;
      if (Date.now() > deadline)
        throw new Error(
          `Unable to create network: no manager has allocated it within ${PATIENCE_MS / 1000} s`,
        );
    }
  },

  async read(id) {
    const found = await apiOrNothing<NetworkInspect>("GET", `/networks/${encodeURIComponent(id)}`);
    if (found === undefined) return undefined;
    return {
      attachable: found.Attachable,
      driver: found.Driver,
      id: found.Id,
      ingress: found.Ingress,
      internal: found.Internal,
      ipamConfigs: (found.IPAM.Config ?? []).map(({ Subnet, Gateway, IPRange }) => ({
        auxAddress: {},
        gateway: Gateway ?? "",
        ipRange: IPRange ?? "",
        subnet: Subnet ?? "",
      })),
      ipamDriver: found.IPAM.Driver,
      ipv6: found.EnableIPv6,
      labels: labelList(found.Labels),
      name: found.Name,
      options: found.Options ?? {},
      scope: found.Scope,
    };
  },

  // A container that is being removed still uses its network for a moment.
  delete: (id) =>
    deleteWithPatience(
      `/networks/${encodeURIComponent(id)}`,
      /has active endpoints|is in use by (task|service)/,
      "network",
    ),
});

const volumeFields: Fields = {
  name: { force: true },
  driver: { force: true, computed: true },
  driverOpts: { force: true },
  labels: { force: true, set: true, keys: ["label", "value"] },
};

interface VolumeInspect {
  Name: string;
  Driver: string;
  Mountpoint: string;
  Labels: Record<string, string> | null;
  Options: Record<string, string> | null;
}

export const volume: Resource = bridged({
  fields: volumeFields,
  defaults: {},
  plan: (inputs, computed) => ({ ...computed(["driver", "id", "mountpoint"]), ...inputs }),

  async create(inputs) {
    const { Name } = await api<{ Name: string }>("POST", "/volumes/create", {
      body: {
        Name: inputs.name,
        Driver: text(inputs.driver) ?? "local",
        DriverOpts: textMap(inputs.driverOpts),
        Labels: labelMap(inputs),
      },
    }).catch((error: Error) => {
      throw new Error(`Unable to create volume: ${error.message}`);
    });
    return Name;
  },

  async read(id) {
    const found = await apiOrNothing<VolumeInspect>("GET", `/volumes/${encodeURIComponent(id)}`);
    if (found === undefined) return undefined;
    return {
      driver: found.Driver,
      driverOpts: found.Options ?? {},
      id: found.Name,
      labels: labelList(found.Labels),
      mountpoint: found.Mountpoint,
      name: found.Name,
    };
  },

  delete: (id) => deleteWithPatience(`/volumes/${encodeURIComponent(id)}`, /volume is in use/, "volume"),
});

/** Labels in the engine's format. */
export function labelMap(inputs: Props): Record<string, string> {
  return Object.fromEntries(
    objects(inputs.labels).map(({ label, value }) => [String(label), String(value ?? "")]),
  );
}

/** Labels in the state's format. */
export function labelList(labels: Record<string, string> | null): Props[] {
  return Object.entries(labels ?? {}).map(([label, value]) => tidyProps({ label, value }));
}

/** Deletes a resource that another one, which is being removed, may still use for a moment. */
export async function deleteWithPatience(path: string, busy: RegExp, what: string): Promise<void> {
  const deadline = Date.now() + PATIENCE_MS;
  for (;;) {
    try {
      await apiOrNothing("DELETE", path);
      return;
    } catch (error) {
      const mayPass = error instanceof EngineError && busy.test(error.message) && Date.now() < deadline;
      if (!mayPass) throw new Error(`Unable to remove ${what}: ${(error as Error).message}`);
      await sleep(500);
    }
  }
}
