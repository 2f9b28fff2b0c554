import { posix } from "node:path";
import { COMMIT_ARG } from "../../../freshness/dockerfile/finding";
import { reaches } from "../../../freshness/dockerfile/manifests";
import { stepsOf } from "../builds";
import { volumeFindings } from "../compose";
import { type ComposeService, resolvedText } from "../composeFile";
import { isExamined } from "../examine";
import type { Repository } from "../repository";
import { type AccessoryLayout, accessoryLayouts } from "./accessories";
import { type Notes, type TakenEnvironment, takenEnvironment, takenVolumes } from "./composeValues";
import { httpsRedirect } from "./django";
import { type Framework, frameworkOf, isManifestOfHints, type Kind, kindOfName } from "./framework";
import { type Found, guessedDependencies, healthPath, type ImageHints, imageHints } from "./image";
import { type Accepts, composeKeys, healthPort, secondsOf } from "./keys";
import { commandOf, isFilledAtStart, migrationOf, oneOffs } from "./migrations";
import { HEALTH_PATH, isSource, servedPath, VERSION_PATH } from "./paths";
import { type Candidate, candidates } from "./services";
import { ComposeVariables, openSecrets, variablesFile } from "./variables";
import type { Writable } from "./write/plan";

/** A service in the stack's configuration. Omitted keys have their defaults. */
interface ServiceLayout {
  /** Absent if it runs another service's image. */
  context?: string;
  image?: string;
  dockerfile?: string;
  target?: string;
  dependencyStage?: string;
  port?: number;
  route?: string;
  health?: string;
  args?: Record<string, string>;
  env?: Readonly<Record<string, string>>;
  secretEnv?: TakenEnvironment["secretEnv"];
  capabilities?: string[];
  volumes?: Record<string, string>;
  /** Compose's settings for running the container. */
  more?: Readonly<Record<string, unknown>>;
}

/** A guessed layout for an app, with the reasons. */
export interface Layout {
  readonly services: Readonly<Record<string, ServiceLayout>>;
  /** The databases, caches and queues of the compose file. */
  readonly accessories: Readonly<Record<string, AccessoryLayout>>;
  /** One line for each guess, with its evidence at the end. */
  readonly guesses: readonly string[];
  /** Variable → value that `secretEnv` names: lines of the stack's own file, which git does not track. */
  readonly secrets: ReadonlyMap<string, string>;
  /** Decisions for the user. */
  readonly decisions: readonly string[];
  /** Omitted parts that need no decision. */
  readonly left: readonly string[];
  /** What `init --write` needs to know about the services. */
  readonly writable: readonly Writable[];
}

/** A service whose layout is being guessed. */
interface Draft {
  readonly candidate: Candidate;
  readonly image: ImageHints;
  readonly framework?: Found<Framework>;
  readonly kind: Kind;
  readonly settings: ServiceLayout;
}

/** The capabilities that these images need. Containers otherwise run without them. */
const ROOT_SERVERS: readonly [RegExp, string[]][] = [
  [/^(docker\.io\/)?(library\/)?nginx(:|@|$)/, ["CHOWN", "NET_BIND_SERVICE", "SETGID", "SETUID"]],
  [/^(docker\.io\/)?(library\/)?httpd(:|@|$)/, ["NET_BIND_SERVICE", "SETGID", "SETUID"]],
];
const SERVER_IMAGE = /(^|\/)(nginx|caddy|httpd|nginx-unprivileged)(:|@|$)/;

/** Commands of servers that read changed sources again. */
const DEVELOPMENT =
  /\brunserver\b|\s--(reload|debug|watch)\b|\bnodemon\b|\b(npm|yarn|pnpm|bun)( run)? (dev|watch|start:dev)\b|\b(next|vite|nuxt) dev\b/;

