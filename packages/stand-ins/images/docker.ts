import { spawn } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { ToolchainError } from "../../../toolchain/errors";
import { run, tail } from "../../../toolchain/run";

/** The engine that images are created on, and the client that connects to it. */
export interface Engine {
  readonly docker: string;
}

/** The label that marks an image as a stand-in. */
export const STAND_IN = "org.watch-party.stand-in";

/** Where the stand-ins look for CA certificates, as on Debian. */
export const CA_BUNDLE = "/etc/ssl/certs/ca-certificates.crt";

/** The certificate settings of every stand-in that uses the network. */
export const caChanges = [
  `ENV SSL_CERT_FILE=${CA_BUNDLE} NODE_EXTRA_CA_CERTS=${CA_BUNDLE} PIP_CERT=${CA_BUNDLE}`,
];

/** The CA certificates of this machine. A stand-in may need those of a company or a test environment. */
export function hostCaBundle(env: NodeJS.ProcessEnv = process.env): string {
  const places = [
    env.SSL_CERT_FILE,
    CA_BUNDLE,
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/cert.pem",
    env.NODE_EXTRA_CA_CERTS,
  ];
  const found = places.find((place) => place && existsSync(place));
  return found ? readFileSync(found, "utf8") : "";
}

/** Packs a folder and imports it as an image with one layer. */
export function importFolder(
  engine: Engine,
  folder: string,
  image: string,
  changes: readonly string[],
  exclude: readonly string[] = [],
): Promise<void> {
  const owner = ["--numeric-owner", ...exclude.map((pattern) => `--exclude=${pattern}`)];
  const args = withChanges(["import"], [...changes, `LABEL ${STAND_IN}=true`]);
  return pipe(["tar", "-C", folder, ...owner, "-cf", "-", "."], [engine.docker, ...args, "-", image], image);
}

/** Packs a folder's content and copies it into a container's root, owned by root. */
function copyIn(engine: Engine, folder: string, container: string): Promise<void> {
  const tar = ["tar", "-C", folder, "--owner=0", "--group=0", "--numeric-owner", "-cf", "-", "."];
  return pipe(tar, [engine.docker, "cp", "-", `${container}:/`], `docker cp to ${container}`);
}

/**
 * Creates an image from another one by running a script in a container. Unlike a build, this leaves no records in the
 * build cache, which belongs to the user.
 */
export async function commit(
  engine: Engine,
  options: { from: string; to: string; script: string; files?: string; changes: readonly string[] },
): Promise<void> {
  const remedy = "Run again; if it fails again, the text below says why.";
  const docker = (args: string[], what: string) => run(engine.docker, args, { what, remedy });
  const create = ["create", "--label", `${STAND_IN}=true`, options.from, "sh", "-euc", options.script];
  const container = (await docker(create, `a container of ${options.from}`)).trim();
  try {
    if (options.files) await copyIn(engine, options.files, container);
    await docker(["start", "--attach", container], `making ${options.to}`);
    const args = withChanges(["commit"], [...options.changes, `LABEL ${STAND_IN}=true`]);
    await docker([...args, container, options.to], `docker commit ${options.to}`);
  } finally {
    await docker(["rm", "--force", container], "docker rm").catch(() => {});
  }
}

/** The architecture, by its npm and Debian names. */
export function architecture(): { npm: string; debian: string } {
  const debian = { x64: "amd64", arm64: "arm64" }[process.arch as string];
  if (debian) return { npm: process.arch, debian };
  throw new ToolchainError(
    `no stand-in images for ${process.arch}`,
    "Let the Docker engine reach its registry, or use an x64 or arm64 machine.",
  );
}

function withChanges(args: readonly string[], changes: readonly string[]): string[] {
  return [...args, ...changes.flatMap((change) => ["--change", change])];
}

function pipe(from: readonly string[], to: readonly string[], what: string): Promise<void> {
  const [source = "", ...sourceArgs] = from;
  const [sink = "", ...sinkArgs] = to;
  return new Promise((resolve, reject) => {
    let said = "";
    const reader = spawn(source, sourceArgs, { stdio: ["ignore", "pipe", "pipe"] });
    const writer = spawn(sink, sinkArgs, { stdio: [reader.stdout, "ignore", "pipe"] });
    // The writer has its own handle of the pipe. Close this one, so that the reader stops if the writer dies.
    reader.stdout.destroy();
    const codes: (number | null)[] = [];
    const done = (code: number | null) => {
      codes.push(code);
      if (codes.length < 2) return;
      if (codes.every((each) => each === 0)) resolve();
      else reject(new ToolchainError(`${what} failed`, "Read what docker and tar say.", 1, tail(said)));
    };
    for (const child of [reader, writer]) {
      child.stderr?.on("data", (chunk) => {
        said += chunk;
      });
      child.on("error", (error) => {
        said += error.message;
      });
      child.on("close", done);
    }
  });
}
