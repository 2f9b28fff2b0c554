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
    // A read, as an update, writes a sysctl where there is none.
    const state = settled({ ...properties, ...seen(properties), labels: sameLabels(properties, found), id });
    return { id, properties: state, inputs: { ...inputs, ...seen(inputs) } };
  },

  async update({ id, urn, news, preview }) {
    const planned = settled({ ...serviceState(news), id });
    if (preview) return planned;
    try {
      await updateConverged(id, tidyProps(revealProps(news)));
    } catch (error) {
      // What was asked for is what the state keeps: the next `up` asks again.
      const reason = framed(error);
      const properties = unsettled(planned, news);
      const message = `updating ${urn}: ${reason}`;
      throw new InitFailed(message, { id, properties, inputs: news, reasons: [message] });
    }
    return planned;
  },

  delete: ({ id, properties }) => oneError(remove(id, revealProps(properties))),
};

/** How long a swarm may go on changing a service that is to be updated. */
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
    // It is in no state: left there, nothing would ever remove it.
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
      // The swarm itself has changed it since, as it does when it gives a new service its addresses.
      if (!/update out of sequence/.test((error as Error).message) || Date.now() > deadline) throw error;
    }
  }
  await converge(id, inputs);
}

/** Who pulls: the managers hand it to each node. */
function credentials({ auth }: Props): Record<string, string> {
  if (!isObject(auth)) return {};
  const { username, password, serverAddress: serveraddress } = auth;
  const encoded = Buffer.from(JSON.stringify({ username, password, serveraddress })).toString("base64url");
  return { "X-Registry-Auth": encoded };
}

/** Waits until all tasks run as the service says, where the program asks for that. A task runs once it is healthy. */
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

/** Whether as many tasks as are wanted run, all of the service as it is now. */
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

/** What the engine says of a service, in a bag that has it: of what the program was silent on, nothing is added. */
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
      // The engine tells the ID alone: a network that the program names is another one after a refresh.
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

/** The engine's labels have an order of its own. */
function sameLabels({ labels }: Props, { Spec }: ServiceInspect): Props[] {
  const known = objects(labels);
  const found = labelList(Spec.Labels);
  const isSame =
    known.length === found.length &&
    known.every((label) => found.some((other) => equal(tidyProps(label), other)));
  return isSame ? known : found;
}

/** After an update the official plugin writes a sysctl, after Create it does not. */
function settled(state: Props): Props {
  const task = isObject(state.taskSpec) ? state.taskSpec : {};
  const spec = isObject(task.containerSpec) ? task.containerSpec : {};
  return { ...state, taskSpec: { ...task, containerSpec: { sysctl: {}, ...spec } } };
}

/** After a failed update the state has what was planned, in which what the engine fills in is not yet known. */
function unsettled(planned: Props, news: Props): Props {
  const asked = isObject(news.taskSpec) ? news.taskSpec : {};
  const policy: Props = isObject(asked.restartPolicy) ? { restartPolicy: asked.restartPolicy } : {};
  return { ...planned, taskSpec: { ...(planned.taskSpec as Props), ...policy } };
}

/**
 * Removes a service, and waits for the containers of its tasks: no longer than they may take to end, so that one which takes all
 * of it is a failure, as with the official plugin. The service is gone then.
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

/** The containers of a service's tasks that have not been shut down. */
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
