/** command:local:Command, a command on the machine that runs Pulumi. */

import { stat } from "node:fs/promises";
import { type RunResult, run as runProcess } from "../process";
import { text, texts } from "../values";
import { commandResource, type Outputs, previousEnvironment, type Run } from "./resource";

export const localCommand = commandResource({
  inputs: [
    "create",
    "update",
    "delete",
    "stdin",
    "environment",
    "dir",
    "triggers",
    "logging",
    "interpreter",
    "addPreviousOutputInEnv",
  ],
  run,
});

async function run({
  command,
  inputs,
  environment,
  stdin,
  previous,
  onStdout,
  onStderr,
}: Run): Promise<Outputs> {
  const interpreter = texts(inputs.interpreter);
  const [program = "/bin/sh", ...args] = interpreter.length > 0 ? interpreter : ["/bin/sh", "-c"];
  const cwd = text(inputs.dir);
  const result = await runProcess(program, [...args, command], {
    cwd,
    env: { ...process.env, ...environment, ...previousEnvironment(previous) },
    stdin,
    onStdout,
    onStderr,
  });
  const problem = await problemOf(result, program, cwd);
  if (problem !== undefined)
    throw new Error(`${problem}: running ${JSON.stringify(command)}:\n${result.output}`);
  return result;
}

/** The error in the words of the official plugin; undefined if the command succeeded. */
async function problemOf(
  result: RunResult,
  program: string,
  cwd: string | undefined,
): Promise<string | undefined> {
  const { failure, signal, code } = result;
  if (failure !== undefined) {
    // If the folder is missing, Node's error names the program.
    if (cwd !== undefined && !(await isFolder(cwd))) {
      return `chdir ${cwd}: no such file or directory`;
    }
    if (failure.code === "ENOENT" && !program.includes("/")) {
      return `exec: ${JSON.stringify(program)}: executable file not found in $PATH`;
    }
    return `fork/exec ${program}: ${failure.code === "ENOENT" ? "no such file or directory" : failure.message}`;
  }
  if (signal !== undefined) return `signal: ${signal}`;
  return code === 0 ? undefined : `exit status ${code}`;
}

function isFolder(path: string): Promise<boolean> {
  return stat(path).then(
    (stats) => stats.isDirectory(),
    () => false,
  );
}
