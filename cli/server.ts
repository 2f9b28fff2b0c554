import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { secretsOf } from "../config/secrets";
import type { DeployConfig } from "../config/types";
import { DockerEngine } from "../engine/docker";
import { maskOf } from "../engine/mask";
import { openSsh } from "../engine/ssh";
import { sshFolder } from "../engine/workFolder";
import { PROJECT, readStackConfig, stackName } from "./project";
import { readSecretConfig } from "./state";

/** A stack's engine until this process ends. It opens its own connection, because a deploy may be under way. */
export async function reachEngine(config: DeployConfig): Promise<DockerEngine> {
  const { server, serverKey } = config;
  const mask = maskOf(secretsOf(config));
  if (!server) return new DockerEngine({}, mask);
  const folder = mkdtempSync(join(tmpdir(), "watch-party-ssh-"));
  process.once("exit", () => rmSync(folder, { recursive: true, force: true }));
  const engine = new DockerEngine({ ssh: await openSsh(server, serverKey ?? "", folder, process.pid) }, mask);
  engine.openAhead();
  return engine;
}

/**
 * Opens the connection in the stack's state for operations that do not run the program: `destroy`, `refresh`. A stack
 * without a server needs none.
 */
export async function openServer(stack: string): Promise<void> {
  if (!readStackConfig(stack).server) return;
  const { server, serverKey } = await readSecretConfig(stack);
  // Relative, as in the state: Pulumi runs there.
  process.chdir(PROJECT);
  if (server && serverKey) await openSsh(server, serverKey, sshFolder(stackName(stack)), process.pid);
}
