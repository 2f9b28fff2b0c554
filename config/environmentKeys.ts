import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { parseDotenv } from "./dotenv";
import { NAMESPACE } from "./types";

/** The variables of this machine, and those of a stack's own file. */
export type Variables = Readonly<Record<string, string | undefined>>;

/** The file beside a stack's configuration whose variables `{ env: VARIABLE }` finds; it is kept out of git. */
export function variablesFile(stack: string): string {
  return `.env.${stack}`;
}

/** The variables of this machine, which override those of the stack's file. */
export function variablesOf(folder: string, stack: string): Variables {
  const path = join(folder, variablesFile(stack));
  if (!existsSync(path)) return process.env;
  const { values } = parseDotenv(readFileSync(path, "utf8"), (name) => process.env[name]);
  return { ...values, ...process.env };
}

/** The variable that holds the private key of a stack's server, in place of the stack's file. */
export function serverKeyVariable(stack: string): string {
  return `WATCH_PARTY_SERVER_KEY_${variablePart(stack)}`;
}

/** The variable that holds the password of a stack's registry, in place of the stack's file. */
function registryPasswordVariable(stack: string): string {
  return `WATCH_PARTY_REGISTRY_PASSWORD_${variablePart(stack)}`;
}

/** The environments of pull requests share their variables: no one sets a secret for each. */
function variablePart(stack: string): string {
  return stack
    .replace(/^pr-\d+$/, "pr")
    .toUpperCase()
    .replace(/[^A-Z0-9]/g, "_");
}

/**
 * Values that CI passes in variables. Such a key is in no file, and in no state that a preview reads. The variable has
 * the stack's name, because a promotion reaches two servers.
 */
export function givenByEnvironment(
  stack: string,
  env: Readonly<Record<string, string | undefined>> = process.env,
): { serverKey?: string; registryPassword?: string; commit?: string } {
  const serverKey = env[serverKeyVariable(stack)];
  const registryPassword = env[registryPasswordVariable(stack)];
  const commit = env.WATCH_PARTY_COMMIT;
  return {
    ...(serverKey && { serverKey }),
    ...(registryPassword && { registryPassword }),
    ...(commit && { commit }),
  };
}

/** The values of secret variables. What a variable of this machine should hold, and does not, is noted for `up`. */
export function fromEnvironment(
  given: Readonly<Record<string, string | { readonly env: string }>>,
  at: string,
  unset: string[],
  variables: Variables,
): Record<string, string> {
  return Object.fromEntries(
    Object.entries(given).map(([name, from]) => {
      if (typeof from === "string") return [name, from];
      const value = variables[from.env];
      if (value === undefined)
        unset.push(
          `${NAMESPACE}:${at}.secretEnv.${name} names the variable ${from.env}, which is not set; allowed: a variable of the machine that deploys, or a line of ${variablesFile("STACK")} beside the configuration`,
        );
      return [name, value ?? ""];
    }),
  );
}
