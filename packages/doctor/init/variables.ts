import { randomBytes } from "node:crypto";
import { posix } from "node:path";
import { parseDotenv } from "../../../config/dotenv";
import type { Repository } from "../repository";
import { Yaml } from "../yaml";

/** A variable of a file of NAME=value. */
export interface FileVariable {
  readonly name: string;
  readonly value: string;
  readonly at: string;
}

const SECRET =
  /SECRET|TOKEN|PASSWORD|PASSWD|PRIVATE|CREDENTIAL|API_?KEY|ACCESS_?KEY|(^|_)(DSN|PASS|KEY|SALT)$/i;
const WITH_PASSWORD = /:\/\/[^/\s:@]*:[^/\s@]+@/;
/** Secrets that the app alone knows, so that any value serves. */
const OWN_SECRET =
  /SECRET|PASSWORD|PASSWD|(^|_)(PASS|SALT)$|(^|_)(APP|SECRET|SESSION|SIGNING|ENCRYPTION|MASTER)_?KEY/i;
/** Secrets that another party gives out. */
const GIVEN_OUT = /CLIENT|API|ACCESS|OAUTH|SMTP|MAIL|AWS|S3|STRIPE|WEBHOOK|TOKEN|SENTRY/i;
/** What stands for a value that the user is to choose. */
const PLACEHOLDER =
  /^$|change|insecure|example|dummy|placeholder|replace|fixme|todo|your|generate|^(secret|password|admin|-+|x+|\.+|<.*>)$/i;
/** Variables that compose and the docker CLI read themselves. */
const OF_COMPOSE = /^(COMPOSE|DOCKER)_/;
const SWITCH = /DEBUG|RELOAD|(^|_)(ENV|ENVIRONMENT|MODE)$/i;
const DEVELOPS = /^(true|1|yes|on|dev|develop|development|local|debug)$/i;
const EXAMPLES = ["example", "sample", "dist", "template"];

/** Whether a variable's value should not be in a file that git tracks. */
export function isSecret(name: string, value: string | undefined): boolean {
  if (value === "" || /^(true|false|yes|no|on|off|[01])$/i.test(value ?? "")) return false;
  const isPublic = /^(NEXT_)?PUBLIC_|^VITE_/.test(name);
  return (SECRET.test(name) && !isPublic) || WITH_PASSWORD.test(value ?? "");
}

/** Whether a variable of an example switches to development. */
export const isDevelopmentSwitch = ({ name, value }: FileVariable) =>
  SWITCH.test(name) && DEVELOPS.test(value);

/** Whether a value names settings for development, such as `party.settings.dev`. */
export const namesDevelopment = (value: string) =>
  /(^|[._-])(dev|develop|development|local|debug)$/i.test(value);

export const isOfCompose = ({ name }: FileVariable) => OF_COMPOSE.test(name);

/** A file of NAME=value, or the example that it is copied from. */
export interface VariablesFile {
  readonly path: string;
  readonly isExample: boolean;
  readonly variables: readonly FileVariable[];
}

/** A file of variables, else the example that the repository has of it; undefined if it has neither. */
export function variablesFile(repository: Repository, path: string): VariablesFile | undefined {
  const examples = EXAMPLES.flatMap((end) => [
    `${path}.${end}`,
    posix.join(posix.dirname(path), `${end}.env`),
    posix.join(posix.dirname(path), `.${end}.env`),
  ]);
  const found = [path, ...examples].find((each) => repository.texts.has(each));
  if (found === undefined) return undefined;
  const { values, lines } = parseDotenv(repository.texts.get(found) ?? "");
  const variables = Object.entries(values).flatMap(([name, value]) =>
    /^[A-Za-z_]\w*$/.test(name) ? [{ name, value, at: `${found}:${lines[name]}` }] : [],
  );
  return { path: found, isExample: found !== path, variables };
}

/** The values of the variables that a compose file names, as far as the repository shows them. */
export class ComposeVariables {
  private readonly known = new Map<string, string>();
  private readonly exampleOnly: boolean;

  /** @param make a value for a secret that the app alone knows */
  constructor(
    repository: Repository,
    composeFile: string,
    private readonly make: (name: string) => string = () => randomBytes(24).toString("hex"),
  ) {
    const file = variablesFile(repository, posix.join(posix.dirname(composeFile), ".env"));
    this.exampleOnly = file?.isExample ?? false;
    for (const variable of file?.variables ?? []) this.known.set(variable.name, this.chosen(variable));
  }

  /** The value of a file's variable, with a made-up secret in place of a placeholder. */
  chosen({ name, value }: Pick<FileVariable, "name" | "value">): string {
    const before = this.known.get(name);
    if (before !== undefined) return before;
    const isOpen = isOwnSecret(name) && PLACEHOLDER.test(value);
    const text = isOpen ? this.make(name) : this.resolved(value);
    if (isOpen) this.known.set(name, text);
    return text;
  }

  /** A document with the values of its variables in place of their names. */
  within(node: Yaml): Yaml {
    return new Yaml(
      node.line,
      node.text === undefined ? undefined : this.resolved(node.text),
      node.textLine,
      node.entries.map((entry) => ({ ...entry, value: this.within(entry.value) })),
      node.items.map((item) => this.within(item)),
    );
  }

  /** A text with the values of the known variables in it. */
  private resolved(text: string): string {
    return text.replace(
      /\$\$|\$\{([A-Za-z_]\w*)(?:(:?[-?+])([^}]*))?\}|\$([A-Za-z_]\w*)/g,
      (all, braced?: string, operator = "", word = "", plain?: string) => {
        const name = braced ?? plain;
        if (name === undefined || operator.endsWith("+")) return all;
        // An example is for development more often than not: it fills only what has no default.
        if (operator.endsWith("-") && (this.exampleOnly || !this.known.get(name)))
          return word.includes("$") ? all : word;
        return this.known.get(name) ?? (isOwnSecret(name) ? this.chosen({ name, value: "" }) : all);
      },
    );
  }
}

/** Secrets that an example leaves to the user, and that the app does not start without. */
export function openSecrets(file: VariablesFile | undefined): FileVariable[] {
  const isOpen = ({ name, value }: FileVariable) =>
    /SECRET/.test(name) && isOwnSecret(name) && PLACEHOLDER.test(value);
  return file?.isExample ? file.variables.filter(isOpen) : [];
}

function isOwnSecret(name: string): boolean {
  return OWN_SECRET.test(name) && !GIVEN_OUT.test(name);
}
