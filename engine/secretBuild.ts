import { contextTar } from "./contextTar";
import type { DockerEngine } from "./docker";
import { pluginOrigins } from "./plugins";
import { EngineError } from "./problems";

/** A build whose steps mount secrets. */
export interface SecretBuild {
  /** The build context, relative to the project. */
  readonly context: string;
  /** Relative to the context. */
  readonly dockerfile: string;
  readonly target?: string;
  readonly platform: string;
  readonly args: Readonly<Record<string, string>>;
  /** Name → value. `ssh` is the socket of an agent or a key file, for ssh mounts. */
  readonly secrets: Readonly<Record<string, string>>;
}

const MINUTES = 60;
const SHOWN_LINES = 20;

/**
 * Builds an image with secrets, so that docker.Image finds its steps in the build cache: docker.Image cannot
 * pass secrets, and a secret is not part of a step's cache key. Values are only in the docker command's
 * environment.
 *
 * @throws EngineError with the last lines of the build, without secrets
 */
export async function buildWithSecrets(engine: DockerEngine, build: SecretBuild): Promise<void> {
  const { context, dockerfile, target, platform, args, secrets } = build;
  const { ssh, ...files } = secrets;
  const variables = Object.entries(files).map(([id, value], at) => ({
    id,
    variable: `BUILD_SECRET_${at}`,
    value,
  }));
  // What `COPY . .` brings has one cache key in a folder and another one in a tar: it has to be sent as the plugin sends it.
  const isTar = pluginOrigins().docker !== "stand-in";
  const command = [
    "build",
    "--progress=plain",
    ...["--file", isTar ? dockerfile : `${context}/${dockerfile}`, "--platform", platform],
    ...(target === undefined ? [] : ["--target", target]),
    ...variables.flatMap(({ id, variable }) => ["--secret", `id=${id},env=${variable}`]),
    ...(ssh === undefined ? [] : ["--ssh", `default=${ssh}`]),
    ...Object.entries(args).flatMap(([name, value]) => ["--build-arg", `${name}=${value}`]),
    "--",
    isTar ? "-" : context,
  ];
  const environment = Object.fromEntries(variables.map(({ variable, value }) => [variable, value]));
  try {
    await engine.docker(command, {
      ...(isTar ? { input: contextTar(context, dockerfile) } : {}),
      timeoutSeconds: MINUTES * 60,
      environment: { ...environment, DOCKER_BUILDKIT: "1" },
    });
  } catch (cause) {
    const said = Object.values(files)
      .filter((value) => value.trim() !== "")
      .reduce(
        (text, value) => text.replaceAll(value, "[secret]").replaceAll(value.trim(), "[secret]"),
        (cause as Error).message,
      )
      .split("\n");
    throw new EngineError(`the build with secrets failed:\n${said.slice(-SHOWN_LINES).join("\n")}`);
  }
}
