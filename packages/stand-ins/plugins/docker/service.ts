/** docker.Service. */

import { setTimeout as sleep } from "node:timers/promises";
import { InitFailed } from "../errors";
import type { Resource } from "../serve";
import { equal, isObject, objects, type Props, revealProps, text, tidyProps } from "../values";
import { api, apiOrNothing } from "./api";
import { framed, oneError } from "./bridged";
import { nanoseconds } from "./container-request";
import { shortDurations } from "./durations";
import { nameFor } from "./naming";
import { labelList } from "./network-volume";
import {
  diffService,
  previewServiceState,
  serviceInputs,
  serviceState,
  unsupportedInputs,
} from "./service-fields";
import { serviceRequest } from "./service-request";

interface ServiceInspect {
  ID: string;
  Version: { Index: number };
  Spec: {
    Name: string;
    Labels: Record<string, string> | null;
    TaskTemplate: TaskSpec;
    Mode: { Replicated?: { Replicas: number }; Global?: object };
  };
  UpdateStatus?: { State: string; Message: string };
}

interface TaskSpec {
  ContainerSpec: Props & { Image: string; Env?: string[] };
  Networks?: { Target: string; Aliases?: string[] }[];
  ForceUpdate?: number;
}

interface Task {
  Spec: TaskSpec;
  Status: { State: string; Err?: string; ContainerStatus?: { ContainerID?: string } };
}

export const service: Resource = {
  async check(call) {
    const { name, made } = nameFor(call);
    const failures = unsupportedInputs(call.news) ?? [];
    if (call.news.taskSpec === undefined)
      failures.push({ property: "taskSpec", reason: "missing required property" });
    const inputs = serviceInputs({ ...call.news, name });
    return { inputs: made ? { ...inputs, __defaults: ["name"] } : inputs, failures };
  },

  diff: async ({ olds, news }) => diffService(olds, news),

  async create({ news, preview }) {
    if (preview) return { id: "", properties: previewServiceState(news) };
    const inputs = tidyProps(revealProps(news));
    const id = await oneError(createConverged(inputs));
    return { id, properties: { ...serviceState(news), id } };
  },

  async read({ id, properties, inputs }) {
    const found = await inspect(id);
    if (found === undefined) return undefined;
    const seen = asFound(found);
    // A read, like an update, writes a sysctl if there is none.
    const state = settled({ ...properties, ...seen(properties), labels: sameLabels(properties, found), id });
    return { id, properties: state, inputs: { ...inputs, ...seen(inputs) } };
  },

  async update({ id, urn, news, preview }) {
    const planned = settled({ ...serviceState(news), id });
    if (preview) return planned;
    try {
      await updateConverged(id, tidyProps(revealProps(news)));
    } catch (error) {
      // The state keeps the requested values, so that the next `up` tries again.
      const reason = framed(error);
      const properties = unsettled(planned, news);
      const message = `updating ${urn}: ${reason}`;
      throw new InitFailed(message, { id, properties, inputs: news, reasons: [message] });
    }
    return planned;
  },

  delete: ({ id, properties }) => oneError(remove(id, revealProps(properties))),
};

/** How long to retry an update while the Swarm itself changes the service. */
const SETTLED_MS = 10_000;

async function createConverged(inputs: Props): Promise<string> {
  const body = serviceRequest(inputs);
  const { ID } = await api<{ ID: string }>("POST", "/services/create", {
    body,
    headers: credentials(inputs),
  });
  try {
    await converge(ID, inputs);
    return ID;
  } catch (error) {
    // The service is not in the state, so Pulumi would never remove it.
    await remove(ID, inputs);
    throw error;
  }
}

async function updateConverged(id: string, inputs: Props): Promise<void> {
  const body = serviceRequest(inputs);
  for (const deadline = Date.now() + SETTLED_MS; ; await sleep(100)) {
    const found = await inspect(id);
    if (found === undefined) throw new Error(`Error response from daemon: service ${id} not found`);
    const query = { version: found.Version.Index };
    try {
      await api("POST", `/services/${id}/update`, { query, body, headers: credentials(inputs) });
      break;
    } catch (error) {
      // The Swarm has changed the service since, as when it assigns addresses to a new service.
      if (!/update out of sequence/.test((error as Error).message) || Date.now() > deadline) throw error;
    }
  }
  await converge(id, inputs);
}

/** The registry login. The managers pass it to each node. */
function credentials({ auth }: Props): Record<string, string> {
  if (!isObject(auth)) return {};
  const { username, password, serverAddress: serveraddress } = auth;
  const encoded = Buffer.from(JSON.stringify({ username, password, serveraddress })).toString("base64url");
  return { "X-Registry-Auth": encoded };
}

/** Waits until all tasks run as the service specifies, if the program requests that. A task runs once it is healthy. */
async function converge(id: string, { convergeConfig }: Props): Promise<void> {
  if (!isObject(convergeConfig)) return;
  const timeout = text(convergeConfig.timeout) ?? "3m";
  const deadline = Date.now() + nanoseconds(timeout) / 1e6;
  for (;;) {
    const found = await inspect(id);
    if (found === undefined) throw new Error(`service ${id} is gone`);
    const { State: state, Message: message = "" } = found.UpdateStatus ?? { State: "" };
    if (/^(rollback_completed|rollback_paused|paused)$/.test(state))
      throw new Error(
        `service ${state === "paused" ? "update paused" : state.replace("_", " ")}: ${message}`,
      );
    const tasks = await tasksOf(id);
    if (!/^(updating|rollback_started)$/.test(state) && isConverged(found, tasks)) return;
    if (Date.now() >= deadline) {
      const why = (await tasksOf(id, "shutdown")).map(({ Status }) => Status.Err).find((each) => each);
      const did = `Service with ID (${id}) did not converge after ${timeout}`;
      throw new Error(why === undefined ? did : `${did}: ${why}`);
    }
    await sleep(200);
  }
}

