/** What a command requests beyond the configuration. */
export interface Intent {
  /** Commit of the release to roll back to, or `ONE_BEFORE`. */
  readonly rollback?: string;
  /** The running commit, to run in new containers. */
  readonly restart?: string;
  /** Stack whose images are deployed. */
  readonly fromStack?: string;
  /** Ends a rollback. */
  readonly resume?: boolean;
  /** Prunes and builds, even if nothing has changed. */
  readonly rebuild?: boolean;
  /** Allows a commit that is older than the running one. */
  readonly allowOlder?: boolean;
  /** Takes over running containers of this stack that are not in its state. */
  readonly adopt?: boolean;
}

/** A rollback that names no release. */
export const ONE_BEFORE = "one-before";

const TEXTS = {
  rollback: "WATCH_PARTY_ROLLBACK",
  restart: "WATCH_PARTY_RESTART",
  fromStack: "WATCH_PARTY_FROM_STACK",
} as const;

const FLAGS = {
  resume: "WATCH_PARTY_RESUME",
  rebuild: "WATCH_PARTY_REBUILD",
  allowOlder: "WATCH_PARTY_ALLOW_OLDER",
  adopt: "WATCH_PARTY_ADOPT",
} as const;

/** Reads the request from the environment. A command passes it this way, and a plain `pulumi up` can too. */
export function readIntent(env: Readonly<Record<string, string | undefined>> = process.env): Intent {
  const texts = Object.entries(TEXTS).map(([key, name]) => [key, env[name] || undefined]);
  const flags = Object.entries(FLAGS).map(([key, name]) => [key, env[name] === "1"]);
  return Object.fromEntries([...texts, ...flags]);
}

/** Writes a command's request to the environment that the program inherits. */
export function writeIntent(intent: Intent, env: NodeJS.ProcessEnv = process.env): void {
  for (const [key, name] of Object.entries(TEXTS)) {
    const value = intent[key as keyof typeof TEXTS];
    if (value !== undefined) env[name] = value;
  }
  for (const [key, name] of Object.entries(FLAGS)) if (intent[key as keyof typeof FLAGS]) env[name] = "1";
}
