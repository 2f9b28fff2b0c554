import { type Break, broken, type Verdict } from "../chain";
import { isRuntimeFolder } from "../container";
import { NAMESPACE } from "../project";

/** A mount of a container: a volume, a folder of the engine's machine, or a tmpfs. */
export interface Mount {
  readonly kind: "volume" | "bind" | "tmpfs";
  /** Name of the volume or path of the folder; empty for a tmpfs. */
  readonly source: string;
  /** Path in the container. */
  readonly destination: string;
}

/** A mount, and the image's files at or below its destination. */
export interface Covered {
  readonly mount: Mount;
  readonly files: readonly string[];
}

/** Placeholder files that keep an empty folder in git. */
const PLACEHOLDER = /(^|\/)\.(gitkeep|keep|gitignore)$/;
/** Name of an anonymous volume. The engine generates it for a VOLUME instruction. */
const ANONYMOUS = /^[0-9a-f]{64}$/;

/** Mounts that can hide code: all except those in run-time folders. */
export function mountsToJudge(mounts: readonly Mount[]): Mount[] {
  return mounts.filter(({ destination }) => !isRuntimeFolder(destination));
}

/**
 * Judges the mounts of a container. No mount may cover files of the image. The first release fills a new volume. Later
 * releases see the files of the first release there, whatever their image contains.
 * @param volumes volumes in the service's configuration: name → path
 */
export function mountsVerdict(
  service: string,
  container: string,
  covered: readonly Covered[],
  volumes: Readonly<Record<string, string>>,
): Verdict | Break {
  const hiding = covered
    .map(({ mount, files }) => ({ mount, files: files.filter((file) => !PLACEHOLDER.test(file)) }))
    .filter(({ files }) => files.length > 0);
  const expected = "nothing mounted over files of the image";
  const evidence = `the mounts of container ${container}`;
  const [first] = hiding;
  if (!first) return { link: "container", service, status: "proven", expected, found: expected, evidence };
  return broken({
    link: "container",
    service,
    wrong: "a mount hides files of the image",
    expected,
    found: hiding.map(describe).join("; "),
    evidence,
    remedy: remedy(service, first.mount, volumes),
  });
}

function describe({ mount, files }: Covered): string {
  const listed = files.slice(0, 3).join(", ");
  const more = files.length > 3 ? ", …" : "";
  return `${nameOf(mount)} over ${files.length} in ${mount.destination}: ${listed}${more}`;
}

function nameOf({ kind, source }: Mount): string {
  if (kind === "tmpfs") return "a tmpfs";
  if (kind === "bind") return `${source} of the engine's machine`;
  return ANONYMOUS.test(source) ? "an anonymous volume" : `volume ${source}`;
}

function remedy(
  service: string,
  { kind, source, destination }: Mount,
  volumes: Readonly<Record<string, string>>,
): string {
  const at = destination.replace(/\/$/, "");
  const declared = Object.entries(volumes).find(([, path]) => path.replace(/\/+$/, "") === at)?.[0];
  if (declared !== undefined)
    return `Lead ${NAMESPACE}:services.${service}.volumes.${declared} to a folder that is empty in the image: a volume keeps the files of the release that first filled it.`;
  if (kind === "volume" && ANONYMOUS.test(source))
    return `Remove VOLUME ${at} from the Dockerfile, or leave that folder empty in the image: changes inside a volume cannot be checked.`;
  return "Mount it at a folder that is empty in the image.";
}