/** Whether a guess uses this file. */
export function isGuessedFrom(path: string, beginning: string): boolean {
  return (
    isExamined(path, beginning) ||
    isManifestOfHints(path) ||
    isSource(path) ||
    /(^|\/|\.)env([.-][\w-]+)*$/.test(path)
  );
}

/** Keys, besides the guessed ones, that every version of the configuration has. */
const USUAL_KEYS = new Set(["health", "memoryMb", "capabilities", "readOnly", "startSeconds"]);

/** Guesses how to deploy an app from the content of its repository. */
export function guessLayout(
  repository: Repository,
  appName: string,
  accepts: Accepts = (key) => USUAL_KEYS.has(key),
  makeSecret?: (name: string) => string,
): Layout {
  const found = candidates(repository, appName, makeSecret);
  const { services, accessories: beside, left, notTaken, variables } = found;
  const secrets = new Map<string, string>();
  const notes: Notes = {
    guesses: [],
    decisions: [...left],
    left: [...notTaken],
    accepts,
    secrets,
    names: new Map(
      [...services, ...beside].flatMap(({ name, compose }) =>
        compose && compose.name !== name ? [[compose.name, name] as const] : [],
      ),
    ),
    variables: variables ?? new ComposeVariables(repository, "compose.yaml", makeSecret),
  };
  const once = oneOffs(services);
  const drafts = services
    .filter(({ name }) => !once.has(name))
    .map((candidate) => draft(repository, candidate, notes));
  const used = drafts.flatMap(({ settings }) => Object.keys(settings.volumes ?? {}));
  const accessories = accessoryLayouts(repository, beside, used, notes);
  route(repository, drafts, notes);
  const owners = imageOwners(drafts, notes);
  const isRelational = Object.values(accessories).some(({ image }) =>
    /(postgres|postgis|pgvector|timescale|mysql|mariadb|percona)/.test(image),
  );
  const steps = services.filter(({ name }) => once.has(name));
  for (const one of drafts) releaseCommand(repository, one, { steps, isRelational, drafts }, notes);
  for (const { candidate, image, settings } of drafts.filter((one) => one.settings.port !== undefined)) {
    const { name } = candidate;
    // The configuration has a different default health path for this name.
    const health = name === "backend" ? "/healthz" : "/";
    if (settings.health === undefined)
      notes.decisions.push(
        `${name}: no health check found; it has to answer 200 at ${health}, or set services.${name}.health`,
      );
    if (!servedPath(repository, folderOf(repository, candidate), image.languages, VERSION_PATH))
      notes.decisions.push(
        `${name}: has to answer /version with {"commit": "<the text of /app/COMMIT>"} (README, "Your own app"), or set services.${name}.version and commitFile`,
      );
  }
  const named = drafts.map(
    ({ candidate, settings }) => [candidate.name, ordered(settings, owners.get(candidate.name))] as const,
  );
  const { guesses, decisions } = notes;
  const writable = drafts.map(({ candidate, image, framework, settings }): Writable => {
    const folder = folderOf(repository, candidate);
    return {
      name: candidate.name,
      build: candidate.build,
      folder,
      ...(framework && { framework: framework.value.name }),
      isServer: settings.port !== undefined,
      servesVersion: servedPath(repository, folder, image.languages, VERSION_PATH) !== undefined,
      hasHealth: settings.health !== undefined,
    };
  });
  return {
    services: Object.fromEntries(named),
    accessories,
    guesses,
    secrets,
    decisions,
    left: notes.left,
    writable,
  };
}

