/** What a command asks for beyond the configuration. */
export interface Intent {
  /** Commit of the release to go back to, or `ONE_BEFORE`. */
  readonly rollback?: string;
  /** Commit that runs: it runs in new containers. */
  readonly restart?: string;
  /** Stack whose images are deployed. */
  readonly fromStack?: string;
  /** Ends a rollback. */
  readonly resume?: boolean;
  /** Prunes and builds, even if nothing has changed. */
  readonly rebuild?: boolean;
  /** Deploys a commit that is older than the one that runs. */
  readonly allowOlder?: boolean;
  /** Takes over what runs of this stack without being in its state. */
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

/** Reads what is asked for from the environment, which is how a command reaches the program and a plain `pulumi up` asks too. */
export function readIntent(env: Readonly<Record<string, string | undefined>> = process.env): Intent {
  const texts = Object.entries(TEXTS).map(([key, name]) => [key, env[name] || undefined]);
  const flags = Object.entries(FLAGS).map(([key, name]) => [key, env[name] === "1"]);
  return Object.fromEntries([...texts, ...flags]);
}

/** Hands what a command asks for to the program, which runs with this environment. */
export function writeIntent(intent: Intent, env: NodeJS.ProcessEnv = process.env): void {
  for (const [key, name] of Object.entries(TEXTS)) {
    const value = intent[key as keyof typeof TEXTS];
    if (value !== undefined) env[name] = value;
  }
  for (const [key, name] of Object.entries(FLAGS)) if (intent[key as keyof typeof FLAGS]) env[name] = "1";
}
