import * as docker from "@pulumi/docker";
import * as pulumi from "@pulumi/pulumi";
import type { ServiceConfig } from "../../config/types";
import type { DockerEngine } from "../../engine/docker";
import { labelList } from "../../release/labels";
import type { RunSpec } from "./spec";

/** Exports Swarm secrets as the variables that the app has on a single engine. */
const WITH_SECRETS =
  'for each in /run/secrets/*; do value=$(cat "$each"; printf .); export "${each##*/}=${value%.}"; done; exec "$@"';

/**
 * The environment of a Swarm service, as parts of its container's specification. Secret variables are Swarm secrets, which
 * a command in front of the app exports.
 */
export function environmentOf(
  name: string,
  { service, envs, image, labels, secretNames }: RunSpec,
  engine: DockerEngine | undefined,
  opts: pulumi.ResourceOptions,
) {
  const env = envs.apply((lines) =>
    Object.fromEntries(
      lines
        .map((line) => [line.slice(0, line.indexOf("=")), line.slice(line.indexOf("=") + 1)] as const)
        .filter(([variable]) => !(variable in service.secretEnv)),
    ),
  );
  const secrets = Object.entries(service.secretEnv).map(([variable, value]) => {
    const data = pulumi.secret(Buffer.from(value).toString("base64"));
    const resource = secretNames[variable] ?? `${name}.${variable}`;
    const held = { data, labels: labelList({ ...labels, service: name }) };
    const made = new docker.Secret(resource, held, { ...opts, deleteBeforeReplace: false });
    return { secretId: made.id, secretName: made.name, fileName: variable };
  });
  if (secrets.length === 0) return { env };
  // That command starts the image's own program or the service's.
  return { env, secrets, commands: withSecrets(engine, image, service), args: [] };
}

/** Starts the image's own program, or the service's command, with the secrets as its environment. */
function withSecrets(
  engine: DockerEngine | undefined,
  image: pulumi.Input<string>,
  own: Pick<ServiceConfig, "entrypoint" | "command">,
): pulumi.Output<string[]> {
  return pulumi.output(image).apply(async (id) => {
    const format = "[{{json .Config.Entrypoint}},{{json .Config.Cmd}}]";
    const said = await engine?.docker(["image", "inspect", "--format", format, id]);
    const [entrypoint, command] = JSON.parse(said ?? "[null,null]");
    const started = own.entrypoint
      ? [...own.entrypoint, ...(own.command ?? [])]
      : [...(entrypoint ?? []), ...(own.command ?? command ?? [])];
    return ["/bin/sh", "-c", WITH_SECRETS, "sh", ...started];
  });
}
