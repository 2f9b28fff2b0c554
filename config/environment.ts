/**
 * What any program needs to find its files, its network and its agent. No variable that holds a secret of a deploy is among
 * them: neither Pulumi's configuration and passphrase nor the tokens of a CI.
 */
const COMMON =
  /^(PATH|HOME|USER|LOGNAME|SHELL|TMPDIR|TMP|TEMP|LANG|LANGUAGE|LC_\w+|TZ|TERM|XDG_\w+|SSH_AUTH_SOCK|SSL_CERT_(FILE|DIR)|DBUS_SESSION_BUS_ADDRESS|(HTTPS?|ALL|NO)_PROXY|SYSTEMROOT|WINDIR|APPDATA|LOCALAPPDATA|USERPROFILE|PATHEXT|COMSPEC)$/i;

/** What a kind of program needs besides. */
const OWN = {
  /**
   * How the upstream is reached, and for whom root runs it (git takes that user's clones for its own); nothing that says which
   * repository is meant, or how it is configured.
   */
  git: /^(SUDO_UID|GIT_SSH|GIT_SSH_COMMAND|GIT_SSL_\w+|GIT_DISCOVERY_ACROSS_FILESYSTEM)$/,
  /** The credential helpers of registries read the clouds' variables. */
  docker: /^(DOCKER_\w+|BUILDKIT_\w+|BUILDX_\w+|GOGC|GODEBUG|AWS_\w+|GOOGLE_\w+|CLOUDSDK_\w+|AZURE_\w+)$/,
  /** Its state, its login and the keys of both; what the stack's configuration holds is not handed on. */
  pulumi:
    /^(PULUMI_(?!CONFIG$|CONFIG_SECRET_KEYS$)\w+|NODE_COMPILE_CACHE|GOGC|AWS_\w+|GOOGLE_\w+|CLOUDSDK_\w+|AZURE_\w+|VAULT_\w+)$/,
  ssh: /^(?!)$/,
} as const;

/**
 * The environment of a child process: the variables that such a program needs, and no other.
 *
 * @param kind `ssh` for any program that needs nothing of its own
 * @param more variables to set
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
