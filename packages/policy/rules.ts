import { cacheFindings } from "../../freshness/cache";
import { textBefore } from "../../freshness/sure";

/** A resource's inputs as its provider sees them: secrets stand as objects with a mark. */
export type Inputs = Readonly<Record<string, unknown>>;

/** What a rule may be told by the pack's configuration. */
export interface Settings {
  /** Images that may be run by their tag, such as a proxy that holds none of the app's code. */
  readonly images?: readonly string[];
  /** Variables whose names look like a secret's and that hold none. */
  readonly variables?: readonly string[];
}

export interface Rule {
  readonly name: string;
  readonly description: string;
  /** What is wrong with a resource, with the remedy; none if it is right or the rule does not apply. */
  readonly problems: (type: string, name: string, inputs: Inputs, settings?: Settings) => string[];
}

/** How a secret is marked on its way to a provider. */
const MARK = "4dabf18193072939515e22adb298388d";
const SECRET = "1b47061264138c4ac30d75fd1eb44270";

/** An image's digest, or its name with one. */
const DIGEST = /^(\S+@)?sha256:[0-9a-f]{64}$/;
/** Names of variables that hold secrets. */
const SENSITIVE =
  /(^|_)(PASSWORD|PASSWD|PASSPHRASE|SECRET|TOKEN|CREDENTIALS?|(API|ACCESS|PRIVATE)?_?KEY)(_|$)/i;
/** An address with a password in it. */
const ADDRESS_WITH_PASSWORD = /^[a-z][a-z0-9+.-]*:\/\/[^/\s:@]*:[^/\s@]+@/i;
/** Names that end so hold the place of a secret, or what everybody may know. */
const HARMLESS = /(^|_)PUBLIC_|_(FILE|PATH|NAME|URL|TTL|LIFETIME|LENGTH|ID)$/i;

const noBuildCache: Rule = {
  name: "no-build-cache",
  description: "No cacheFrom and no inline cache feed an image layers of an earlier build.",
  problems: (type, name, inputs) => {
    const { caches, args, path } = buildOf(type, inputs) ?? { caches: {}, args: {}, path: "" };
    const fed = Object.entries(caches)
      .filter(([, value]) => !isEmpty(plain(value)))
      .map(([key]) => `${key} lets this build reuse layers of an earlier one; remove it`);
    const found = cacheFindings({ service: name, path, dockerfile: "", args: texts(args) });
    return [...fed, ...found.map(({ why, found }) => `build arg ${found}: ${why}; remove it`)];
  },
};

const imageByDigest: Rule = {
  name: "image-by-digest",
  description: "A container runs an image by its digest, never by a tag that can move.",
  problems: (type, _, inputs, { images = [] } = {}) => {
    const image = imageOf(type, inputs);
    if (typeof image !== "string" || DIGEST.test(image) || images.includes(image)) return [];
    return [
      `image is "${image}", whose tag can name another image tomorrow; run it by digest: the repoDigest of its docker.Image, the imageId of its docker.RemoteImage, or name@sha256:…`,
    ];
  },
};

const pinnedHostKey: Rule = {
  name: "pinned-host-key",
  description: "A remote command knows its server by a host key.",
  problems: (type, _, inputs) => {
    if (!type.startsWith("command:remote:")) return [];
    const connection = record(inputs.connection);
    const hops = {
      connection,
      ...(connection.proxy ? { "connection.proxy": record(connection.proxy) } : {}),
    };
    return Object.entries(hops)
      .filter(([, { hostKey }]) => isEmpty(plain(hostKey)))
      .map(
        ([at, { host }]) =>
          `${at}.hostKey is missing, so that any server is taken for ${plain(host)}; set it to what "ssh-keyscan ${plain(host)}" prints, compared with the key on the server`,
      );
  },
};

const noPlainSecret: Rule = {
  name: "no-plain-secret",
  description: "No secret stands in plain text in a container's environment or in an image's build args.",
  problems: (type, _, inputs, { variables = [] } = {}) => {
    const built = Object.entries(buildOf(type, inputs)?.args ?? {})
      .filter(([name, value]) => !variables.includes(name) && isSensitive(name, plain(value)))
      .map(
        ([name]) =>
          `build arg ${name} is kept in the image's history for all who have the image; give it to the container when it runs, or mount it in the step that needs it (RUN --mount=type=secret)`,
      );
    const given = environmentOf(type, inputs)
      .filter(([name, value]) => !variables.includes(name) && isSensitive(name, value))
      .map(
        ([name]) =>
          `environment variable ${name} stands in plain text in the program and its state; make it a secret (config.requireSecret, pulumi.secret)`,
      );
    return [...built, ...given];
  },
};

/** The rules, each of one thing. */
export const RULES: readonly Rule[] = [noBuildCache, imageByDigest, pinnedHostKey, noPlainSecret];

/** What a docker.Image, or a docker.RemoteImage that builds, is built with. */
function buildOf(
  type: string,
  inputs: Inputs,
): { caches: Record<string, unknown>; args: Inputs; path: string } | undefined {
  const build = record(inputs.build);
  const path = String(plain(build.dockerfile) ?? "Dockerfile");
  if (type === "docker:index/image:Image") {
    // A list of images without one is no cache.
    const from = plain(build.cacheFrom);
    const images = typeof from === "object" && from !== null ? record(from).images : from;
    return { caches: { "build.cacheFrom": images }, args: record(build.args), path };
  }
  if (type === "docker:index/remoteImage:RemoteImage")
    return { caches: { "build.cacheFroms": build.cacheFroms }, args: record(build.buildArgs), path };
  return undefined;
}

function imageOf(type: string, inputs: Inputs): unknown {
  if (type === "docker:index/container:Container") return plain(inputs.image);
  if (type === "docker:index/service:Service")
    return plain(record(record(inputs.taskSpec).containerSpec).image);
  return undefined;
}

/** Name and value of each variable that is no secret. */
function environmentOf(type: string, inputs: Inputs): [string, string][] {
  if (type === "docker:index/service:Service") {
    const { env } = record(record(inputs.taskSpec).containerSpec);
    return isSecret(env) ? [] : Object.entries(record(env)).filter(isText);
  }
  const { envs } = inputs;
  if (type !== "docker:index/container:Container" || !Array.isArray(envs)) return [];
  return envs
    .filter((line): line is string => typeof line === "string")
    .map((line) => [textBefore(line, "="), line.slice(line.indexOf("=") + 1)]);
}

function isSensitive(name: string, value: unknown): boolean {
  if (isEmpty(value)) return false;
  return ADDRESS_WITH_PASSWORD.test(String(value)) || (SENSITIVE.test(name) && !HARMLESS.test(name));
}

function isText(entry: [string, unknown]): entry is [string, string] {
  return typeof entry[1] === "string";
}

function isSecret(value: unknown): boolean {
  return typeof value === "object" && value !== null && (value as Inputs)[MARK] === SECRET;
}

/** A value without the mark of a secret. */
function plain(value: unknown): unknown {
  return isSecret(value) ? (value as Inputs).value : value;
}

function record(value: unknown): Inputs {
  const found = plain(value);
  return typeof found === "object" && found !== null ? (found as Inputs) : {};
}

function texts(values: Inputs): Record<string, string> {
  return Object.fromEntries(Object.entries(values).map(([name, value]) => [name, String(plain(value))]));
}

function isEmpty(value: unknown): boolean {
  return (
    value === undefined ||
    value === null ||
    value === "" ||
    value === false ||
    (Array.isArray(value) && value.length === 0)
  );
}
