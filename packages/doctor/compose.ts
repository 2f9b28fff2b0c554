import { posix } from "node:path";
import { programOf } from "../../freshness/dockerfile/shell";
import type { Executed } from "../../freshness/dockerfile/state";
import { importFinding } from "./caches";
import type { ComposeService, ComposeVolume } from "./composeFile";
import { copiedFolders } from "./dockerfiles";
import type { Finding } from "./finding";
import { labelFindings } from "./frameworks";
import { imageName, isMovingTag, isOwn, type Ownership } from "./images";
import { isForDevelopment } from "./scope";
import { isRefreshed, startedText } from "./started";

/** What the rules need from the rest of the repository. */
export interface ComposeSurroundings {
  /** Whether the caller of this file pulls its images, or something watches their registry. */
  readonly isPulled: (service: ComposeService) => boolean;
  /** Whether a script builds an image of this name, so that it is not pulled. */
  readonly isBuilt: (image: string) => boolean;
  readonly ownership: Ownership;
  /** The steps that build a service's image; empty if its Dockerfile is unknown. */
  readonly stepsOf: (service: ComposeService) => readonly Executed[];
  /** Whether the commit is passed to a service's build and reaches its layers. */
  readonly isProven: (service: ComposeService) => boolean;
  /** Whether every call that builds the services uses no cache. */
  readonly isUncached: boolean;
  /** The files below a folder of the repository, relative to it. */
  readonly filesBelow: (folder: string) => readonly string[];
  /** The files that a rule reads. */
  readonly texts: ReadonlyMap<string, string>;
  /** The services of the same compose file. */
  readonly siblingsOf: (service: ComposeService) => readonly ComposeService[];
  /** Whether each script that starts a service gives it new anonymous volumes. */
  readonly isRenewed: (service: ComposeService) => boolean;
}

/** Build output folders, at any depth. */
export const OUTPUT =
  /(^|\/)(\.next|\.nuxt|\.output|\.svelte-kit|\.turbo|__pycache__|node_modules|dist|build|out|staticfiles|static_root|collected_?static|_site|public\/(assets|build|packs|static))(\/|$)/;
/** Folders that an app writes to. */
const DATA =
  /(^|\/)(data|db|database|uploads?|media|storage|logs?|tmp|temp|cache|caches|\.cache|run|var|backups?|sqlite\w*|instance|files|sessions?|state|config|conf|\.config|certs?|ssl|secrets?|keys|models|downloads|output|exports?|userdata|avatars|attachments|content|plugins|extensions|addons|custom|bundle|gems|\.venv|venv|pgdata|mysql|postgres\w*|redis|user|public\/(uploads|system|storage|media)|\.npm|\.yarn|\.pnpm-store|target)(\/|$)/i;
