/** The inputs of a container, and which of them the engine can change on an existing container. */

import type { DiffReply } from "../serve";
import { isObject, objects, type Props, tidyProps, UNKNOWN } from "../values";
import { diffFields, type Fields, reply } from "./fields";
import { withDefaults } from "./naming";

const force = { force: true };
const computed = { force: true, computed: true };
const set = { force: true, set: true };

export const containerFields: Fields = {
  capabilities: { force: true, keys: ["adds", "drops"] },
  command: computed,
  containerReadRefreshTimeoutMilliseconds: {},
  cpuSet: {},
  cpuShares: {},
  cpus: {},
  destroyGraceSeconds: {},
  dns: set,
  dnsOpts: set,
  dnsSearches: set,
  domainname: force,
  entrypoints: computed,
  envs: { force: true, computed: true, set: true },
  groupAdds: set,
  healthcheck: { keys: ["interval", "retries", "startInterval", "startPeriod", "tests", "timeout"] },
  hostname: computed,
  hosts: { force: true, set: true, keys: ["host", "ip"] },
  image: force,
  init: computed,
  ipcMode: computed,
  labels: { force: true, computed: true, set: true, keys: ["label", "value"] },
  logDriver: computed,
  logOpts: force,
  maxRetryCount: {},
  memory: {},
  memoryReservation: {},
  memorySwap: {},
  mounts: {
    force: true,
    set: true,
    keys: ["type", "source", "target", "readOnly", "bindOptions", "tmpfsOptions", "volumeOptions"],
  },
  mustRun: {},
  name: force,
  networkMode: force,
  networksAdvanced: { force: true, set: true, keys: ["name", "aliases", "ipv4Address", "ipv6Address"] },
  pidMode: force,
  ports: { force: true, keys: ["internal", "external", "ip", "protocol"] },
  privileged: force,
  publishAllPorts: force,
  readOnly: force,
  removeVolumes: {},
  restart: { blank: "no" },
  runtime: computed,
  securityOpts: { force: true, computed: true, set: true },
  shmSize: computed,
  start: {},
  stdinOpen: force,
  stopSignal: computed,
  stopTimeout: computed,
  sysctls: force,
  tmpfs: {},
  tty: force,
  ulimits: { force: true, set: true, keys: ["name", "soft", "hard"] },
  uploads: {
    force: true,
    set: true,
    keys: ["file", "content", "contentBase64", "source", "sourceHash", "executable", "permissions"],
  },
  user: computed,
  usernsMode: force,
  volumes: {
    force: true,
    set: true,
    keys: ["containerPath", "fromContainer", "hostPath", "readOnly", "volumeName"],
  },
  wait: {},
  waitTimeout: {},
  workingDir: computed,
};

/** Defaults of an object in a list. */
const objectDefaults: { [key: string]: Props } = {
  healthcheck: { interval: "0s", retries: 0, startInterval: "0s", startPeriod: "0s", timeout: "0s" },
  ports: { ip: "0.0.0.0", protocol: "tcp" },
};

/** Objects with fixed keys. The keys of other objects belong to the program. */
const structured = ["capabilities", "healthcheck"];

/** The inputs as Check returns them. */
export function containerInputs(news: Props, name: string): Props {
  const inputs: Props = {};
  for (const [key, value] of Object.entries(tidyProps(news))) {
    const defaults = objectDefaults[key] ?? {};
    if (Array.isArray(value))
      inputs[key] = value.map((item) => (isObject(item) ? withDefaults(item, defaults) : item));
    else inputs[key] = isObject(value) && structured.includes(key) ? withDefaults(value, defaults) : value;
  }
  return withDefaults(inputs, {
    containerReadRefreshTimeoutMilliseconds: 15000,
    mustRun: true,
    name,
    networkMode: "bridge",
    removeVolumes: true,
    start: true,
  });
}

/** The state before the engine is queried: the inputs, and empty values for missing ones. */
export function plannedState(news: Props): Props {
  const inputs = tidyProps(news);
  const each = (key: string, blank: Props): Props =>
    inputs[key] === undefined
      ? { [key]: [] }
      : { [key]: objects(inputs[key]).map((item) => ({ ...blank, ...item })) };
  return {
    attach: false,
    deviceReadBps: [],
    deviceReadIops: [],
    deviceRequests: [],
    deviceWriteBps: [],
    deviceWriteIops: [],
    devices: [],
    hosts: [],
    labels: [],
    logs: false,
    memoryReservation: 0,
    mounts: [],
    readOnly: false,
    rm: false,
    securityOpts: [],
    stdinOpen: false,
    tty: false,
    ulimits: [],
    ...inputs,
    ...(isObject(inputs.capabilities)
      ? { capabilities: { adds: [], drops: [], ...inputs.capabilities } }
      : {}),
    ...each("networksAdvanced", {
      aliases: [],
      driverOpts: [],
      ipv4Address: "",
      ipv6Address: "",
      linkLocalIps: [],
      macAddress: "",
    }),
    ...each("ports", {}),
    ...each("uploads", {
      content: "",
      contentBase64: "",
      executable: false,
      permissions: "",
      source: "",
      sourceHash: "",
    }),
    ...each("volumes", { fromContainer: "", hostPath: "", selinuxRelabel: "", volumeName: "" }),
  };
}

const knownLater = [
  "bridge",
  "command",
  "containerLogs",
  "entrypoints",
  "exitCode",
  "hostname",
  "id",
  "init",
  "ipcMode",
  "labels",
  "logDriver",
  "networkDatas",
  "platform",
  "runtime",
  "securityOpts",
  "shmSize",
  "stopSignal",
  "stopTimeout",
];

/** The outputs in a preview. Values that only the engine knows are unknown. */
export function previewState(news: Props): Props {
  const inputs = tidyProps(news);
  const unknown = knownLater.filter((key) => inputs[key] === undefined).map((key) => [key, UNKNOWN]);
  return { ...plannedState(news), ...Object.fromEntries(unknown) };
}

export function diffContainer(olds: Props, news: Props): DiffReply {
  const changes = diffFields(containerFields, olds, withKnownPorts(olds, tidyProps(news))).changes;
  // A container that failed to start has no outputs, and is always replaced.
  for (const key of ["command", "entrypoints"]) if (isAbsent(olds[key])) changes[key] = "ADD_REPLACE";
  if (isAbsent(olds.networkDatas)) changes.networkDatas = "ADD";
  return reply(changes);
}

function isAbsent(value: Props[string] | undefined): boolean {
  return value === undefined || value === null;
}

/** A port that the program does not set is the one that the engine chose. */
function withKnownPorts(olds: Props, news: Props): Props {
  if (!Array.isArray(news.ports)) return news;
  const before = objects(olds.ports);
  const ports = news.ports.map((port, index) =>
    isObject(port) && port.external === undefined && before[index]?.external !== undefined
      ? { ...port, external: before[index].external ?? null }
      : port,
  );
  return { ...news, ports };
}
