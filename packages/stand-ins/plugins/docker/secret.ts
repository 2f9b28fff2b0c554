/** docker.Secret. */

import type { Resource } from "../serve";
import { text } from "../values";
import { api, apiOrNothing } from "./api";
import { bridged } from "./bridged";
import { deleteWithPatience, labelList, labelMap } from "./network-volume";

interface SecretInspect {
  ID: string;
  Spec: { Name: string; Labels: Record<string, string> | null };
}

export const secret: Resource = bridged({
  fields: {
    name: { force: true },
    data: { force: true, computed: true },
    labels: { force: true, set: true, keys: ["label", "value"] },
  },
  defaults: {},
  plan: (inputs, computed) => ({ ...computed(["id"]), ...inputs }),

  async create(inputs) {
    // The engine reveals a secret only to tasks, so the state keeps the program's value.
    const body = { Name: inputs.name, Data: text(inputs.data), Labels: labelMap(inputs) };
    const { ID } = await api<{ ID: string }>("POST", "/secrets/create", { body }).catch((error: Error) => {
      throw new Error(`Unable to create secret: ${error.message}`);
    });
    return ID;
  },

  async read(id) {
    const found = await apiOrNothing<SecretInspect>("GET", `/secrets/${id}`);
    if (found === undefined) return undefined;
    return { id: found.ID, name: found.Spec.Name, labels: labelList(found.Spec.Labels) };
  },

  delete: (id) => deleteWithPatience(`/secrets/${id}`, /is in use by/, "secret"),
});
