/** What the rule has to know of a service. */

export interface DockerfileInput {
  readonly service: string;
  /** How the file is named in a finding. */
  readonly path: string;
  /** The Dockerfile's text. */
  readonly dockerfile: string;
  /** The text of .dockerignore. Default: none. */
  readonly dockerignore?: string;
  /** Stage to build. Default: the last one. */
  readonly target?: string;
  /** Build args besides GIT_COMMIT_HASH. */
  readonly args: Readonly<Record<string, string>>;
  /** What is built for. Default: linux/amd64. */
  readonly platform?: string;
  /** The names of the secrets that the build is given. Default: none. */
  readonly buildSecrets?: readonly string[];
  /** File of the image that holds the commit. */
  readonly commitFile: string;
  /** The files of the build context. Default: unknown. */
  readonly contextFiles?: readonly string[];
  /** The stage whose layers are to outlive the prune. Default: none. */
  readonly dependencies?: Held;
}
/** A stage whose layers are to outlive the prune. */
export interface Held {
  readonly stage: string;
  /** The text of a file of the build context. */
  readonly read: (path: string) => string;
}
