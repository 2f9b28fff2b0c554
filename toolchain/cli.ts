import { mkdirSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { isPackage } from "../freshness/package";
import { ToolchainError } from "./errors";
import { goBuild } from "./go";
import { link } from "./links";
import { reach } from "./network";
import type { Paths } from "./paths";
import { isExecutable, tail, tryRun, which } from "./run";
import { fileStamp, type Origin, type Part } from "./state";
import { pulumiSha256, versions } from "./versions";

type Note = (text: string) => void;

const HOST = "get.pulumi.com";

/** The pulumi CLI: the user's if its version matches, else the official download, else a build from Go modules. */
export async function pulumiCli(at: Paths, note: Note): Promise<Part> {
  const version = versions.pulumi;
  const own = join(at.bin, "pulumi");
  // Keep an existing CLI whatever PATH has now: its build takes minutes.
  if ((await versionOf(own)) === version) {
    const where = realpathSync(own);
    return { version, where, origin: originOf(at, where), stamp: fileStamp(where) };
  }
  for (const path of which("pulumi").filter((found) => found !== own)) {
    if ((await versionOf(path)) !== version) continue;
    note(`${path} is yours`);
    link(path, own);
    return { version, where: path, origin: "yours", stamp: fileStamp(path) };
  }
  const official = await download(at, note);
  if (official.path) {
    link(official.path, own);
    return { version, where: official.path, origin: "official", stamp: fileStamp(official.path) };
  }
  if (isPackage)
    throw new ToolchainError(
      `the Pulumi CLI ${version} is missing and cannot be downloaded (${official.problem})`,
      `Install this version (https://www.pulumi.com/docs/install/versions), or let this machine reach ${HOST}.`,
      2,
    );
  note(`${official.problem}; building it from Go modules, 6 to 7 minutes on two cores`);
  await goBuild(
    at,
    {
      folder: "pulumi",
      package: "github.com/pulumi/pulumi/pkg/v3/cmd/pulumi",
      output: own,
      program: `pulumi ${version}`,
      ldflags: `-X github.com/pulumi/pulumi/sdk/v3/go/common/version.Version=v${version}`,
    },
    note,
  );
  if ((await versionOf(own)) !== version) {
    throw new ToolchainError(
      `the pulumi built from Go modules is not ${version}`,
      `Remove ${own} and run again.`,
    );
  }
  return { version, where: own, origin: "built from Go modules", stamp: fileStamp(own) };
}

/** The Node.js language host. The CLI's download includes it. For a CLI built from modules, it is built too. */
export async function languageHost(at: Paths, cli: Part, note: Note): Promise<Part> {
  const name = "pulumi-language-nodejs";
  const own = join(at.bin, name);
  const beside = join(dirname(realpathSync(cli.where)), name);
  const found = [beside, ...which(name)].find((path) => path !== own && isExecutable(path));
  if (cli.origin !== "built from Go modules" && found) {
    rmSync(own, { force: true }); // one of an earlier setup would hide the CLI's own
    return { version: cli.version, where: found, origin: cli.origin };
  }
  const program = join(at.toolchain, "language-host", name);
  if (!isExecutable(program)) {
    await goBuild(
      at,
      {
        folder: "language-host",
        package: "github.com/pulumi/pulumi/sdk/v3/nodejs/cmd/pulumi-language-nodejs",
        output: program,
        program: name,
        ldflags: `-X github.com/pulumi/pulumi/sdk/v3/go/common/version.Version=v${versions.languageHost}`,
      },
      note,
    );
  }
  mkdirSync(at.bin, { recursive: true });
  rmSync(own, { force: true });
  writeFileSync(own, wrapper, { mode: 0o755 });
  return { version: versions.languageHost, where: own, origin: "built from Go modules" };
}

/**
 * That version expects as flags what the CLI now sends with each request: `runtime.options` of Pulumi.yaml. The CLI
 * starts it in the program's folder, which can belong to another program.
 */
const wrapper = `#!/bin/sh
[ ! -f toolchain/program.js ] || set -- -nodeargs='--require ./toolchain/program.js' "$@"
exec "\${0%/*}/../language-host/pulumi-language-nodejs" -typescript=false "$@"
`;

function originOf(at: Paths, program: string): Origin {
  const toolchain = realpathSync(at.toolchain);
  if (program.startsWith(toolchain + officialFolder())) return "official";
  return program.startsWith(`${toolchain}/`) ? "built from Go modules" : "yours";
}

function officialFolder(): string {
  return `/pulumi/versions/${versions.pulumi}/`;
}

/** Downloads the official release, which has the CLI and its language hosts, and unpacks it if it has the expected hash. */
async function download(at: Paths, note: Note): Promise<{ path?: string; problem?: string }> {
  const platform = `${process.platform}-${process.arch}`;
  const sha256 = pulumiSha256[platform];
  if (!sha256)
    return { problem: `toolchain/versions.ts has no hash of the official download for ${platform}` };
  const host = await reach(HOST);
  if (host !== "reachable") return { problem: `${HOST}: ${host}` };
  note("official download");
  const folder = join(at.toolchain, officialFolder());
  const archive = join(folder, "pulumi.tar.gz");
  mkdirSync(folder, { recursive: true });
  const url = `https://${HOST}/releases/sdk/pulumi-v${versions.pulumi}-${platform}.tar.gz`;
  const env = { ...process.env, NODE_USE_ENV_PROXY: "1" };
  const got = await tryRun(process.execPath, [join(__dirname, "download.js"), url, archive, sha256], { env });
  if (!got.ok) return { problem: tail(got.stderr, 1) };
  const bin = join(folder, "bin");
  mkdirSync(bin, { recursive: true });
  const unpacked = await tryRun("tar", [
    "-xzf",
    archive,
    "-C",
    bin,
    "--strip-components=1",
    "--no-same-owner",
  ]);
  rmSync(archive);
  const path = join(bin, "pulumi");
  if (unpacked.ok && (await versionOf(path)) === versions.pulumi) return { path };
  return { problem: `the official download cannot be used (${tail(unpacked.stderr, 1)})` };
}

async function versionOf(path: string): Promise<string | undefined> {
  if (!isExecutable(path)) return undefined;
  const env = { ...process.env, PULUMI_SKIP_UPDATE_CHECK: "true" };
  const answer = await tryRun(path, ["version"], { env, timeout: 20_000 });
  return answer.ok ? answer.stdout.trim().replace(/^v/, "") : undefined;
}