function draft(repository: Repository, candidate: Candidate, notes: Notes): Draft {
  const { name, build, compose, target } = candidate;
  const guess = (what: string, at: string) => notes.guesses.push(`${name}: ${what} (${at})`);
  const context = build.context === "" ? "." : build.context;
  const settings: ServiceLayout = { context };
  const dockerfile = posix.relative(build.context, build.dockerfile);
  guess(`built from ${context}${dockerfile === "Dockerfile" ? "" : `, ${dockerfile}`}`, candidate.at);
  if (compose && compose.name !== name)
    guess(`"${compose.name}" is no name that a service may have`, candidate.at);
  if (dockerfile !== "Dockerfile") settings.dockerfile = dockerfile;
  if (target) {
    settings.target = target.value;
    guess(`target ${target.value}`, target.at);
  }
  const dependencies = guessedDependencies(repository, build);
  if (dependencies) {
    settings.dependencyStage = dependencies.value;
    guess(`${dependencies.value} installs what a lockfile says, and outlives the prune`, dependencies.at);
  }
  const image = imageHints(repository, build);
  const folder = folderOf(repository, candidate);
  const framework = frameworkOf(repository, [...new Set([folder, build.context])], image.languages);
  const kind = kindOf(candidate, image, framework);
  if (framework) guess(`written with ${framework.value.name}`, framework.at);
  if (kind === "worker")
    guess(
      "a worker: no port, no route",
      compose?.command ? `${compose.path}:${compose.command.line}` : candidate.at,
    );
  else portAndHealth(repository, candidate, image, framework, settings, notes);
  fromCompose(repository, candidate, settings, image, notes);
  // The address that init chooses has no HTTPS: every answer would be a redirect to where nothing listens.
  const redirect = framework?.value.name === "Django" ? httpsRedirect(repository, folder) : undefined;
  if (redirect && kind !== "worker" && settings.env?.[redirect.value.name] === undefined) {
    const { name: variable, off } = redirect.value;
    settings.env = { ...settings.env, [variable]: off };
    guess(`${variable} is ${off}, because the stack listens on HTTP: remove it with a domain`, redirect.at);
  }
  const example = variablesFile(
    repository,
    posix.join(compose ? posix.dirname(compose.path) : build.context, ".env"),
  );
  for (const variable of kind === "worker" ? [] : openSecrets(example)) {
    if ({ ...settings.env, ...settings.secretEnv }[variable.name] !== undefined) continue;
    notes.secrets.set(variable.name, notes.secrets.get(variable.name) ?? notes.variables.chosen(variable));
    settings.secretEnv = { ...settings.secretEnv, [variable.name]: { env: variable.name } };
    guess(`${variable.name} looks secret: a made-up value in the stack's own file`, variable.at);
  }
  // A server that a Dockerfile installs by itself is started by its name.
  const started = /^(nginx|httpd|apache2)/.exec(image.command)?.[1]?.replace("apache2", "httpd");
  const capabilities = ROOT_SERVERS.find(
    ([pattern]) => pattern.test(image.base) || pattern.test(started ?? ""),
  )?.[1];
  if (capabilities) {
    const named = (settings.more?.capabilities ?? []) as string[];
    settings.capabilities = [...new Set([...capabilities, ...named])];
    if (settings.more)
      settings.more = Object.fromEntries(
        Object.entries(settings.more).filter(([key]) => key !== "capabilities"),
      );
    guess(`keeps the capabilities that ${image.base} starts with`, candidate.at);
  }
  return { candidate, image, ...(framework && { framework }), kind, settings };
}

/** The folder of a service's own files: its Dockerfile's folder, even if the context is a folder above. */
function folderOf(repository: Repository, { build }: Candidate): string {
  const folder = posix.dirname(build.dockerfile);
  const isOwn = (path: string) =>
    path.startsWith(`${folder}/`) && (isSource(path) || isManifestOfHints(path));
  return folder !== "." && [...repository.texts.keys()].some(isOwn) ? folder : build.context;
}

