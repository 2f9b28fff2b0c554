/**
 * Variables that any program needs to find its files, its network and its agent. None holds a secret of a deploy, such
 * as Pulumi's configuration and passphrase, or a CI's tokens.
 */
const COMMON =
  /^(PATH|HOME|USER|LOGNAME|SHELL|TMPDIR|TMP|TEMP|LANG|LANGUAGE|LC_\w+|TZ|TERM|XDG_\w+|SSH_AUTH_SOCK|SSL_CERT_(FILE|DIR)|DBUS_SESSION_BUS_ADDRESS|(HTTPS?|ALL|NO)_PROXY|SYSTEMROOT|WINDIR|APPDATA|LOCALAPPDATA|USERPROFILE|PATHEXT|COMSPEC)$/i;

/** Additional variables by kind of program. */
const OWN = {
  /**
   * Variables to reach the upstream, and the user that root runs git for (git accepts that user's clones); none that
   * select a repository or its configuration.
   */
  git: /^(SUDO_UID|GIT_SSH|GIT_SSH_COMMAND|GIT_SSL_\w+|GIT_DISCOVERY_ACROSS_FILESYSTEM)$/,
  /** Credential helpers of registries read the clouds' variables. */
  docker: /^(DOCKER_\w+|BUILDKIT_\w+|BUILDX_\w+|GOGC|GODEBUG|AWS_\w+|GOOGLE_\w+|CLOUDSDK_\w+|AZURE_\w+)$/,
  /** Pulumi's state, login and their keys; the stack's configuration values are not passed on. */
  pulumi:
    /^(PULUMI_(?!CONFIG$|CONFIG_SECRET_KEYS$)\w+|NODE_COMPILE_CACHE|GOGC|AWS_\w+|GOOGLE_\w+|CLOUDSDK_\w+|AZURE_\w+|VAULT_\w+)$/,
  ssh: /^(?!)$/,
} as const;

/**
 * The environment of a child process: only the variables that its kind of program needs.
 *
 * @param kind `ssh` for a program without needs of its own
 * @param more additional variables
 */
export function childEnvironment(
  kind: keyof typeof OWN,
  more: Readonly<Record<string, string>> = {},
  from: Readonly<NodeJS.ProcessEnv> = process.env,
): Record<string, string> {
  const passed = Object.entries(from).filter(
    (entry): entry is [string, string] =>
      entry[1] !== undefined && (COMMON.test(entry[0]) || OWN[kind].test(entry[0])),
  );
  return { ...Object.fromEntries(passed), ...more };
}
