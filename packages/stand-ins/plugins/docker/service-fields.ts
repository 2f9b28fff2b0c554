/** The inputs of a Swarm service, their defaults, and the changes that require a new service. Pure. */

import { type Changes, collect, topLevel } from "../diff";
import type { CheckReply, DiffReply } from "../serve";
import {
  equal,
  hasUnknown,
  isObject,
  objects,
  type Props,
  texts,
  tidyProps,
  UNKNOWN,
  type Value,
} from "../values";
import { shortDurations } from "./durations";
import { comparable } from "./fields";
import { withDefaults } from "./naming";

/** An object's keys: `true` for a value, a shape for an object or a list of objects. */
interface Shape {
  keys: { [key: string]: true | Shape };
  defaults?: Props;
}

const shape = (keys: string, nested: { [key: string]: Shape } = {}, defaults?: Props): Shape => ({
  keys: { ...Object.fromEntries(keys.split(" ").map((key) => [key, true as const])), ...nested },
  ...(defaults === undefined ? {} : { defaults }),
});

const label = shape("label value");
const rolling = shape(
  "delay failureAction maxFailureRatio monitor order parallelism",
  {},
  {
    delay: "0s",
    failureAction: "pause",
    maxFailureRatio: "0.0",
    monitor: "5s",
    order: "stop-first",
    parallelism: 1,
  },
);
const containerSpec = shape(
  "args capAdds capDrops commands dir env hostname image init isolation readOnly stopGracePeriod stopSignal sysctl user",
  {
    dnsConfig: shape("nameservers options searches"),
    healthcheck: shape(
      "interval retries startPeriod tests timeout",
      {},
      { interval: "0s", retries: 0, startPeriod: "0s", timeout: "0s" },
    ),
    hosts: shape("host ip"),
    labels: label,
    mounts: shape("readOnly source target type", {
      tmpfsOptions: shape("mode sizeBytes"),
      volumeOptions: shape("noCopy", { labels: label }),
    }),
    secrets: shape(
      "fileGid fileMode fileName fileUid secretId secretName",
      {},
      { fileGid: "0", fileMode: 0o444, fileUid: "0" },
    ),
  },
  { isolation: "default" },
);
const service = shape("name", {
  auth: shape("password serverAddress username"),
  convergeConfig: shape("delay timeout", {}, { delay: "7s", timeout: "3m" }),
  endpointSpec: shape("mode", {
    ports: shape(
      "name protocol publishMode publishedPort targetPort",
      {},
      { protocol: "tcp", publishMode: "ingress" },
    ),
  }),
  labels: label,
  mode: shape("global", { replicated: shape("replicas", {}, { replicas: 1 }) }),
  rollbackConfig: rolling,
  taskSpec: shape("forceUpdate runtime", {
    containerSpec,
    logDriver: shape("name options"),
    networksAdvanceds: shape("aliases driverOpts id name"),
    placement: shape("constraints maxReplicas prefs"),
    resources: shape("", {
      limits: shape("memoryBytes nanoCpus"),
      reservation: shape("memoryBytes nanoCpus"),
    }),
    restartPolicy: shape("condition delay maxAttempts window"),
  }),
  updateConfig: rolling,
});

/** Failures for unsupported inputs, at any depth. */
export function unsupportedInputs(news: Props): CheckReply["failures"] {
  const reason = "the stand-in for the plugin docker does not support this input";
  const unknownKeys = ({ keys }: Shape, value: Value | undefined, path: string): string[] => {
    const parts = Array.isArray(value) ? value.filter(isObject) : isObject(value) ? [value] : [];
    return parts.flatMap((part) =>
      Object.entries(part).flatMap(([key, inner]) => {
        const known = keys[key];
        if (known === undefined) return [`${path}${key}`];
        return known === true ? [] : unknownKeys(known, inner, `${path}${key}.`);
      }),
    );
  };
  return [...new Set(unknownKeys(service, tidyProps(news), ""))].map((property) => ({ property, reason }));
}

/** The inputs as Check returns them. */
export function serviceInputs(news: Props): Props {
  const filled = ({ keys, defaults = {} }: Shape, value: Props): Props => {
    const inputs: Props = {};
    for (const [key, inner] of Object.entries(value)) {
      const known = keys[key];
      const each = (item: Value): Value =>
        isObject(item) && known !== undefined && known !== true ? filled(known, item) : item;
      inputs[key] = Array.isArray(inner) ? inner.map(each) : each(inner);
    }
    return withDefaults(inputs, defaults);
  };
  return filled(service, tidyProps(news));
}

/** Values that the engine sets if the program does not. Their presence is then no change. */
const computed =
  /^(labels|mode|taskSpec\.(placement|resources|forceUpdate|runtime)|taskSpec\.containerSpec\.(dnsConfig|healthcheck|init|stopGracePeriod))$/;
/** Properties that cannot change on an existing service. */
const forced =
  /^(name|auth\b.*|mode\.global|mode\.replicated|taskSpec\.networksAdvanceds|taskSpec\.containerSpec\.labels)$/;
/** Lists whose order does not matter. */
const sets = ["hosts", "labels", "mounts", "networksAdvanceds", "secrets", "constraints", "prefs", "aliases"];

