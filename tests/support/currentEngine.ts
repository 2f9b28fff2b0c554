import { chmodSync, existsSync, mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import execa from "execa";
import { aptInstall, debianMirrors, isDebianRoot, mirrorOf } from "../../toolchain/apt";
import { ToolchainError } from "../../toolchain/errors";
import { withLock } from "../../toolchain/lock";
import { paths } from "../../toolchain/paths";
import { run, which } from "../../toolchain/run";
import { baseImages } from "../../toolchain/versions";

/**
 * Runs suites on the Docker engine of the next Debian (26.1, with buildx), beside the machine's own, which is not touched:
 * `npm run test:current-engine [-- [--containerd] SUITE…]`, as root on Debian. docs/engines.md tells what came out.
 */
const USAGE = "Usage: npm run test:current-engine [-- [--containerd] SUITE…]";
const RELEASE = "trixie";
const PACKAGES = ["docker.io", "docker-cli", "docker-buildx", "iptables", "ca-certificates"];
/** The suites of the freshness chain. */
const CHAIN = [
  "tests/engine/bytes.test.ts",
  "tests/engine/dockerfileRule.test.ts",
  "tests/engine/deploy.test.ts",
  "tests/faults",
];
/** What runs here, by the Debian packages that bring it. */
const PROGRAMS = {
  debootstrap: ["debootstrap", "debian-archive-keyring"],
  ip: ["iproute2"],
  chromium: ["chromium"],
  sshd: ["openssh-server"],
};

const at = paths();
const place = join(at.toolchain, "current-engine");
/** Made once; remove it to have a newer one. */
const system = join(place, RELEASE);
/** The engine's images and containers, for one run. */
const data = join(place, "data");

/**
 * What is run thus has its mounts to itself, and the kernel ends all of it, and undoes its mounts, as soon as it ends or
 * this process does: nothing that is removed later can still hold a mount of the project.
 */
function contained(namespaces: readonly string[], command: readonly string[]): [string, string[]] {
  const own = ["--mount", "--pid", "--fork", "--kill-child", "--mount-proc", ...namespaces];
  return ["setpriv", ["--pdeathsig", "KILL", "unshare", ...own, "--", ...command]];
}

/** Makes the system that brings the engine, by debootstrap alone: it needs this machine's mirror and no more. */
async function makeSystem(): Promise<void> {
  if (existsSync(system)) return;
  process.stderr.write(`current engine: debootstrap ${RELEASE} …\n`);
  const targets = await debianMirrors();
  const mirror = ["bookworm", RELEASE].reduce(
    (other, release) => mirrorOf(targets, release, other),
    "http://deb.debian.org/debian",
  );
  const draft = join(place, "draft");
  rmSync(draft, { recursive: true, force: true });
  const options = ["--variant=minbase", `--include=${PACKAGES.join(",")}`];
  await run(...contained([], ["debootstrap", ...options, RELEASE, draft, mirror]), {
    what: `debootstrap ${RELEASE}`,
    remedy: `Let this machine reach ${mirror}, then run again.`,
  });
  renameSync(draft, system);
}

/**
 * Starts the engine, gives it the base images and runs the suites on it. Returns their exit status.
 *
 * @param containerd whether it keeps its images in containerd's store, as later engines do from the start
 */
async function onCurrentEngine(suites: readonly string[], containerd: boolean): Promise<number> {
  // A socket's path has to be short.
  const work = mkdtempSync(join(tmpdir(), "watch-party-current-engine-"));
  try {
    rmSync(data, { recursive: true, force: true });
    mkdirSync(data);
    const images = join(data, "images.tar");
    await execa("docker", ["save", "--output", images, ...baseImages]);
    // The client runs in the engine's system, which sees the project and the folder for temporary files where they are here.
    const root = join(work, "root");
    const bin = join(work, "bin");
    for (const folder of [root, bin]) mkdirSync(folder);
    const enter = `nsenter --target "$(cat '${work}/dockerd.pid')" --mount --wdns="$PWD"`;
    const docker = `#!/bin/sh\nexec ${enter} -- /usr/bin/docker "$@"\n`;
    writeFileSync(join(bin, "docker"), docker);
    chmodSync(join(bin, "docker"), 0o755);
    const settings = { features: { "containerd-snapshotter": containerd } };
    writeFileSync(join(work, "daemon.json"), JSON.stringify(settings));
    const engine = { SYSTEM: system, ROOT: root, DATA: data, IMAGES: images, WORK: work };
    const { DOCKER_BUILDKIT: _, DOCKER_CONTEXT: __, DOCKER_CONFIG: ___, ...rest } = process.env;
    const tests = [process.execPath, "--require", "@swc-node/register", join(at.project, "tests/run.ts")];
    const [program, args] = contained(
      ["--net"],
      ["sh", join(__dirname, "currentEngine.sh"), ...tests, ...suites],
    );
    const child = execa(program, args, {
      cwd: at.project,
      env: {
        ...rest,
        ...engine,
        SHARED: `${tmpdir()}\n${at.project}`,
        DOCKER_HOST: `unix://${work}/docker.sock`,
        PATH: [bin, rest.PATH].join(delimiter),
      },
      extendEnv: false,
      stdio: ["ignore", "inherit", "inherit"],
      reject: false,
    });
    // unshare itself waits for what it runs, whatever else it is sent.
    const end = () => child.kill("SIGKILL");
    for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, end);
    return (await child).exitCode ?? 1;
  } finally {
    for (const folder of [work, data]) rmSync(folder, { recursive: true, force: true });
  }
}

async function main(args: readonly string[]): Promise<void> {
  const suites = args.filter((arg) => arg !== "--containerd");
  const unknown = suites.find((arg) => arg.startsWith("-"));
  if (unknown) throw new ToolchainError(`unknown option ${unknown}`, USAGE, 2);
  if (!isDebianRoot())
    throw new ToolchainError("the current engine is made by debootstrap", "Run this as root on Debian.", 2);
  // Not every way to become root has them on PATH.
  process.env.PATH = [process.env.PATH, "/usr/sbin", "/sbin"].join(delimiter);
  const missing = Object.entries(PROGRAMS).filter(([name]) => which(name).length === 0);
  if (missing.length > 0) await aptInstall(missing.flatMap(([, packages]) => packages));
  const wait = (owner: string) =>
    process.stderr.write(`current engine: waiting for process ${owner}, which uses it\n`);
  process.exitCode = await withLock(
    place,
    async () => {
      await makeSystem();
      return onCurrentEngine(suites.length > 0 ? suites : CHAIN, args.includes("--containerd"));
    },
    wait,
  );
}

main(process.argv.slice(2)).catch((error: Error) => {
  process.stderr.write(error instanceof ToolchainError ? error.print() : `${error.stack}\n`);
  process.exitCode = error instanceof ToolchainError ? error.exitCode : 1;
});
