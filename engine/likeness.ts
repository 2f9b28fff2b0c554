/** What a one-off container does otherwise than the one it is made like. */
export interface OneOffChanges {
  readonly command: readonly string[];
  /** In place of the container's own; null for that of the image. */
  readonly entrypoint?: readonly string[] | null;
  /** Whether its input and output are a terminal. */
  readonly terminal: boolean;
  readonly labels: Readonly<Record<string, string>>;
}

/** What is read of a container to make another one like it, in the words of the engine's API. */
export interface ContainerToCopy {
  readonly Image: string;
  readonly Config: Readonly<Record<string, unknown>>;
  readonly HostConfig: Readonly<Record<string, unknown>>;
  readonly NetworkSettings: { readonly Networks?: Readonly<Record<string, unknown>> | null };
}

/**
 * What the engine is asked for to make a container that runs once beside another one: of its image, with its environment, volumes,
 * limits and network. It answers to none of the other's names and publishes nothing.
 */
export function oneOffLike(
  { Image, Config, HostConfig, NetworkSettings }: ContainerToCopy,
  { command, entrypoint, terminal, labels }: OneOffChanges,
) {
  const [network = "none"] = Object.keys(NetworkSettings.Networks ?? {});
  return {
    Image,
    Env: Config.Env,
    User: Config.User,
    WorkingDir: Config.WorkingDir,
    StopSignal: Config.StopSignal,
    Entrypoint: entrypoint === undefined ? Config.Entrypoint : entrypoint,
    Cmd: command,
    Labels: labels,
    // A check of the service would ask a port on which nothing listens.
    Healthcheck: { Test: ["NONE"] },
    Tty: terminal,
    OpenStdin: true,
    StdinOnce: true,
    AttachStdin: true,
    AttachStdout: true,
    AttachStderr: true,
    HostConfig: {
      ...HostConfig,
      AutoRemove: true,
      RestartPolicy: { Name: "no" },
      PortBindings: {},
      NetworkMode: network,
    },
    NetworkingConfig: { EndpointsConfig: { [network]: {} } },
  };
}