/** Answers Diff. A service with an explicit name is deleted first, because two services cannot have the same name. */
export function diffService(olds: Props, news: Props): DiffReply {
  const { id: _, convergeConfig: __, ...before } = sorted(olds) as Props;
  const { convergeConfig: ___, ...after } = sorted(tidyProps(news)) as Props;
  const changes: Changes = {};
  for (const key of new Set([...Object.keys(before), ...Object.keys(after)]))
    collect(key, comparable(before[key]), comparable(after[key]), changes);
  const differs = asSets(changes, before, after);
  for (const [path, change] of Object.entries(differs))
    if (change === "DELETE" && computed.test(path)) delete differs[path];
  for (const key of differs[SYSCTLS] === "ADD" && !lacksSysctl(olds) ? Object.keys(sysctlOf(news)) : []) {
    delete differs[SYSCTLS];
    differs[`${SYSCTLS}["${key}"]`] = "ADD";
  }
  if (lacksSysctl(olds) && lacksSysctl(news)) differs[SYSCTLS] = "ADD";
  else
    for (const path of Object.keys(differs).filter((each) => each.startsWith(SYSCTLS)))
      differs[path] = `${differs[path]}_REPLACE` as Changes[string];
  for (const path of Object.keys(differs).filter((each) => forced.test(each)))
    if (named.test(path)) differs[path] = `${differs[path]}_REPLACE` as Changes[string];
    // The bridge does not report paths within a set. It only reports that something requires a new service.
    else differs.__meta = "UPDATE_REPLACE";
  const replaces = Object.keys(differs).filter((path) => differs[path]?.endsWith("_REPLACE"));
  return {
    changes: differs,
    replaces: [...new Set(replaces.map(topLevel))],
    deleteBeforeReplace: replaces.length > 0 && !texts(news.__defaults).includes("name"),
    detailed: true,
  };
}

const SYSCTLS = "taskSpec.containerSpec.sysctl";
/** The forced properties whose path the bridge reports. */
const named = /^(name|taskSpec\.containerSpec\.labels)$/;

/**
 * The official plugin writes no sysctl after Create, but an empty one after Update, which shows as a change at the next
 * `up`.
 */
function lacksSysctl({ taskSpec }: Props): boolean {
  const spec = isObject(taskSpec) ? taskSpec.containerSpec : undefined;
  return isObject(spec) && (spec.sysctl === undefined || spec.sysctl === null);
}

function sysctlOf({ taskSpec }: Props): Props {
  const spec = isObject(taskSpec) ? taskSpec.containerSpec : undefined;
  return isObject(spec) && isObject(spec.sysctl) ? spec.sysctl : {};
}

/** Reports that a set differs, but not which elements. */
function asSets(changes: Changes, before: Props, after: Props): Changes {
  const told: Changes = {};
  for (const [path, change] of Object.entries(changes)) {
    const set = sets.map((name) => new RegExp(`^(.*\\b${name})\\[`).exec(path)?.[1]).find((of) => of);
    told[set ?? path] = set === undefined ? change : "UPDATE";
  }
  // A network that is being replaced counts as different, whichever of its keys is unknown.
  const networks = ({ taskSpec }: Props) => (isObject(taskSpec) ? taskSpec.networksAdvanceds : undefined);
  if (hasUnknown(networks(after)) && !equal(networks(before) ?? null, networks(after) ?? null))
    told["taskSpec.networksAdvanceds"] = "UPDATE";
  return told;
}

/** Sets in a fixed order. */
function sorted(value: Value, key = ""): Value {
  if (isObject(value))
    return Object.fromEntries(
      Object.entries(value).flatMap(([name, inner]) => (inner === null ? [] : [[name, sorted(inner, name)]])),
    );
  if (!Array.isArray(value)) return value;
  const items = value.map((item) => sorted(item));
  return sets.includes(key) ? items.sort((a, b) => (order(a) < order(b) ? -1 : 1)) : items;
}

function order(value: Value): string {
  const plain = comparable(value);
  return JSON.stringify(isObject(plain) ? Object.entries(plain).sort() : plain);
}

/** The outputs of a service that was created or changed according to its inputs. */
export function serviceState(news: Props): Props {
  const { convergeConfig, ...others } = tidyProps(news);
  const { taskSpec, endpointSpec, mode, labels, ...inputs } = shortDurations(others) as Props;
  const task = isObject(taskSpec) ? taskSpec : {};
  return {
    ...inputs,
    // Not sent to the engine, so it keeps its notation.
    ...(convergeConfig === undefined ? {} : { convergeConfig }),
    endpointSpec: { ports: [], ...(isObject(endpointSpec) ? endpointSpec : {}) },
    labels: labels ?? [],
    mode: { global: false, ...(isObject(mode) ? mode : { replicated: { replicas: 1 } }) },
    taskSpec: {
      forceUpdate: 0,
      placement: {},
      resources: {},
      runtime: "container",
      ...task,
      containerSpec: {
        init: false,
        readOnly: false,
        ...(isObject(task.containerSpec) ? task.containerSpec : {}),
      },
      networksAdvanceds: objects(task.networksAdvanceds).map((network) => ({
        aliases: [],
        driverOpts: [],
        id: "",
        name: "",
        ...network,
      })),
      restartPolicy: {
        maxAttempts: 0,
        window: "0s",
        ...(isObject(task.restartPolicy) ? task.restartPolicy : {}),
      },
    },
  };
}

/** The outputs in a preview. Values that only the engine knows are unknown. */
export function previewServiceState(news: Props): Props {
  const state = serviceState(news);
  const given = isObject(news.taskSpec) ? news.taskSpec : {};
  const unknown = ["forceUpdate", "placement", "resources", "runtime"].filter(
    (key) => given[key] === undefined,
  );
  return {
    ...state,
    id: UNKNOWN,
    taskSpec: { ...(state.taskSpec as Props), ...Object.fromEntries(unknown.map((key) => [key, UNKNOWN])) },
  };
}
