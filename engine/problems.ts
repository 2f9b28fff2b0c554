import { NAMESPACE } from "../freshness/project";
/** A docker command that failed. The message is the engine's, without standard input. */
export class EngineError extends Error {
  override readonly name = "EngineError";
}

/** How errors of a lost connection begin; `cutOff` recognises them. */
export const AT_ENGINE = "engine at";
export const CONNECTION_ENDED = "the connection ended with";

const ENGINE_DOWN = "the Docker engine is not running";
const SERVER_SILENT = "the server does not answer to ssh";

/** Returns a remedy for an engine that does not answer, from the CLI's output. */
export function unreachable(words: string): string {
  const said = words.trim();
  const ssh = sshProblem(said);
  if (ssh !== undefined) return `${ssh}\n${said}`;
  if (/permission denied/i.test(words))
    return `the Docker engine refuses this user; run "sudo usermod -aG docker $USER" and log in again\n${said}`;
  if (/ENOENT|not found/i.test(words))
    return `the docker command was not found; install Docker Engine\n${said}`;
  return `${ENGINE_DOWN}; start it with "sudo systemctl start docker" (or Docker Desktop)\n${said}`;
}

/** Returns a remedy for an SSH failure; undefined if ssh did not fail. */
export function sshProblem(words: string): string | undefined {
  if (/Host key verification failed|REMOTE HOST IDENTIFICATION HAS CHANGED/.test(words))
    return `the server answers with another host key than ${NAMESPACE}:server.hostKey; compare that with the key on the server, and set the right one only if it is the server's own`;
  if (/invalid format|error in libcrypto|incorrect passphrase|Error loading key/.test(words))
    return `${NAMESPACE}:serverKey is not a private key without a passphrase; set the whole key, with --secret`;
  if (/Permission denied \(/.test(words))
    return `the server refuses ${NAMESPACE}:serverKey; add its public key to ~/.ssh/authorized_keys of the user there`;
  if (/^(docker \S+: )?(ssh: |kex_exchange|Connection (closed|reset|timed out))/m.test(words))
    return `${SERVER_SILENT}; check ${NAMESPACE}:server (host, port), its sshd and its firewall`;
  return undefined;
}

/**
 * Messages of docker, its plugin, ssh and BuildKit for a lost connection; measured by
 * tests/releases/kill.test.ts.
 */
const CUT_OFF = [
  /error while Copy \(stream|commandconn|socket hang up|\[ssh [^\]]*\] has exited with/,
  /Cannot connect to the Docker daemon|error during connect|docker\.sock: (read|write|connect):/,
  /code = Unavailable|error reading from server|transport is closing|unexpected EOF/,
  /closed by remote host|client_loop: |mux_client|onnection to \S+ closed|exited without exit status/,
  new RegExp(`${AT_ENGINE} \\S+: (connect|read|write) E|${CONNECTION_ENDED} \\w+`),
  /signal: killed|was killed with SIG/,
  // `docker info --format` with an engine that does not answer.
  /nil pointer to embedded struct field Info/,
];

/** Explains errors of a deploy whose engine, or connection to it, was lost; undefined for other errors. */
export function cutOff(errors: readonly string[]): string | undefined {
  const said = errors.join("\n");
  // The engine never answered, so that the deploy did not start.
  if (said.includes(ENGINE_DOWN) || said.includes(SERVER_SILENT)) return undefined;
  return CUT_OFF.some((words) => words.test(said))
    ? "the Docker engine, or the connection to it, ended during the deploy: the release that was served stays in service, and the next `up` completes the deploy"
    : undefined;
}

/** How `docker cp` reports a missing path. */
export const NO_PATH = /no such container:path|could not find the file/i;

const MISSING = /no such (container|image|network|object|service|secret)|network \S+ not found/i;

/** Returns undefined for a missing object; rethrows any other failure. */
export function ignoreMissing(cause: Error): undefined {
  if (MISSING.test(cause.message)) return undefined;
  throw cause;
}

/**
 * Returns the remedy for a preview whose official docker plugin found no engine; undefined for other errors.
 * A stack with a server needs no local engine.
 */
export function previewNeedsEngine(errors: readonly string[]): string | undefined {
  return /failed to connect to any docker daemon|Error loading Docker context/.test(errors.join("\n"))
    ? `a preview of a stack on the local engine needs a running engine, because the docker plugin connects to it; start it with "sudo systemctl start docker" (or Docker Desktop), or preview a stack with ${NAMESPACE}:server, which needs no local engine`
    : undefined;
}
