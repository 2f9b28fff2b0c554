/** The common part of local and remote commands: which command runs when, how to diff, and what is kept. */

import { randomBytes } from "node:crypto";
import { changesOf } from "../diff";
import type { Log } from "../engine-log";
import { lines } from "../process";
import type { CheckReply, Resource } from "../serve";
import {
  hasUnknown,
  type Props,
  reveal,
  revealProps,
  text,
  textMap,
  tidyProps,
  UNKNOWN,
  type Value,
} from "../values";

export interface Outputs {
  stdout: string;
  stderr: string;
}

/** One run of a command, with secrets revealed. */
export interface Run {
  command: string;
  inputs: Props;
  environment: Record<string, string>;
  stdin?: string;
  /** The outputs of the previous run, unless the user does not want them in the environment. */
  previous: Partial<Outputs>;
  onStdout: (chunk: string) => void;
  onStderr: (chunk: string) => void;
  warn: (message: string) => void;
}

export interface CommandKind {
  /** The inputs that this kind supports. */
  inputs: readonly string[];
  /** Fills in defaults and marks secrets. */
  prepare?(news: Props): Props;
  required?: readonly string[];
  run(run: Run): Promise<Outputs>;
}

const loggingModes = ["stdout", "stderr", "stdoutAndStderr", "none"];

/** A resource whose commands are of one kind. */
export function commandResource(kind: CommandKind): Resource {
  return {
    check: async ({ news }) => check(kind, tidyProps(news)),

    async diff({ olds, oldInputs, news }) {
      const before = Object.keys(oldInputs).length > 0 ? oldInputs : inputsOf(kind, olds);
      return { changes: changesOf(tidyProps(before), tidyProps(news)), detailed: true };
    },

    async create({ name, news, preview, log }) {
      const id = `${name}${randomBytes(4).toString("hex")}`;
      if (preview) return { id, properties: { ...news, stdout: UNKNOWN, stderr: UNKNOWN } };
      return { id, properties: { ...news, ...(await runIfAny(kind, news, ["create"], {}, log)) } };
    },

    async read({ id, properties, inputs }) {
      return { id, properties, inputs };
    },

    async update({ olds, oldInputs, news, preview, log }) {
      const previous = outputsOf(olds);
      if (preview) {
        // A changed input makes the outputs unknown. An added input does not (as recorded).
        const changes = Object.values(changesOf(tidyProps(oldInputs), tidyProps(news)));
        const known = changes.every((change) => change === "ADD");
        return { ...news, ...(known ? previous : { stdout: UNKNOWN, stderr: UNKNOWN }) };
      }
      return { ...news, ...(await runIfAny(kind, news, ["update", "create"], previous, log)) };
    },

    async delete({ properties, log }) {
      await runIfAny(kind, properties, ["delete"], outputsOf(properties), log);
    },
  };
}

function check(kind: CommandKind, news: Props): CheckReply {
  const failures = Object.keys(news)
    .filter((key) => !kind.inputs.includes(key))
    .map((property) => ({
      property,
      reason: "the stand-in for the plugin command does not support this input",
    }));
  for (const property of kind.required ?? []) {
    if (news[property] === undefined) failures.push({ property, reason: "missing required property" });
  }
  const logging = reveal(news.logging ?? null);
  if (logging !== null && !hasUnknown(logging) && !loggingModes.includes(String(logging))) {
    failures.push({
      property: "logging",
      reason: `found ${JSON.stringify(logging)}; allowed: ${loggingModes.join(", ")}`,
    });
  }
  return { inputs: kind.prepare?.(news) ?? news, failures };
}

/** Runs the first command that is set. If none is, keeps the outputs of the last run. */
async function runIfAny(
  kind: CommandKind,
  properties: Props,
  names: readonly string[],
  previous: Partial<Outputs>,
  log: Log,
): Promise<Outputs> {
  const inputs = revealProps(properties);
  const command = names.map((name) => text(inputs[name])).find((candidate) => candidate !== undefined);
  if (command === undefined) return { stdout: previous.stdout ?? "", stderr: previous.stderr ?? "" };

  const logging = text(inputs.logging) ?? "stdoutAndStderr";
  const out = lines((line) => log.line("info", line));
  const err = lines((line) => log.line("info", line));
  try {
    const outputs = await kind.run({
      command,
      inputs,
      environment: textMap(inputs.environment),
      stdin: text(inputs.stdin),
      previous: inputs.addPreviousOutputInEnv === false ? {} : previous,
      onStdout: (chunk) => /^stdout/.test(logging) && out.push(chunk),
      onStderr: (chunk) => /stderr$/i.test(logging) && err.push(chunk),
      warn: (message) => log.line("warning", message),
    });
    return { stdout: withoutNewline(outputs.stdout), stderr: withoutNewline(outputs.stderr) };
  } finally {
    out.end();
    err.end();
  }
}

/** The environment variables with the outputs of the previous run. */
export function previousEnvironment(previous: Partial<Outputs>): Record<string, string> {
  const environment: Record<string, string> = {};
  if (previous.stdout) environment.PULUMI_COMMAND_STDOUT = previous.stdout;
  if (previous.stderr) environment.PULUMI_COMMAND_STDERR = previous.stderr;
  return environment;
}

function outputsOf(state: Props): Partial<Outputs> {
  const plain = (value: Value | undefined): string | undefined => text(reveal(value ?? null));
  return { stdout: plain(state.stdout), stderr: plain(state.stderr) };
}

function inputsOf(kind: CommandKind, state: Props): Props {
  return Object.fromEntries(Object.entries(state).filter(([key]) => kind.inputs.includes(key)));
}

function withoutNewline(output: string): string {
  return output.endsWith("\n") ? output.slice(0, -1) : output;
}
