import { existsSync, mkdirSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { isPackage } from "../freshness/package";
import { languageHost, pulumiCli } from "./cli";
import { dockerClient, dockerEngine } from "./engine";
import { withLock } from "./lock";
import { type Paths, paths } from "./paths";
import { type Progress, progress } from "./progress";
import { resourcePlugins } from "./providers";
import { isReady } from "./ready";
import { tryRun } from "./run";
import { caddyBinary, standInImages } from "./standIns";
import { readState, type State, wanted, writeState } from "./state";

/**
 * Installs what a deploy needs: the pulumi CLI, its language host and plugins and, with `engine`, a Docker engine, a
 * client that builds and the base images. Installs only what is missing. Two setups in one clone wait for each other.
 */
export async function setup(options: { engine: boolean }): Promise<void> {
  const at = paths();
  mkdirSync(at.bin, { recursive: true });
  const waiting = (owner: string) =>
    process.stderr.write(`toolchain: waiting for process ${owner}, at the same work\n`);
  await withLock(
    at.toolchain,
    async () => {
      // The setup that this one waited for may have installed everything.
      if (await isReady(options, at)) return;
      await emptyTmp(at);
      const report = progress();
      // Compiling runs in parallel with installing and packing, which uses two cores well.
      const programs = inOrder();
      const docker = options.engine ? engineAndImages(at, report, programs) : undefined;
      const deployer = pulumi(at, report, programs);
      const [brought, client] = await both(deployer, docker);
      writeState({ ...brought, docker: client ?? readState(at)?.docker }, at);
    },
    waiting,
  );
}

/** Unmounts the /proc that an interrupted debootstrap may have left mounted, before it removes anything. */
async function emptyTmp(at: Paths): Promise<void> {
  mkdirSync(at.tmp, { recursive: true });
  for (const left of readdirSync(at.tmp)) {
    const mounts = ["proc", "sys"].map((name) => join(at.tmp, left, name)).filter((path) => existsSync(path));
    if (mounts.length > 0) await tryRun("umount", ["--quiet", ...mounts]);
    rmSync(join(at.tmp, left), { recursive: true, force: true });
  }
}

/** Runs compilations one at a time, because each uses all cores. */
type InOrder = <T>(work: () => Promise<T>) => Promise<T>;

function inOrder(): InOrder {
  let last: Promise<unknown> = Promise.resolve();
  return (work) => {
    const next = last.then(work);
    last = next.catch(() => {});
    return next;
  };
}

async function pulumi(at: Paths, report: Progress, programs: InOrder): Promise<Omit<State, "docker">> {
  const cli = await report.step("pulumi CLI", (note) => programs(() => pulumiCli(at, note)));
  const host = await report.step("language host", (note) => programs(() => languageHost(at, cli, note)));
  const plugins = await report.step("plugins docker and command", (note) => resourcePlugins(at, note));
  return { wanted: isPackage ? "" : wanted(at), pulumi: cli, languageHost: host, plugins };
}

async function engineAndImages(at: Paths, report: Progress, programs: InOrder): Promise<State["docker"]> {
  // The npm package uses the engine and the base images that are there.
  if (isPackage) return report.step("Docker client", (note) => dockerClient(at, note));
  const { bringImages, missingImages } = standInImages();
  const client = await report.step("Docker engine", (note) => dockerEngine(at, note));
  const engine = { docker: join(at.bin, "docker") };
  const missing = await missingImages(engine);
  if (missing.length > 0) {
    const caddy = () => report.step("caddy for the edge", (note) => programs(() => caddyBinary()(at, note)));
    await report.step("base images", (note) => bringImages(at, engine, missing, caddy, note));
  }
  return client;
}

/** Waits for both, even if one fails: the result of the other is kept, and no work continues in the background. */
async function both<A, B>(first: Promise<A>, second: Promise<B> | undefined): Promise<[A, B | undefined]> {
  const [a, b] = await Promise.allSettled([first, second]);
  if (b.status === "rejected") throw b.reason;
  if (a.status === "rejected") throw a.reason;
  return [a.value, b.value];
}
