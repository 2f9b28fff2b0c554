/** docker.Container. */

import { readFile } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { InitFailed } from "../errors";
import type { Resource } from "../serve";
import { equal, isObject, number, objects, type Props, revealProps, text, tidyProps } from "../values";
import { api, apiOrNothing, apiStream, EngineError } from "./api";
import { framed, oneError } from "./bridged";
import {
  containerFields,
  containerInputs,
  diffContainer,
  plannedState,
  previewState,
} from "./container-fields";
import { createRequest, endpoints, updateRequest } from "./container-request";
import { type ContainerInspect, createdState, drifting, refreshedState } from "./container-state";
import { comparable, unsupported } from "./fields";
import { nameFor } from "./naming";
import { tarOf } from "./tar";

/** What the engine can change on an existing container. Other changes without replacement are only recorded. */
const adjustable = ["restart", "maxRetryCount", "cpuShares", "cpuSet", "cpus", "memory", "memorySwap"];

export const container: Resource = {
  async check(call) {
    const { name } = nameFor(call);
    const failures = unsupported("docker", containerFields, call.news) ?? [];
    if (call.news.image === undefined)
      failures.push({ property: "image", reason: "missing required property" });
    return { inputs: containerInputs(call.news, name), failures };
  },

  diff: async ({ olds, news }) => diffContainer(olds, news),

  async create({ urn, news, preview }) {
    if (preview) return { id: "", properties: previewState(news) };
    const inputs = tidyProps(revealProps(news));
    const id = await oneError(createOnly(inputs));
    try {
      await bringUp(id, inputs);
      return { id, properties: createdState(news, await inspect(id)) };
    } catch (error) {
      // The container exists. Report it to the engine, so that Pulumi removes it later.
      const reason = framed(error);
      const properties = { ...plannedState(news), id };
      const message = `creating ${urn}: ${reason}`;
      throw new InitFailed(message, { id, properties, inputs: news, reasons: [message] });
    }
  },

  async read({ id, properties, inputs }) {
    const found = await apiOrNothing<ContainerInspect>("GET", `/containers/${id}/json`);
    if (found === undefined) return undefined;
    const state = refreshedState(properties, found);
    return { id, properties: state, inputs: driftedInputs(inputs, state) };
  },

  async update({ id, olds, news, preview }) {
    const planned: Props = { ...olds, ...plannedState(news) };
    for (const [path, change] of Object.entries(diffContainer(olds, news).changes)) {
      if (change === "DELETE") delete planned[path];
    }
    // Equal values keep the notation of the state.
    for (const [key, value] of Object.entries(olds)) {
      if (key in planned && equal(comparable(value), comparable(planned[key]))) planned[key] = value;
    }
    // A number that is no longer set is removed from the state, until a refresh reads the engine's value.
    for (const key of ["memory", "memorySwap", "cpuShares", "maxRetryCount"])
      if (olds[key] !== undefined && news[key] === undefined) planned[key] = 0;
    if (preview) return planned;
    if (olds.mustRun === false && news.mustRun !== false && news.start !== false) await oneError(start(id));
    const changed = adjustable.some((key) => !equal(comparable(olds[key]), comparable(news[key])));
    if (changed) await oneError(adjust(id, tidyProps(revealProps(news))));
    return planned;
  },

  delete: ({ id, properties }) => oneError(remove(id, revealProps(properties))),
};

async function createOnly(inputs: Props): Promise<string> {
  await requireImage(String(inputs.image));
  try {
    const query = { name: text(inputs.name) };
    const { Id } = await api<{ Id: string }>("POST", "/containers/create", {
      query,
      body: createRequest(inputs),
    });
    return Id;
  } catch (error) {
    throw new Error(`Unable to create container: ${(error as Error).message}`);
  }
}

/** Pulls the image if the engine does not have it. An ID cannot be pulled. */
async function requireImage(image: string): Promise<void> {
  if ((await apiOrNothing("GET", `/images/${encodeURIComponent(image)}/json`)) !== undefined) return;
  try {
    if (/^(sha256:)?[0-9a-f]{64}$/.test(image))
      throw new Error("Error response from daemon: no such image on this engine");
    const tag = image.includes("@") || /:[^/]+$/.test(image) ? undefined : "latest";
    await apiStream("POST", "/images/create", { query: { fromImage: image, tag } });
  } catch (error) {
    const detail = `error pulling image ${image}: ${(error as Error).message}`;
    throw new Error(
      `Unable to create container with image ${image}: unable to pull image ${image}: ${detail}`,
    );
  }
}

