import { posix } from "node:path";
import { NAMESPACE } from "../../../freshness/project";
import type { ComposeService } from "../composeFile";
import type { Repository } from "../repository";
import type { Yaml } from "../yaml";
import { type VariablesFile, variablesFile } from "./variables";

/** Whether the configuration accepts a value for a service's key. */
export type Accepts = (key: string, value: unknown) => boolean;

/** The result of converting a compose key. */
export interface Taken {
  /** The keys of the configuration, and their values. */
  readonly settings: Readonly<Record<string, unknown>>;
  readonly guesses: readonly string[];
  readonly decisions: readonly string[];
  readonly left: readonly string[];
}

/** Keys that other parts read. */
const READ = new Set([
  "build",
  "image",
  "ports",
  "expose",
  "environment",
  "env_file",
  "healthcheck",
  "volumes",
  "extends",
  "profiles",
  "pull_policy",
  "develop",
]);
/** Keys without a meaning here, and why. */
const NEEDLESS: Readonly<Record<string, string>> = {
  restart: "containers are restarted unless they are stopped",
  container_name: "each release has containers of its own names",
  hostname: "each release has containers of its own names",
  networks: "each release has a network of its own",
  links: "services reach each other by <SERVICE>_URL",
  stdin_open: "no terminal is attached",
  tty: "no terminal is attached",
  platform: `set ${NAMESPACE}:platform`,
  labels: "labels of another proxy or tool mean nothing here",
  logging: "the engine's own logging holds",
};

/** The texts of a list, or of a value alone. */
export const listOf = (node: Yaml) => node.list.flatMap(({ text }) => text ?? []);

/** Converts compose's container settings, and lists everything that is left out. */
export function composeKeys(
  service: ComposeService,
  name: string,
  accepts: Accepts,
  without: readonly string[] = [],
): Taken {
  const { path, section } = service;
  const settings: Record<string, unknown> = {};
  const guesses: string[] = [];
  const decisions: string[] = [];
  const left: string[] = [];
  const at = (line: number) => `(${path}:${line})`;
  /** Takes the first value that the configuration accepts. */
  const take = (key: string, line: number, target: string, ...values: readonly unknown[]) => {
    const value = values.find((one) => one !== undefined && accepts(target, one));
    if (value === undefined) {
      const shown = values[0] === undefined ? "" : ` (${JSON.stringify(values[0])})`;
      decisions.push(
        `${name}: ${key}${shown} is not taken over: the configuration has no ${target} for it yet ${at(line)}`,
      );
      return;
    }
    settings[target] = value;
    guesses.push(`${name}: ${key === target ? key : `${key} becomes ${target}`} ${at(line)}`);
  };
  const limits = section.at("deploy", "resources", "limits");
  for (const { key, line, value } of section.entries) {
    const { text } = value;
    if (READ.has(key) || without.includes(key) || key.startsWith("x-")) continue;
    if (value.isEmpty && text === undefined) continue;
    if (key === "command" || key === "entrypoint") {
      const words = value.items.length > 0 ? listOf(value) : undefined;
      take(key, line, key, ...(words ? [words, words.join(" ")] : [text, ["sh", "-c", text]]));
      if (!(key in settings)) {
        const shown = text ?? listOf(value).join(" ");
        decisions.pop();
        decisions.push(
          `${name}: the ${key} "${shown}" is not taken over; make it the ${key === "command" ? "CMD" : "ENTRYPOINT"} of a stage and set services.${name}.target ${at(line)}`,
        );
      }
    } else if (key === "init") take(key, line, "init", text === "true");
    else if (key === "user") take(key, line, "user", text);
    else if (key === "stop_signal") take(key, line, "stopSignal", text);
    else if (key === "stop_grace_period") take(key, line, "stopSeconds", secondsOf(text));
    else if (key === "tmpfs")
      take(
        key,
        line,
        "tmpfs",
        listOf(value).map((one) => one.split(":")[0]),
      );
    else if (key === "shm_size") take(key, line, "shmMb", megabytesOf(text));
    else if (key === "mem_limit") take(key, line, "memoryMb", megabytesOf(text));
    else if (key === "cpus") take(key, line, "cpus", Number(text));
    else if (key === "pids_limit") take(key, line, "pidsLimit", Number(text));
    else if (key === "extra_hosts") {
      const hosts =
        value.items.length > 0
          ? listOf(value)
          : value.entries.map((entry) => `${entry.key}:${entry.value.text ?? ""}`);
      const map = Object.fromEntries(hosts.map((host) => splitHost(host)));
      take(key, line, "extraHosts", map, hosts);
    } else if (key === "cap_add")
      take(
        key,
        line,
        "capabilities",
        listOf(value).filter((one) => one !== "ALL"),
      );
    else if (key === "cap_drop")
      left.push(
        `${name}: cap_drop: all capabilities but those that are named are dropped anyway ${at(line)}`,
      );
    else if (key === "read_only") take(key, line, "readOnly", text === "true");
    else if (key === "deploy") deploy(value, line);
    else if (key === "depends_on") {
      const names = [...value.entries.map((entry) => entry.key), ...listOf(value)];
      left.push(
        `${name}: depends_on (${names.join(", ")}) is left out: no order of starts is kept, so that the app has to try again until they answer ${at(line)}`,
      );
    } else if (key === "secrets" || key === "configs") {
      const names = value.items.map((item) => item.text ?? item.at("source").text ?? "");
      decisions.push(
        `${name}: ${key} (${names.join(", ")}) are not taken over; set services.${name}.secretEnv, or put the files into the image ${at(line)}`,
      );
    } else {
      const why = NEEDLESS[key];
      if (why === undefined)
        decisions.push(`${name}: ${key} is left out: the configuration has nothing like it ${at(line)}`);
      else left.push(`${name}: ${key} is left out: ${why} ${at(line)}`);
    }
  }

  function deploy(value: Yaml, line: number): void {
    for (const entry of value.entries) {
      const key = `deploy.${entry.key}`;
      if (entry.key === "resources") {
        const memory = limits.at("memory").text;
        const cpus = limits.at("cpus").text;
        const pids = limits.at("pids").text;
        // 0 is no limit.
        if (memory !== undefined && !/^0\D*$/.test(memory))
          take("deploy.resources.limits.memory", entry.line, "memoryMb", megabytesOf(memory));
        if (cpus !== undefined && Number(cpus) !== 0)
          take("deploy.resources.limits.cpus", entry.line, "cpus", Number(cpus));
        if (pids !== undefined) take("deploy.resources.limits.pids", entry.line, "pidsLimit", Number(pids));
        if (!entry.value.at("reservations").isEmpty)
          left.push(`${name}: deploy.resources.reservations is left out ${at(entry.line)}`);
      } else if (entry.key === "replicas") {
        const count = Number(entry.value.text);
        if (count > 1) take(key, entry.line, "replicas", count);
      } else
        left.push(
          `${name}: ${key} is left out: the deploy replaces containers in its own order ${at(entry.line || line)}`,
        );
    }
  }
  return { settings, guesses, decisions, left };
}