/** Whether the wanted number of tasks runs, all with the current specification. */
function isConverged({ Spec }: ServiceInspect, tasks: readonly Task[]): boolean {
  const { TaskTemplate: now, Mode } = Spec;
  const current = tasks.filter(
    ({ Spec: of, Status }) =>
      Status.State === "running" &&
      equal(of.ContainerSpec, now.ContainerSpec) &&
      (of.ForceUpdate ?? 0) === (now.ForceUpdate ?? 0),
  );
  const wanted = Mode.Replicated?.Replicas ?? Math.max(1, tasks.length);
  return current.length === wanted && tasks.length === wanted;
}

function tasksOf(id: string, state = "running"): Promise<Task[]> {
  const filters = JSON.stringify({ service: [id], "desired-state": [state] });
  return api<Task[]>("GET", "/tasks", { query: { filters } });
}

/** The engine's values for a service, only for properties that the inputs have. */
function asFound({ Spec }: ServiceInspect) {
  const { ContainerSpec: of, Networks = [] } = Spec.TaskTemplate;
  const env = Object.fromEntries(
    (of.Env ?? []).map((line) => [line.split("=", 1)[0] ?? "", line.slice(line.indexOf("=") + 1)]),
  );
  return (bag: Props): Props => {
    const task = isObject(bag.taskSpec) ? bag.taskSpec : {};
    const spec = isObject(task.containerSpec) ? task.containerSpec : {};
    const mode = isObject(bag.mode) ? bag.mode : {};
    const replicas = Spec.Mode.Replicated?.Replicas;
    const networks = objects(task.networksAdvanceds).map((network, at) => ({
      ...network,
      // The engine returns only the ID. A network given by name is a different one after a refresh.
      ...(network.name === undefined || network.name === "" ? {} : { name: "" }),
      ...("id" in network ? { id: Networks[at]?.Target ?? "" } : {}),
    }));
    return {
      name: Spec.Name,
      ...(isObject(mode.replicated) && replicas !== undefined
        ? { mode: { ...mode, replicated: { ...mode.replicated, replicas } } }
        : {}),
      taskSpec: {
        ...(shortDurations(task) as Props),
        ...(networks.length > 0 ? { networksAdvanceds: networks } : {}),
        containerSpec: {
          ...(shortDurations(spec) as Props),
          image: of.Image,
          ...(spec.env === undefined ? {} : { env }),
        },
      },
      ...(bag.updateConfig === undefined ? {} : { updateConfig: shortDurations(bag.updateConfig) }),
      ...(bag.rollbackConfig === undefined ? {} : { rollbackConfig: shortDurations(bag.rollbackConfig) }),
    };
  };
}

/** The engine returns labels in its own order. */
function sameLabels({ labels }: Props, { Spec }: ServiceInspect): Props[] {
  const known = objects(labels);
  const found = labelList(Spec.Labels);
  const isSame =
    known.length === found.length &&
    known.every((label) => found.some((other) => equal(tidyProps(label), other)));
  return isSame ? known : found;
}

/** The official plugin writes a sysctl after an update, but not after Create. */
function settled(state: Props): Props {
  const task = isObject(state.taskSpec) ? state.taskSpec : {};
  const spec = isObject(task.containerSpec) ? task.containerSpec : {};
  return { ...state, taskSpec: { ...task, containerSpec: { sysctl: {}, ...spec } } };
}

/** After a failed update the state has the planned values. Values that the engine fills in are still unknown. */
function unsettled(planned: Props, news: Props): Props {
  const asked = isObject(news.taskSpec) ? news.taskSpec : {};
  const policy: Props = isObject(asked.restartPolicy) ? { restartPolicy: asked.restartPolicy } : {};
  return { ...planned, taskSpec: { ...(planned.taskSpec as Props), ...policy } };
}

/**
 * Removes a service and waits for the containers of its tasks, but only as long as they may take to stop. As in the
 * official plugin, a container that uses all of that time is a failure, although the service is removed.
 */
async function remove(id: string, { taskSpec }: Props): Promise<void> {
  const spec = isObject(taskSpec) ? taskSpec.containerSpec : undefined;
  const grace = nanoseconds(isObject(spec) ? spec.stopGracePeriod : undefined) / 1e6;
  const containers = grace === 0 ? [] : await containersOf(id);
  await api("DELETE", `/services/${id}`);
  for (const container of containers) {
    const deadline = Date.now() + grace;
    while ((await apiOrNothing("GET", `/containers/${container}/json`)) !== undefined) {
      if (Date.now() > deadline)
        throw new Error(`error on wait for container with ID '${container}': context deadline exceeded`);
      await sleep(100);
    }
  }
}

/** The containers of a service's tasks that have not shut down. */
async function containersOf(id: string): Promise<string[]> {
  const filters = JSON.stringify({ service: [id] });
  const tasks = await api<Task[]>("GET", "/tasks", { query: { filters } });
  return tasks
    .filter(({ Status }) => Status.State !== "shutdown")
    .flatMap(({ Status }) => Status.ContainerStatus?.ContainerID || []);
}

function inspect(id: string): Promise<ServiceInspect | undefined> {
  return apiOrNothing<ServiceInspect>("GET", `/services/${id}`);
}
