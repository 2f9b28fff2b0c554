/** Input of the Dockerfile rule for a service. */

export interface DockerfileInput {
  readonly service: string;
  /** Path of the file in findings. */
  readonly path: string;
  /** Text of the Dockerfile. */
  readonly dockerfile: string;
  /** Text of .dockerignore. Default: none. */
  readonly dockerignore?: string;
  /** Stage to build. Default: the last one. */
  readonly target?: string;
  /** Build args besides GIT_COMMIT_HASH. */
  readonly args: Readonly<Record<string, string>>;
  /** Target platform. Default: linux/amd64. */
  readonly platform?: string;
  /** Names of the secrets that the build receives. Default: none. */
  readonly buildSecrets?: readonly string[];
  /** File of the image that contains the commit; empty for a service without one. */
  readonly commitFile: string;
  /** Files of the build context. Default: unknown. */
  readonly contextFiles?: readonly string[];
  /** Stage whose layers are kept through the prune. Default: none. */
  readonly dependencies?: Held;
}
/** A stage whose layers are kept through the prune. */
export interface Held {
  readonly stage: string;
  /** Returns the text of a file of the build context. */
  readonly read: (path: string) => string;
}