function kindOf(
  { name, compose }: Candidate,
  image: ImageHints,
  framework: Found<Framework> | undefined,
): Kind {
  const command = compose?.command?.text ?? image.command;
  const isServer =
    /runserver|gunicorn|uvicorn|hypercorn|daphne|granian|fastapi|puma|unicorn|waitress|rails s|flask run|next start|http-server|serve\b/.test(
      command,
    ) && !/\b(celery|sidekiq)\b/.test(command);
  const isQueue =
    /\b(celery|dramatiq|arq|sidekiq|bull|bullmq|huey|rq worker|(qcluster|queue:work|solid_queue|delayed_job|good_job|resque))\b/.test(
      command,
    ) ||
    // `--workers 4` is a server's number of processes.
    /(^|[\s/:"'.-])workers?([.:]\w+)*(["'\s]|$)/.test(command.replace(/--?workers?[= ]\S*/g, ""));
  const answers =
    (compose?.ports.length ?? 0) > 0 ||
    (compose?.healthcheck && healthPort(compose.healthcheck.text) !== undefined);
  if (!isServer && !answers && (isQueue || kindOfName(name) === "worker")) return "worker";
  if (SERVER_IMAGE.test(image.base)) return "web";
  const named = kindOfName(name);
  return named === "unknown" || named === "worker" ? (framework?.value.kind ?? "unknown") : named;
}

function portAndHealth(
  repository: Repository,
  candidate: Candidate,
  image: ImageHints,
  framework: Found<Framework> | undefined,
  settings: ServiceLayout,
  notes: Notes,
): void {
  const { guesses, decisions } = notes;
  const { name, compose } = candidate;
  const written = compose && writtenIn(compose);
  const fallback = SERVER_IMAGE.test(image.base) ? 80 : framework?.value.port;
  const port =
    written?.port ??
    image.port ??
    (fallback === undefined ? undefined : { value: fallback, at: framework?.at ?? `FROM ${image.base}` });
  if (port) {
    settings.port = port.value;
    guesses.push(`${name}: listens on ${port.value} (${port.at})`);
  } else decisions.push(`${name}: no port found; set services.${name}.port and route if it answers HTTP`);
  const health = written?.health
    ? {
        ...written.health,
        value: /^(Django|Flask)$/.test(framework?.value.name ?? "")
          ? withSlash(repository, written.health.value)
          : written.health.value,
      }
    : (image.health ?? servedPath(repository, folderOf(repository, candidate), image.languages, HEALTH_PATH));
  if (health && port && notes.accepts("health", health.value)) {
    settings.health = health.value;
    guesses.push(`${name}: healthy where ${health.value} answers 200 (${health.at})`);
  }
}

/** The port and the health check that the compose file names. */
function writtenIn({ path, ports, healthcheck }: ComposeService): {
  readonly port?: Found<number>;
  readonly health?: Found<string>;
} {
  const [published] = ports;
  const checked = healthcheck && healthPort(healthcheck.text);
  const port = published ? { value: published.port, at: `${path}:${published.line}` } : undefined;
  if (healthcheck === undefined) return { port };
  const at = `${path}:${healthcheck.line}`;
  const asked = healthPath(healthcheck.text);
  return {
    port: port ?? (checked === undefined ? undefined : { value: checked, at }),
    health: asked === undefined ? undefined : { value: asked, at },
  };
}

/** Django and Flask redirect a path to the one with a slash behind it, if it is declared so: that is asked at once. */
function withSlash(repository: Repository, path: string): string {
  const name = path.slice(1).replace(/[^\w-]/g, ".");
  const declared = new RegExp(`["']/?${name}/["']|url_prefix\\s*=\\s*["']/${name}["']`);
  const isDeclared = [...repository.texts].some(
    ([file, text]) => file.endsWith(".py") && declared.test(text),
  );
  return /^\/[\w-]+$/.test(path) && isDeclared ? `${path}/` : path;
}

/** The other settings of the compose file: arguments, environment, volumes. */
function fromCompose(
  repository: Repository,
  candidate: Candidate,
  settings: ServiceLayout,
  image: ImageHints,
  notes: Notes,
): void {
  const { guesses, decisions, accepts } = notes;
  const { name, build, compose } = candidate;
  if (compose === undefined) return;
  const at = (line: number) => `${compose.path}:${line}`;
  const key = `services.${name}`;
  for (const { name: arg, value, line } of compose.build?.args ?? []) {
    if (arg === COMMIT_ARG || arg === "BUILDKIT_INLINE_CACHE") {
      guesses.push(
        `${name}: build arg ${arg} is left out, ${arg === COMMIT_ARG ? "the deploy sets it" : "an inline cache lets a build reuse old layers"} (${at(line)})`,
      );
      continue;
    }
    const known = value === undefined ? undefined : resolvedText(value);
    if (known === undefined)
      decisions.push(`${name}: build arg ${arg} has no value here; set ${key}.args.${arg} (${at(line)})`);
    else {
      settings.args = { ...settings.args, [arg]: known };
      guesses.push(`${name}: build arg ${arg} (${at(line)})`);
    }
  }
  const { env, secretEnv } = takenEnvironment(
    repository,
    compose,
    { name, key, image: image.environment },
    notes,
  );
  if (Object.keys(env).length > 0) settings.env = env;
  if (Object.keys(secretEnv).length > 0) settings.secretEnv = secretEnv;
  const hiding = volumeFindings(compose, {
    filesBelow: () => [],
    stepsOf: () => stepsOf(repository, build),
    texts: new Map(),
    siblingsOf: () => [],
    isRenewed: () => false,
  });
  // A folder of the machine that gets its files from the image at each start is the container's own here.
  const filled = compose.volumes.filter(
    ({ kind, target }) => kind === "bind" && isFilledAtStart(repository, candidate, image.command, target),
  );
  if (
    filled.length > 0 &&
    accepts(
      "caches",
      filled.map(({ target }) => target),
    )
  ) {
    settings.more = { ...settings.more, caches: filled.map(({ target }) => target) };
    for (const { target, line } of filled)
      guesses.push(`${name}: ${target} is filled when the container starts: one of its caches (${at(line)})`);
  }
  const mounted = { ...compose, volumes: compose.volumes.filter((each) => !filled.includes(each)) };
  const volumes = takenVolumes(mounted, name, notes, ({ line }) =>
    hiding.some((finding) => finding.line === line) ? "it would hide what the image holds" : undefined,
  );
  if (Object.keys(volumes).length > 0) settings.volumes = volumes;
  const health = compose.section.at("healthcheck");
  const start = secondsOf(health.at("start_period").text);
  if (start !== undefined && start > 30 && accepts("startSeconds", start)) {
    settings.more = { ...settings.more, startSeconds: start };
    guesses.push(
      `${name}: healthcheck.start_period becomes startSeconds (${at(health.lineOf("start_period"))})`,
    );
  }
  if (health.at("disable").text === "true" || compose.healthcheck?.text === "NONE")
    notes.left.push(
      `${name}: healthcheck is off in compose; the deploy asks over HTTP all the same (${at(health.line)})`,
    );
  else if (
    compose.healthcheck &&
    healthPath(compose.healthcheck.text) === undefined &&
    settings.port !== undefined &&
    healthPort(compose.healthcheck.text) === undefined
  )
    decisions.push(
      `${name}: healthcheck "${compose.healthcheck.text.slice(0, 100)}" is not taken over; the deploy asks ${key}.health over HTTP (${at(compose.healthcheck.line)})`,
    );
  const isDevelopment =
    compose.volumes.some(({ kind }) => kind === "bind") && DEVELOPMENT.test(compose.command?.text ?? "");
  if (isDevelopment && image.startsItself)
    notes.left.push(
      `${name}: command "${compose.command?.text}" is left out: it is for development, the image has one of its own (${at(compose.command?.line ?? compose.line)})`,
    );
  const taken = composeKeys(compose, name, accepts, isDevelopment && image.startsItself ? ["command"] : []);
  const { replicas, command, ...others } = taken.settings;
  const several = replicas === undefined || settings.volumes ? {} : { replicas };
  if (replicas !== undefined && settings.volumes)
    decisions.push(
      `${name}: replicas ${replicas} with a volume: set ${key}.replicas and ${key}.sharedVolume if all of them may write to it at once`,
    );
  const started =
    command === undefined ? {} : { command: isDevelopment ? withoutWatching(command) : command };
  settings.more = { ...settings.more, ...started, ...others, ...several };
  guesses.push(...taken.guesses);
  decisions.push(...taken.decisions);
  notes.left.push(...taken.left);
}

/** A command without the options with which servers read changed sources again. */
function withoutWatching(command: unknown): unknown {
  if (Array.isArray(command)) return command.filter((word) => !/^--(reload|watch)$/.test(String(word)));
  return typeof command === "string" ? command.replace(/\s--(reload|watch)(?=\s|$)/g, "") : command;
}

/** Service → the one whose image it runs: one build for services that differ only in how they are started. */
function imageOwners(drafts: readonly Draft[], { guesses }: Notes): ReadonlyMap<string, string> {
  const buildOf = ({ settings: { context, dockerfile, target, args } }: Draft) =>
    JSON.stringify([context, dockerfile, target, args]);
  const servers = drafts.filter(({ settings }) => settings.port !== undefined);
  const owners = new Map<string, string>();
  for (const one of drafts.filter(({ settings }) => settings.more?.command !== undefined)) {
    const owner = [...servers, ...drafts].find((other) => buildOf(other) === buildOf(one));
    if (owner === undefined || owner === one || owners.has(owner.candidate.name)) continue;
    owners.set(one.candidate.name, owner.candidate.name);
    guesses.push(`${one.candidate.name}: runs the image of ${owner.candidate.name} (${one.candidate.at})`);
  }
  return owners;
}

/** The command that runs once before a release: a service of the compose file that ends, or the framework's migration. */
function releaseCommand(
  repository: Repository,
  { candidate, image, framework, settings }: Draft,
  of: {
    /** Services that run to their end. */
    readonly steps: readonly Candidate[];
    readonly isRelational: boolean;
    readonly drafts: readonly Draft[];
  },
  { accepts, guesses, decisions }: Notes,
): void {
  const isSame = (other: Candidate) => other.build.dockerfile === candidate.build.dockerfile;
  // One service does it for all that have its image.
  const isFirst = of.drafts.find((one) => isSame(one.candidate))?.candidate === candidate;
  if (!isFirst) return;
  const [step] = of.steps.filter(isSame);
  const command = step?.compose && commandOf(step.compose);
  const found =
    command === undefined
      ? of.isRelational
        ? migrationOf(repository, candidate, framework, image.command)
        : undefined
      : { value: command, at: step?.at ?? "" };
  if (found === undefined) return;
  if (!accepts("releaseCommand", found.value)) {
    decisions.push(
      `${candidate.name}: ${[found.value].flat().join(" ")} has to run before each release (${found.at})`,
    );
    return;
  }
  settings.more = { ...settings.more, releaseCommand: found.value };
  guesses.push(`${candidate.name}: before each release runs ${[found.value].flat().join(" ")} (${found.at})`);
}

/** Assigns paths to services: one service gets "/", and an API gets "/api". */
function route(repository: Repository, drafts: readonly Draft[], { guesses, decisions }: Notes): void {
  const listening = drafts.filter(({ settings }) => settings.port !== undefined);
  const give = ({ candidate, settings }: Draft, path: string, why: string) => {
    settings.route = path;
    guesses.push(`${candidate.name}: answers at ${path}, ${why} (${candidate.at})`);
  };
  const proxy =
    listening.length > 1
      ? listening.find(
          (one) => SERVER_IMAGE.test(one.image.base) && behind(repository, one, listening).length > 0,
        )
      : undefined;
  const hidden = proxy
    ? behind(repository, proxy, listening).map((each) => ({ ...each, through: proxy.candidate.name }))
    : [];
  for (const { draft: one, at, through } of hidden)
    guesses.push(`${one.candidate.name}: no route, it is reached through ${through} (${at})`);
  const open = listening.filter(
    (one) => one !== proxy && !hidden.some(({ draft: behindIt }) => behindIt === one),
  );
  const main =
    proxy ??
    open.find(({ kind }) => kind === "web") ??
    open.find(({ kind }) => kind === "unknown") ??
    open[0];
  if (!main) return;
  give(
    main,
    "/",
    proxy
      ? "it passes on to the others"
      : listening.length === 1
        ? "the only one with a port"
        : `a service of its kind (${main.kind})`,
  );
  let apis = 0;
  for (const one of open.filter((each) => each !== main)) {
    const { name } = one.candidate;
    if (one.kind === "api" && apis++ === 0) {
      give(one, "/api", "it looks like an API");
      if (!/api|back|server/.test(name))
        decisions.push(
          `${name}: whether ${one.settings.route} is its path; the prefix is passed on unchanged`,
        );
    } else {
      give(one, `/${name}`, "by its name");
      decisions.push(`${name}: whether ${one.settings.route} is its path; the prefix is passed on unchanged`);
    }
  }
}

/** The services that a proxy's configuration forwards requests to. */
function behind(
  repository: Repository,
  proxy: Draft,
  others: readonly Draft[],
): { draft: Draft; at: string }[] {
  const files = [...repository.texts].filter(
    ([path]) => /\.conf(\.template)?$|(^|\/)Caddyfile/.test(path) && isPartOf(repository, proxy, path),
  );
  return others
    .filter((other) => other !== proxy)
    .flatMap((other) => {
      const name = other.candidate.compose?.name ?? other.candidate.name;
      const pattern = new RegExp(
        `(proxy_pass\\s+https?://|reverse_proxy\\s.*|server\\s+)${name.replace(/[^\w-]/g, ".")}[:;/\\s]`,
      );
      for (const [path, text] of files) {
        const at = text.split("\n").findIndex((line) => pattern.test(`${line} `));
        if (at >= 0) return [{ draft: other, at: `${path}:${at + 1}` }];
      }
      return [];
    });
}

/** Whether a configuration file belongs to the proxy: its Dockerfile copies it, or it is in the same folder. */
function isPartOf(repository: Repository, { candidate }: Draft, path: string): boolean {
  const { build } = candidate;
  const beside = posix.dirname(build.dockerfile);
  if (beside !== "." && path.startsWith(`${beside}/`)) return true;
  const inContext = build.context === "" ? path : posix.relative(build.context, path);
  if (inContext.startsWith("../")) return false;
  return stepsOf(repository, build).some(
    ({ origins, sources, step }) =>
      step.keyword !== "RUN" &&
      origins.some(({ kind }) => kind === "context") &&
      sources.some((source) => reaches(source, `/${inContext}`)),
  );
}

/** @param owner the service whose image it runs */
function ordered(settings: ServiceLayout, owner?: string): ServiceLayout {
  const { context, dockerfile, target, dependencyStage, port, route: path, health, args, more } = settings;
  const { env, secretEnv, capabilities, volumes } = settings;
  const built = {
    context,
    ...(dockerfile !== undefined && { dockerfile }),
    ...(target !== undefined && { target }),
    ...(dependencyStage !== undefined && { dependencyStage }),
  };
  return {
    ...(owner === undefined ? built : { image: owner }),
    ...(port !== undefined && { port }),
    ...(path !== undefined && { route: path }),
    ...(health !== undefined && { health }),
    ...(owner === undefined && args && { args }),
    ...(env && { env }),
    ...(secretEnv && { secretEnv }),
    ...(capabilities && { capabilities }),
    ...(volumes && { volumes }),
    ...more,
  };
}
