import type { DeployConfig, RegistryConfig } from "../config/types";
import { NAMESPACE } from "../freshness/project";
import { quote } from "./cli";
import type { DockerEngine } from "./docker";
import { EngineError } from "./problems";

/** An image registry, with its login. */
export interface Registry extends RegistryConfig {
  readonly password: string;
}

/** A stack's registry; undefined without one. */
export function registryOf({ registry, registryPassword }: DeployConfig): Registry | undefined {
  return registry && { ...registry, password: registryPassword ?? "" };
}

const MINUTES = 60;

/**
 * Runs on the engine's machine. The login is in no file and on no command line: docker runs a credential
 * helper, which reads it from the environment. DOCKER_HOST names the engine, because another configuration
 * folder would select another context.
 */
const WITH_LOGIN = `
IFS= read -r REGISTRY_LOGIN
host=$(docker context inspect --format '{{.Endpoints.docker.Host}}')
folder=$(mktemp -d "\${HOME:-/tmp}/.watch-party-XXXXXX")
trap 'rm -rf "$folder"' EXIT
trap 'exit 1' HUP INT TERM
export REGISTRY_LOGIN PATH="$folder:$PATH" DOCKER_CONFIG="$folder" DOCKER_HOST="$host"
printf '%s' '{"credsStore":"watch-party"}' > "$folder/config.json"
printf '#!/bin/sh\\nprintf "%%s\\\\n" "$REGISTRY_LOGIN"\\n' > "$folder/docker-credential-watch-party"
chmod 700 "$folder/docker-credential-watch-party"
"$folder/docker-credential-watch-party" > /dev/null
`;

/**
 * Pushes an image to a registry.
 *
 * @param image its name there, `repository:tag`
 * @param local its name on the engine; default: the same
 * @returns its reference, `address/repository@sha256:…`
 * @throws EngineError if the registry does not answer or refuses the login
 */
export async function pushImage(
  engine: DockerEngine,
  registry: Registry,
  image: string,
  local = image,
): Promise<string> {
  const name = `${registry.address}/${image}`;
  const repository = name.slice(0, name.lastIndexOf(":"));
  const script = `
docker image tag ${quote(local)} ${quote(name)}
docker image push --quiet ${quote(name)} >&2 || { docker image rm --no-prune ${quote(name)} > /dev/null; exit 1; }
docker image inspect --format '{{range .RepoDigests}}{{println .}}{{end}}' ${quote(name)}
docker image rm --no-prune ${quote(name)} > /dev/null`;
  const references = (await withLogin(engine, registry, image, script)).split("\n");
  const reference = references.find((each) => each.startsWith(`${repository}@`));
  if (reference === undefined)
    throw new EngineError(`registry ${registry.address}: ${image} has no digest there`);
  return reference;
}

/**
 * Pulls an image from a registry and gives it its own name on the engine.
 *
 * @param reference `address/repository@sha256:…`
 * @param image the name, `repository:tag`
 * @param id the expected image ID
 * @throws EngineError as `pushImage` does, and if the image ID differs
 */
export async function pullImage(
  engine: DockerEngine,
  registry: Registry,
  reference: string,
  { image, id }: { readonly image: string; readonly id: string },
): Promise<void> {
  const script = `
docker image pull --quiet ${quote(reference)} >&2
found=$(docker image inspect --format '{{.Id}}' ${quote(reference)})
echo "$found"
[ "$found" != ${quote(id)} ] || docker image tag "$found" ${quote(image)}
docker image rm --no-prune ${quote(reference)} > /dev/null`;
  const found = (await withLogin(engine, registry, image, script)).trim();
  if (found !== id)
    throw new EngineError(
      `registry ${registry.address}: ${reference} has another image ID on the engine that runs it; expected ${id}, found ${found}. Use the same storage driver on both engines (docker info, "Storage Driver")`,
    );
}

/** @returns the script's standard output */
async function withLogin(
  engine: DockerEngine,
  registry: Registry,
  image: string,
  script: string,
): Promise<string> {
  const { address, user, password } = registry;
  const login = JSON.stringify({ ServerURL: address, Username: user, Secret: password });
  const options = { input: `${login}\n`, minutes: MINUTES };
  const { stdout } = await engine.script(`${WITH_LOGIN}${script}`, options).catch((cause: Error) => {
    throw new EngineError(registryProblem(registry, image, cause.message));
  });
  return stdout;
}

/** Returns a remedy for a failed push or pull, from the engine's output. */
export function registryProblem({ address, user }: RegistryConfig, image: string, words: string): string {
  const of = `the registry ${address}`;
  const remedy = /unauthorized|no basic auth|authentication required|denied:|access .*denied/i.test(words)
    ? `${of} refuses ${user} for ${image}; set ${NAMESPACE}:registry and ${NAMESPACE}:registryPassword to a login that may push and pull there`
    : /HTTP response to HTTPS client|x509|certificate/i.test(words)
      ? `${of} has no certificate that the engine trusts; give it one, or put its authority into /etc/docker/certs.d on the engine's machine`
      : /manifest unknown|not found: manifest/i.test(words)
        ? `${of} no longer has ${image}; build it: set ${NAMESPACE}:commit to its commit and deploy with --allow-older`
        : /dial tcp|connection refused|no such host|timeout|deadline exceeded|EOF/i.test(words)
          ? `${of} does not answer to the engine; check ${NAMESPACE}:registry.address, that it runs, and what is between them`
          : undefined;
  return `${remedy ?? `${of} failed with ${image}`}\n${words}`;
}
