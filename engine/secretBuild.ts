import { Readable } from "node:stream";
import { quote } from "./cli";
import { contextTar } from "./contextTar";
import type { DockerEngine } from "./docker";
import { pluginOrigins } from "./plugins";
import { EngineError } from "./problems";

/** A build whose steps mount secrets. */
export interface SecretBuild {
  /** The build context, relative to the project. */
  readonly context: string;
  /** Relative to the context. */
  readonly dockerfile: string;
  readonly target?: string;
  readonly platform: string;
  readonly args: Readonly<Record<string, string>>;
  /** Name → value. `ssh` is the socket of an agent or a key file, for ssh mounts. */
  readonly secrets: Readonly<Record<string, string>>;
}

const MINUTES = 60;
const SHOWN_LINES = 20;

/** Reads a value from the input's next line into a variable of the shell. `base64` keeps its line ends. */
const TAKE =
  'take() { IFS= read -r line; value=$(printf %s "$line" | base64 -d; echo .); eval "$1=\\${value%.}"; }';

/** Unpacks the rest of the input into the folder `$context`. */
const UNPACK = `context=$(mktemp -d "\${TMPDIR:-/tmp}/.watch-party-XXXXXX")
trap 'rm -rf "$context"' EXIT
trap 'exit 1' HUP INT TERM
tar -xpof - -C "$context"`;

/**
 * Builds an image with secrets on the engine's machine, so that docker.Image finds its steps in the build cache:
 * docker.Image cannot pass secrets, and a secret is not part of a step's cache key. Values arrive by the command's
 * input, and are only in the environment of docker.
 *
 * @throws EngineError with the last lines of the build, without secrets
 */
export async function buildWithSecrets(engine: DockerEngine, build: SecretBuild): Promise<void> {
  const { ssh, ...files } = build.secrets;
  const values = Object.values(files);
  const { before, place, file, sent } = handOver(engine, build);
  const handed = values.map((_, at) => `${variable(at)}="$${variable(at)}"`).join(" ");
  const script = [
    TAKE,
    ...values.map((_, at) => `take ${variable(at)}`),
    ...before,
    // No other command of the script gets the values.
    `${handed} DOCKER_BUILDKIT=1 docker build --progress=plain --file ${file} ${options(build)} -- ${place}`,
  ].join("\n");
  const lines = values.map((value) => `${Buffer.from(value).toString("base64")}\n`);
  const input = Readable.from(inTurn([Buffer.from(lines.join(""))], sent));
  try {
    await engine.script(script, { input, minutes: MINUTES });
  } catch (cause) {
    const said = values
      .filter((value) => value.trim() !== "")
      .reduce(
        (text, value) => text.replaceAll(value, "[secret]").replaceAll(value.trim(), "[secret]"),
        (cause as Error).message,
      )
      .split("\n");
    throw new EngineError(`the build with secrets failed:\n${said.slice(-SHOWN_LINES).join("\n")}`);
  }
}

/** How a build gets its context, as words of a shell command. */
interface HandedOver {
  /** What the shell does before the build. */
  readonly before: readonly string[];
  readonly place: string;
  readonly file: string;
  /** What the build reads from its input. */
  readonly sent: Iterable<Uint8Array> | AsyncIterable<Uint8Array>;
}

/** What `COPY . .` brings has one cache key in a folder and another one in a tar: it has to be sent as the plugin sends it. */
function handOver(engine: DockerEngine, { context, dockerfile }: SecretBuild): HandedOver {
  const tar = () => contextTar(context, dockerfile);
  if (pluginOrigins().docker !== "stand-in")
    return { before: [], place: "-", file: quote(dockerfile), sent: tar() };
  if (engine.isElsewhere)
    return { before: [UNPACK], place: '"$context"', file: `"$context"/${quote(dockerfile)}`, sent: tar() };
  return { before: [], place: quote(context), file: quote(`${context}/${dockerfile}`), sent: [] };
}

/** The options of the build, as the words of a shell command. */
function options({ target, platform, args, secrets: { ssh, ...files } }: SecretBuild): string {
  return [
    ...["--platform", platform],
    ...(target === undefined ? [] : ["--target", target]),
    ...Object.keys(files).flatMap((id, at) => ["--secret", `id=${id},env=${variable(at)}`]),
    ...(ssh === undefined ? [] : ["--ssh", `default=${ssh}`]),
    ...Object.entries(args).flatMap(([name, value]) => ["--build-arg", `${name}=${value}`]),
  ]
    .map(quote)
    .join(" ");
}

function variable(at: number): string {
  return `BUILD_SECRET_${at}`;
}

async function* inTurn(...parts: (Iterable<Uint8Array> | AsyncIterable<Uint8Array>)[]) {
  for (const part of parts) yield* part;
}