/** Commands of servers that reload their sources. */
const DEVELOPS =
  /(^|[\s/:"'-])(dev|start:dev|dev:\w+|develop|watch|nodemon|ts-node-dev|tsx watch|livereload|air|webpack-dev-server|dev_server|dev-server|runserver|runserver_plus|debugpy|vite|ng serve|next dev|hot)(\s|$|["':])|--(reload|watch|debug|hot|poll|inspect\S*)\b|:watch\b/;

/** Whether a service is for development: a server that reloads its sources is not a deployment. */
export function isDevelopment(service: ComposeService): boolean {
  const { section, profiles, command, environment, build, path, name } = service;
  if (isForDevelopment(path)) return true;
  if (/(^|[-_.])(dev|devel|development|debug|devcontainer|tests?|e2e)([-_.]|$)/i.test(name)) return true;
  if (
    profiles.length > 0 &&
    !profiles.some((profile) => /prod|live|deploy|release|default|all/i.test(profile))
  )
    return true;
  if (!section.at("develop").isEmpty) return true;
  const entrypoint = section.at("entrypoint").list.map(({ text = "" }) => text);
  if ([command?.text ?? "", entrypoint.join(" ")].some((text) => DEVELOPS.test(text))) return true;
  if (/(^|[-_.])(dev|development|local|test|debug)([-_.]|$)/i.test(build?.target ?? "")) return true;
  if (build && /(^|[-_./])(dev|development|local|test)([-_.]|$)/i.test(posix.basename(build.dockerfile)))
    return true;
  return (
    environment.some(
      ({ name, value }) =>
        /^(NODE_ENV|FLASK_ENV|RAILS_ENV|APP_ENV|ENV(IRONMENT)?|ASPNETCORE_ENVIRONMENT|DJANGO_ENV|RACK_ENV|MIX_ENV|GO_ENV)$/.test(
          name,
        ) && /(^|[-:{])(dev|development|local|test|testing)\b/i.test(value ?? ""),
    ) ||
    environment.some(
      ({ name, value }) =>
        name === "DJANGO_SETTINGS_MODULE" && /\.(dev|development|local|test)$/.test(value ?? ""),
    ) ||
    environment.some(
      ({ name, value }) =>
        /^(CHOKIDAR_USEPOLLING|WATCHPACK_POLLING|FLASK_DEBUG)$/.test(name) && /^(1|true)$/i.test(value ?? ""),
    )
  );
}

/** Findings for a compose file that can serve stale code. */
export function composeFileFindings(service: ComposeService, around: ComposeSurroundings): Finding[] {
  return [
    ...cacheFindings(service, around),
    ...imageFindings(service, around),
    ...volumeFindings(service, around),
    ...labelsOf(service),
  ];
}

function labelsOf({ path, section }: ComposeService): Finding[] {
  return [section.at("labels"), section.at("deploy", "labels")].flatMap((labels) =>
    labels.variables.flatMap(({ name, value, line }) => labelFindings(path, line, `${name}=${value ?? ""}`)),
  );
}

function cacheFindings(service: ComposeService, around: ComposeSurroundings): Finding[] {
  const { build, path, name } = service;
  if (!build || build.noCache || around.isUncached) return [];
  const use = { isKept: !isForDevelopment(path), isProven: around.isProven(service) };
  const findings: Finding[] = [];
  const { cacheFrom, cacheTo } = build;
  if (cacheFrom)
    findings.push(
      importFinding(
        "cache-from",
        { path, line: cacheFrom.line },
        `cache_from: ${cacheFrom.text}`,
        use,
        `Remove cache_from from the build section of ${name}.`,
      ),
    );
  const inline = build.args.find((arg) => arg.name === "BUILDKIT_INLINE_CACHE" && arg.value !== "0");
  const written = inline ?? (cacheTo && /type=inline/.test(cacheTo.text) ? cacheTo : undefined);
  if (written)
    findings.push(
      importFinding(
        "inline-cache",
        { path, line: written.line },
        inline ? "BUILDKIT_INLINE_CACHE" : "cache_to: type=inline",
        use,
        `Remove ${inline ? "BUILDKIT_INLINE_CACHE" : "cache_to"} from line ${written.line} of ${path}.`,
      ),
    );
  return findings;
}

function imageFindings(service: ComposeService, around: ComposeSurroundings): Finding[] {
  const { path, name, image, build, pullPolicy } = service;
  if (!image || build || isForDevelopment(path) || around.isBuilt(image.text)) return [];
  const read = imageName(image.text);
  if (!read || !isMovingTag(read)) return [];
  // A moving default tag that users override with a variable, or that may never be pulled.
  const isChosen =
    read.owner !== "" && (/:\$\{\w+:?-/.test(image.text) ? isAppOf(read.name) : pullPolicy === "never");
  if (!isOwn(read, around.ownership) && !isChosen) return [];
  if (/^(always|build|daily|weekly|every_.*)$/.test(pullPolicy ?? "")) return [];
  if (pullPolicy === undefined && around.isPulled(service)) return [];
  return [
    {
      rule: "image-not-pulled",
      severity: "warning",
      path,
      line: image.line,
      why:
        pullPolicy === "never"
          ? `${name} never asks for a newer image of a tag that moves (pull_policy: never)`
          : `${name} runs what this machine has under a tag that moves: unless somebody pulls, an image that is there already stays`,
      found: `image: ${image.text}`,
      fix: "Name the image by its digest or by a tag of its commit, or add pull_policy: always.",
    },
  ];
}

function isAppOf(name: string): boolean {
  return /(^|[-_])(app|web|api|server|client|frontend|backend|worker|ui)([-_]|$)/.test(name);
}

/** Findings for mounts that hide files of the image. */
export function volumeFindings(
  service: ComposeService,
  around: Pick<ComposeSurroundings, "stepsOf" | "filesBelow" | "texts" | "siblingsOf" | "isRenewed">,
): Finding[] {
  const { path, name, build } = service;
  if (isDevelopment(service)) return [];
  const executed = around.stepsOf(service);
  if (!build && executed.length === 0) return [];
  if (!service.command && isDevelopmentImage(executed)) return [];
  const image = {
    copied: copiedFolders(executed),
    workdir: executed.at(-1)?.workdir,
    isKnown: executed.length > 0,
    written: executed.map(({ step }) => step.text).join("\n"),
    makesStatic: executed.some(({ commands }) =>
      commands.some((command) =>
        /collectstatic|assets:precompile|compilestatic/.test(programOf(command).args.join(" ")),
      ),
    ),
    files: build?.context === undefined ? [] : around.filesBelow(build.context),
  };
  // Below a bind mount the sources are not the image's. That is common in development.
  const isMounted = (path: string) =>
    service.volumes.some(
      ({ kind, target }) =>
        kind === "bind" && path.startsWith(`${posix.normalize(target).replace(/\/$/, "")}/`),
    );
  return service.volumes.flatMap((volume): Finding[] => {
    const { target, kind, source, line } = volume;
    if (kind === "tmpfs") return [];
    const what = coveredBy(volume, image);
    if (what === undefined) return [];
    if (kind === "volume" && source === "" && around.isRenewed(service)) return [];
    if (kind === "volume" && isRefreshedBy(volume, service, around)) return [];
    const shown = source === "" ? target : `${source}:${target}`;
    if (kind === "bind")
      return [
        {
          rule: "mount-over-image",
          severity: "warning",
          path,
          line,
          why: `where this file is deployed, ${name} serves ${what} from a folder of the machine: whatever the image has there is hidden, and no build changes it`,
          found: shown,
          fix: `Remove it, or keep it in a compose file for development (compose.override.yaml).`,
        },
      ];
    return [
      {
        rule: "volume-over-image",
        severity: isMounted(posix.normalize(target)) ? "warning" : "error",
        path,
        line,
        why: isMounted(posix.normalize(target))
          ? `if this file is deployed, ${name} keeps ${what} in a volume that the first image fills: later images' files there are hidden`
          : `${name} keeps ${what} in a volume, which the first image fills: later images' files there are hidden by those of the first`,
        found: shown,
        fix: `Remove the volume ${shown}; a volume is for data that the app writes.`,
      },
    ];
  });
}

/** Whether an image starts a server that reloads its sources, or says that it is for development. */
function isDevelopmentImage(executed: readonly Executed[]): boolean {
  const last = executed.at(-1)?.stage;
  const own = executed.filter(({ stage }) => stage === last).map(({ step }) => step);
  const started = own
    .filter(({ keyword }) => keyword === "CMD" || keyword === "ENTRYPOINT")
    .map(({ json, text }) => (json ?? [text]).join(" "));
  return (
    started.some((text) => DEVELOPS.test(text)) ||
    own.some(
      ({ keyword, text }) => keyword === "ENV" && /\b(FLASK|NODE|RAILS|APP|RACK)_ENV[= ]["']?dev/.test(text),
    )
  );
}

/** Whether a service that mounts a volume writes its image's files into it when it starts. */
function isRefreshedBy(
  { source, target }: ComposeVolume,
  service: ComposeService,
  { siblingsOf, stepsOf, texts }: Pick<ComposeSurroundings, "siblingsOf" | "stepsOf" | "texts">,
): boolean {
  const isSame = (other: ComposeVolume) => other.kind === "volume" && other.source === source;
  const sharers = source === "" ? [] : siblingsOf(service).filter(({ volumes }) => volumes.some(isSame));
  return [service, ...sharers].some((one) => {
    const text = startedText(one, stepsOf(one), texts);
    const targets = one === service ? [target] : one.volumes.filter(isSame).map((each) => each.target);
    return targets.some((folder) => isRefreshed(folder, text));
  });
}

interface ImageFiles {
  readonly copied: readonly string[];
  readonly workdir: string | undefined;
  readonly isKnown: boolean;
  /** The steps that build it, as text. */
  readonly written: string;
  readonly makesStatic: boolean;
  readonly files: readonly string[];
}

/** The path in the image that a mount hides, if any. */
function coveredBy({ target, source, kind }: ComposeVolume, image: ImageFiles): string | undefined {
  const { copied, workdir, isKnown, written, makesStatic, files } = image;
  const path = posix.normalize(target).replace(/\/$/, "") || "/";
  // A mounted file is usually configuration, not code.
  if (/\/?[^/]+\.[a-z0-9]{1,5}$/i.test(source) && /\.[a-z0-9]{1,5}$/i.test(path) && !OUTPUT.test(path))
    return undefined;
  if (/docker\.sock|\/\.(ssh|aws|gitconfig|env)/.test(source)) return undefined;
  const isAbove = (folder: string) => folder === path || folder.startsWith(path === "/" ? "/" : `${path}/`);
  const folder = copied.find(isAbove);
  if (folder !== undefined) return `its source in ${folder}`;
  if (copied.length > 0 && workdir !== undefined && workdir !== "/" && workdir === path)
    return `its source in ${path}`;
  if (!isKnown && path === "/app") return "its source in /app";
  const output = OUTPUT.exec(path)?.[2];
  const root = copied.find((one) => path.startsWith(one === "/" ? "/" : `${one}/`));
  const below = root === undefined ? path : posix.relative(root, path);
  const isInWorkdir = workdir !== undefined && workdir !== "/" && path.startsWith(`${workdir}/`);
  // Another service's image fills the volume.
  if (isKnown && root === undefined && !isInWorkdir && !written.includes(path)) return undefined;
  if (output !== undefined && !(kind === "bind" && output === "node_modules"))
    return `build output (${output})`;
  if (makesStatic && /(^|\/)(static|assets|public)(\/|$)/.test(below)) return `collected assets (${below})`;
  if (DATA.test(below) || root === undefined || kind === "bind") {
    // A source folder that is mounted from the same sources.
    const isSame = kind === "bind" && root !== undefined && /^\.{1,2}\//.test(source) && !DATA.test(below);
    return isSame && files.some((file) => file.startsWith(`${below}/`)) ? `its source in ${path}` : undefined;
  }
  return files.some((file) => file.startsWith(`${below}/`) && !/(^|\/)\.(git)?keep$|\.gitignore$/.test(file))
    ? `files of the repository (${below})`
    : undefined;
}