async function bringUp(id: string, inputs: Props): Promise<void> {
  await connect(id, inputs);
  for (const upload of objects(inputs.uploads)) await put(id, upload);
  if (inputs.start === false) return;
  await start(id);
  if (inputs.wait === true) await becomeHealthy(id, number(inputs.waitTimeout) || 60);
}

async function start(id: string): Promise<void> {
  await api("POST", `/containers/${id}/start`).catch((error: Error) => {
    throw new Error(`Unable to start container: ${error.message}`);
  });
}

/** The inputs, with the values that differ on the engine. */
function driftedInputs(inputs: Props, state: Props): Props {
  const known = { ...inputs };
  for (const key of drifting) {
    const [input, found] = [known[key], state[key]];
    if (input === undefined || equal(comparable(input), comparable(found))) continue;
    // A port that the engine chose does not count as set by the program.
    if (key === "ports" && objects(input).length === objects(found).length) continue;
    known[key] =
      isObject(input) && isObject(found) ? { __defaults: input.__defaults ?? [], ...found } : (found ?? null);
  }
  return known;
}

/** Replaces the default network with the program's networks. */
async function connect(id: string, inputs: Props): Promise<void> {
  const wanted = endpoints(inputs);
  if (wanted.length === 0) return;
  try {
    await api("POST", "/networks/bridge/disconnect", { body: { Container: id, Force: false } });
  } catch (error) {
    const unconnected = error instanceof EngineError && /is not connected to/.test(error.message);
    if (!unconnected)
      throw new Error(`Unable to disconnect the default network: ${(error as Error).message}`);
  }
  for (const { network, settings } of wanted) {
    const body = { Container: id, EndpointConfig: settings };
    await api("POST", `/networks/${encodeURIComponent(network)}/connect`, { body }).catch((error: Error) => {
      throw new Error(`Unable to connect to network '${network}': ${error.message}`);
    });
  }
}

async function put(id: string, upload: Props): Promise<void> {
  const { content, contentBase64, source } = upload;
  const given = [content, contentBase64, source].filter((value) => text(value) !== undefined && value !== "");
  if (given.length !== 1) {
    throw new Error("error with upload content: one of 'content', 'contentBase64', or 'source' must be set");
  }
  const bytes = content
    ? Buffer.from(String(content))
    : contentBase64
      ? Buffer.from(String(contentBase64), "base64")
      : await readFile(String(source));
  const mode = upload.permissions
    ? Number.parseInt(String(upload.permissions), 8)
    : upload.executable
      ? 0o744
      : 0o644;
  const body = tarOf(String(upload.file), bytes, mode);
  await api("PUT", `/containers/${id}/archive`, { query: { path: "/" }, body }).catch((error: Error) => {
    throw new Error(`Unable to upload volume content: ${error.message}`);
  });
}

/** Waits for the health check. An unhealthy container gets the full time, because it may recover. */
async function becomeHealthy(id: string, seconds: number): Promise<void> {
  const deadline = Date.now() + seconds * 1000;
  for (;;) {
    const { State, HostConfig } = await inspect(id);
    if (State.Health?.Status === "healthy") return;
    if (State.Health === undefined && State.Running) {
      throw new Error("container failed to be in healthy state: neither it nor its image has a health check");
    }
    // A container that exited and is not restarted does not recover.
    const ended = !State.Running && /^(no)?$/.test(HostConfig.RestartPolicy.Name);
    if (ended || Date.now() >= deadline) throw new Error("container failed to be in healthy state");
    await sleep(Math.min(250, Math.max(1, deadline - Date.now())));
  }
}

async function adjust(id: string, inputs: Props): Promise<void> {
  await api("POST", `/containers/${id}/update`, { body: updateRequest(inputs) }).catch((error: Error) => {
    throw new Error(`Unable to update a container: ${error.message}`);
  });
}

async function remove(id: string, properties: Props): Promise<void> {
  const grace = number(properties.destroyGraceSeconds) ?? 0;
  const path = `/containers/${id}`;
  if (grace > 0) {
    await apiOrNothing("POST", `${path}/stop`, { query: { t: grace } }).catch((error: Error) => {
      throw new Error(`Error stopping container ${id}: ${error.message}`);
    });
  }
  try {
    await apiOrNothing("DELETE", path, { query: { force: true, v: properties.removeVolumes !== false } });
  } catch (error) {
    const underWay = error instanceof EngineError && /is already in progress/.test(error.message);
    if (!underWay) throw new Error(`Error deleting container ${id}: ${(error as Error).message}`);
  }
  while ((await apiOrNothing("GET", `${path}/json`)) !== undefined) await sleep(100);
}

function inspect(id: string): Promise<ContainerInspect> {
  return api<ContainerInspect>("GET", `/containers/${id}/json`);
}
