import type { DeployConfig, RegistryConfig } from "../config";
import { type DockerEngine, quote } from "./docker";
import { EngineError } from "./problems";

/** A registry of images and the login for it. */
export interface Registry extends RegistryConfig {
  readonly password: string;
}

/** A stack's registry; undefined where it has none. */
export function registryOf({ registry, registryPassword }: DeployConfig): Registry | undefined {
  return registry && { ...registry, password: registryPassword ?? "" };
}

const MINUTES = 60;

/**
 * Runs on the engine's machine, where the docker command there may be the server's. The login is in no file and on no
 * command line: docker asks a program for it, which has it from the environment. Another configuration folder would
 * choose another engine, where that was chosen by a context, so that it is named.
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
 * Puts an image of an engine into a registry.
 *
 * @param image its name there, `repository:tag`
 * @param local what the engine knows it by; the same name by default
 * @returns where it is there: `address/repository@sha256:…`
 * @throws EngineError where the registry does not answer or refuses the login
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
 * Brings an image from a registry to an engine, under a name of its own there.
 *
 * @param reference `address/repository@sha256:…`
 * @param image the name, `repository:tag`
 * @param id what it has to be
 * @throws EngineError as `pushImage` does, and where it is not that image
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

/** @returns what the script prints */
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

/** What to do about a registry that does not take or give an image, from the engine's words. */
export function registryProblem({ address, user }: RegistryConfig, image: string, words: string): string {
  const of = `the registry ${address}`;
  const remedy = /unauthorized|no basic auth|authentication required|denied:|access .*denied/i.test(words)
    ? `${of} refuses ${user} for ${image}; set watch-party:registry and watch-party:registryPassword to a login that may push and pull there`
    : /HTTP response to HTTPS client|x509|certificate/i.test(words)
      ? `${of} has no certificate that the engine trusts; give it one, or put its authority into /etc/docker/certs.d on the engine's machine`
      : /manifest unknown|not found: manifest/i.test(words)
        ? `${of} no longer has ${image}; build it: set watch-party:commit to its commit and deploy`
        : /dial tcp|connection refused|no such host|timeout|deadline exceeded|EOF/i.test(words)
          ? `${of} does not answer to the engine; check watch-party:registry.address, that it runs, and what is between them`
          : `${of} failed with ${image}`;
  return `${remedy}\n${words}`;
}
