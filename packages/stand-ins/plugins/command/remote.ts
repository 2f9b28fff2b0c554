/** command:remote:Command, a command on another machine, over SSH. */

import { isObject, isSecret, type Props, reveal, secret, type Value } from "../values";
import { commandResource, type Outputs, previousEnvironment, type Run } from "./resource";
import { type Connection, runOverSsh } from "./ssh";

const connectionDefaults: Props = { user: "root", port: 22, dialErrorLimit: 10, perDialTimeout: 15 };
/** Parts of a connection that are always secret, even if the program does not mark them. */
const secretParts = ["privateKey", "password", "privateKeyPassword"];

export const remoteCommand = commandResource({
  inputs: [
    "connection",
    "create",
    "update",
    "delete",
    "stdin",
    "environment",
    "triggers",
    "logging",
    "addPreviousOutputInEnv",
  ],
  required: ["connection"],
  prepare: (news) => ({
    ...news,
    ...(news.connection === undefined ? {} : { connection: prepared(news.connection) }),
  }),
  run,
});

async function run(run: Run): Promise<Outputs> {
  const result = await runOverSsh(connectionOf(run.inputs.connection ?? null), run.command, {
    environment: run.environment,
    previous: previousEnvironment(run.previous),
    stdin: run.stdin,
    onStdout: run.onStdout,
    onStderr: run.onStderr,
    warn: run.warn,
  });
  if (result.code !== 0) {
    const problem =
      result.code === undefined ? `signal: ${result.signal}` : `Process exited with status ${result.code}`;
    throw new Error(`${problem}: running ${JSON.stringify(run.command)}:\n${result.output}`);
  }
  return result;
}

/** Returns the connection with its defaults and its secret parts marked. Keeps a mark on the whole connection. */
function prepared(value: Value): Value {
  if (isSecret(value)) return secret(prepared(value.value));
  if (!isObject(value)) return value;
  const connection: Props = { ...connectionDefaults, ...value };
  for (const part of secretParts) {
    const found = connection[part];
    if (found !== undefined && found !== null) connection[part] = secret(found);
  }
  return connection;
}

function connectionOf(value: Value): Connection {
  const revealed = reveal(value);
  const found: Props = isObject(revealed) ? revealed : {};
  if (typeof found.host !== "string") throw new Error("connection.host: missing required property");
  const known = [
    "host",
    "port",
    "user",
    "privateKey",
    "hostKey",
    "dialErrorLimit",
    "perDialTimeout",
    "agentSocketPath",
  ];
  const other = Object.keys(found).filter((key) => !known.includes(key) && found[key] !== null);
  if (other.length > 0) {
    throw new Error(
      `connection.${other[0]}: the stand-in for the plugin command does not support this input`,
    );
  }
  return { ...connectionDefaults, ...found } as unknown as Connection;
}
