import { type Break, broken } from "../chain";
import { type ContainerChange, foreignChanges } from "../container";
import { NAMESPACE } from "../project";
import { isServerFile } from "./serverFiles";

/** Files that are lost with their container, because they are in no volume. */
export interface Unsaved {
  readonly container: string;
  readonly paths: readonly string[];
}

/** What servers write and visitors would miss: sessions, and certificates, whose number per week is limited. */
const MISSED = /\/(sess_|sessions|certificates|acme|pki)/;

/** Files of a container that its next deploy would lose. What a server writes for itself is not among them. A folder is omitted if its content is listed. */
export function unsavedChanges(
  changes: readonly ContainerChange[],
  caches: readonly string[],
  mounts: readonly string[],
): string[] {
  const written = foreignChanges(changes, caches, mounts).filter(({ kind }) => kind !== "D");
  const paths = written.map(({ path }) => path).filter((path) => !isServerFile(path) || MISSED.test(path));
  return paths.filter((path) => !paths.some((other) => other.startsWith(`${path}/`)));
}

/** Describes the files that would be lost. It names the first ten. */
export function unsavedText(service: string, { container, paths }: Unsaved): string {
  const more = paths.length > 10 ? `, and ${paths.length - 10} more` : "";
  const files = paths.length === 1 ? "1 file" : `${paths.length} files`;
  return `${service}: ${files} of container ${container} in no volume: ${paths.slice(0, 10).join(", ")}${more}`;
}

/** Rejects a deploy that would lose files. */
export function unsavedVerdict(service: string, unsaved: Unsaved): Break {
  const key = `${NAMESPACE}:services.${service}`;
  return broken({
    link: "container",
    service,
    wrong: "the deploy would lose files of the running container",
    expected: "files only in volumes or caches",
    found: unsavedText(service, unsaved),
    evidence: `docker diff ${unsaved.container}`,
    remedy: `Copy them out (docker cp) and let the service write below one of ${key}.volumes; or set ${key}.unsavedFiles to warn to lose them.`,
  });
}
