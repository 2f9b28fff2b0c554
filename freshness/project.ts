import { isPackage, PACKAGE } from "./package";

/**
 * The namespace of the configuration keys: the Pulumi project's name. A command of the package reads it from Pulumi.yaml
 * and passes it on in WATCH_PARTY_PROJECT before it loads this file; in the Pulumi program the language host has set it.
 */
export const NAMESPACE = isPackage
  ? process.env.WATCH_PARTY_PROJECT || process.env.PULUMI_NODEJS_PROJECT || PACKAGE
  : "watch-party";

/** Commands that print nothing of npm's own beside their output. */
const SILENT = ["doctor", "logs", "maintenance", "pulumi", "unlock"];

/**
 * How a user runs a command of this program.
 *
 * @param line the command and its arguments, such as `up --stack prod`
 */
export function commandLine(line: string): string {
  if (isPackage) return `npx ${PACKAGE} ${line}`;
  const [name = "", ...rest] = line.split(" ");
  const npm = `npm run ${SILENT.includes(name) ? "-s " : ""}${name}`;
  return rest.length > 0 ? `${npm} -- ${rest.join(" ")}` : npm;
}

/** The value of the label `watch-party.stack`: unique on an engine that several projects deploy to. */
export function stackId(stack: string): string {
  return NAMESPACE === "watch-party" ? stack : `${NAMESPACE}/${stack}`;
}