function splitHost(host: string): [string, string] {
  const at = host.search(/[:=]/);
  return [host.slice(0, at), host.slice(at + 1)];
}

/** `512m`, `2g`, `1.5gb`, bytes. */
function megabytesOf(text: string | undefined): number | undefined {
  const [, amount, unit = "b"] = /^([\d.]+)\s*([bkmg])?i?b?$/i.exec(text ?? "") ?? [];
  if (amount === undefined) return undefined;
  const factor = { b: 1 / 1024 ** 2, k: 1 / 1024, m: 1, g: 1024 }[unit.toLowerCase()] ?? 1;
  return Math.max(1, Math.round(Number(amount) * factor));
}

/** `1m30s`. */
export function secondsOf(text: string | undefined): number | undefined {
  const parts = [...(text ?? "").matchAll(/([\d.]+)(ms|us|[hms])/g)];
  if (parts.length === 0) return /^\d+$/.test(text ?? "") ? Number(text) : undefined;
  const units: Readonly<Record<string, number>> = { h: 3600, m: 60, s: 1, ms: 0.001, us: 0 };
  return Math.max(
    1,
    Math.round(parts.reduce((sum, [, amount, unit = "s"]) => sum + Number(amount) * (units[unit] ?? 1), 0)),
  );
}

/** The files of a service's env_file, and those of which the repository has neither the file nor an example. */
export function environmentFiles(
  repository: Repository,
  service: ComposeService,
): { files: VariablesFile[]; missing: { file: string; line: number }[] } {
  const files: VariablesFile[] = [];
  const missing: { file: string; line: number }[] = [];
  for (const item of service.section.at("env_file").list) {
    const file = item.text ?? item.at("path").text;
    if (file === undefined) continue;
    const found = variablesFile(repository, posix.join(posix.dirname(service.path), file));
    if (found) files.push(found);
    else missing.push({ file, line: item.line });
  }
  return { files, missing };
}

/** The port that a health check requests in its own container. */
export function healthPort(check: string): number | undefined {
  const port = /(?:https?:\/\/)?(?:localhost|127\.0\.0\.1|0\.0\.0\.0|\[::1\]):(\d{2,5})\b/.exec(check)?.[1];
  return port === undefined ? undefined : Number(port);
}
