import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { EngineError } from "./problems";

/** The endpoint of a docker context. */
export interface ContextEndpoint {
  /** The context's name. */
  readonly name: string;
  /** Endpoint of the engine, such as `unix:///run/user/1000/docker.sock` or `ssh://deploy@server`. */
  readonly host: string;
  /** Folder with the context's own TLS keys; absent if it has none. */
  readonly keys?: string;
  /** Whether the context skips the check of the certificate. */
  readonly skipsVerify: boolean;
}

const DEFAULT_CONTEXT = "default";

/**
 * Returns the docker CLI's current context. DOCKER_HOST comes first, then DOCKER_CONTEXT, then `docker
 * context use` (https://docs.docker.com/engine/manage-resources/contexts/).
 *
 * @returns undefined for the default context
 * @throws EngineError if the context does not exist or the CLI's configuration cannot be read
 */
export function chosenContext(env: Readonly<NodeJS.ProcessEnv> = process.env): ContextEndpoint | undefined {
  if (env.DOCKER_HOST) return undefined;
  const folder = env.DOCKER_CONFIG || join(homedir(), ".docker");
  const byVariable = env.DOCKER_CONTEXT;
  const name = byVariable || (readJson(join(folder, "config.json")) as Config | undefined)?.currentContext;
  if (!name || name === DEFAULT_CONTEXT) return undefined;
  // The CLI names a context's folders by the hash of its name.
  const id = createHash("sha256").update(name).digest("hex");
  const meta = readJson(join(folder, "contexts", "meta", id, "meta.json")) as Meta | undefined;
  const endpoint = meta?.Endpoints?.docker;
  if (endpoint === undefined)
    throw new EngineError(
      `the docker context "${name}" does not exist, and ${byVariable ? "the variable DOCKER_CONTEXT" : join(folder, "config.json")} chooses it; run "docker context ls" and choose one that exists with ${byVariable ? "DOCKER_CONTEXT" : '"docker context use NAME"'}`,
    );
  const keys = join(folder, "contexts", "tls", id, "docker");
  return {
    name,
    host: endpoint.Host || "unix:///var/run/docker.sock",
    keys: filesIn(keys).length > 0 ? keys : undefined,
    skipsVerify: endpoint.SkipTLSVerify === true,
  };
}

/**
 * Returns the engine of the current context in the form that the docker plugin needs: its docker.Image does
 * not read contexts.
 *
 * @returns undefined for DOCKER_HOST or the default socket, which the plugin finds itself
 * @throws EngineError if docker.Image cannot reach that engine
 */
export function contextHost(env: Readonly<NodeJS.ProcessEnv> = process.env): string | undefined {
  const context = chosenContext(env);
  if (context === undefined) return undefined;
  const { name, host, keys, skipsVerify } = context;
  const reached = `the docker context "${name}" reaches its engine at ${host}`;
  if (skipsVerify)
    throw new EngineError(
      `${reached} without checking its certificate, which docker.Image cannot do; give the engine a certificate that can be checked, and set ${tlsVariables(host, "FOLDER")}, where FOLDER has ca.pem, cert.pem and key.pem`,
    );
  if (keys !== undefined)
    throw new EngineError(
      `${reached} with TLS keys of its own, which docker.Image does not read; set ${tlsVariables(host, keys)}`,
    );
  if (!/^(unix|ssh|tcp|npipe):\/\//.test(host))
    throw new EngineError(
      `${reached}, which docker.Image cannot reach; choose a context whose endpoint begins with unix://, ssh:// or tcp://`,
    );
  return host;
}

function tlsVariables(host: string, keys: string): string {
  return `DOCKER_HOST=${host} DOCKER_TLS_VERIFY=1 DOCKER_CERT_PATH=${keys}`;
}

/** Keys read from the docker CLI's config.json. */
interface Config {
  readonly currentContext?: string;
}

/** Keys read from a context. */
interface Meta {
  readonly Endpoints?: { readonly docker?: { readonly Host?: string; readonly SkipTLSVerify?: boolean } };
}

function readJson(file: string): unknown {
  try {
    return JSON.parse(readFileSync(file, "utf8"));
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw new EngineError(`${file} cannot be read: ${(cause as Error).message}; correct or remove it`);
  }
}

function filesIn(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}
