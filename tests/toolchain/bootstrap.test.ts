import { spawn, spawnSync } from "node:child_process";
import {
  existsSync,
  mkdtempSync,
  readFileSync,
  readlinkSync,
  realpathSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import { which } from "../../toolchain/run";

const project = resolve(__dirname, "../..");
const bootstrap = join(project, "toolchain", "bootstrap.js");
const toolchain = resolve(process.env.WATCH_PARTY_TOOLCHAIN || join(project, ".toolchain"));

/** The toolchain's own Node if it exists: an older Node that runs these tests would first have to install it. */
const node = () => {
  const own = join(toolchain, "bin", "node");
  return existsSync(own) ? realpathSync(own) : process.execPath;
};

let folder: string;
const script = (name: string, text: string) => {
  writeFileSync(join(folder, name), text);
  return join(folder, name);
};

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "toolchain-bootstrap-"));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function boot(args: string[], env: NodeJS.ProcessEnv = {}) {
  const started = performance.now();
  const result = spawnSync(node(), [bootstrap, ...args], {
    cwd: folder,
    encoding: "utf8",
    env: { ...process.env, ...env },
  });
  return { ...result, ms: performance.now() - started };
}

describe("a ready machine", () => {
  const kept = ["bin/pulumi", "bin/pulumi-language-nodejs", "bin/node", "bin/docker", "state.json"];
  const snapshot = () => {
    const state = readFileSync(join(toolchain, "state.json"), "utf8");
    const times = kept.map((name) => statSync(join(toolchain, name), { throwIfNoEntry: false })?.mtimeMs);
    return { state, times, docker: readlinkSync(join(toolchain, "bin", "docker")) };
  };

  beforeAll(() => {
    // Whatever has changed since the last run is brought up to date here; the claims are about the run after it.
    const first = boot(["--engine"]);
    if (first.status !== 0) throw new Error(first.stderr);
  }, 900_000);

  it("is detected quickly, and nothing changes", () => {
    const before = snapshot();
    const second = boot(["--engine"]);
    expect(second).toMatchObject({ status: 0, stdout: "" });
    expect(second.stderr).toMatch(/^toolchain: ready \(\d\.\d s\)\n$/);
    expect(second.ms).toBeLessThan(2_000);
    expect(snapshot()).toEqual(before);
  });

  it("runs the script as the main module in the user's folder, with the user's arguments and exit status", () => {
    const file = script(
      "probe.ts",
      `const main: boolean = require.main === module;
       console.log(JSON.stringify([main, process.cwd(), process.argv.slice(2), process.env.PATH]));
       process.exitCode = 7;`,
    );
    const { stdout, stderr, status } = boot(["--quiet", file, "--engine", "--stack", "dev"]);
    const [main, cwd, args, path] = JSON.parse(stdout);
    expect({ main, cwd, args, status, stderr }).toEqual({
      main: true,
      cwd: folder,
      args: ["--engine", "--stack", "dev"],
      status: 7,
      stderr: "",
    });
    expect(path.split(":")[0]).toBe(join(toolchain, "bin"));
  });

  it("passes a signal on to the script", async () => {
    const file = script(
      "wait.ts",
      `process.on("SIGTERM", () => process.exit(9)); setInterval(() => {}, 1000); console.log("up");`,
    );
    const child = spawn(node(), [bootstrap, "--quiet", file], {
      stdio: ["ignore", "pipe", "ignore"],
    });
    await new Promise((up) => child.stdout.once("data", up));
    child.kill("SIGTERM");
    expect(await new Promise((end) => child.once("close", end))).toBe(9);
  });

  it("runs pulumi itself, of the version that the SDK has", () => {
    const file = script(
      "version.ts",
      `import { execFileSync } from "node:child_process"; process.stdout.write(execFileSync("pulumi", ["version"]));`,
    );
    expect(boot(["--quiet", file]).stdout.trim()).toBe("v3.259.0");
  });
});

describe("missing requirements are reported clearly", () => {
  /** An empty toolchain without access to official downloads, and a PATH of only these programs. */
  const bare = (programs: string[]): NodeJS.ProcessEnv => {
    const place = mkdtempSync(join(folder, "bare-"));
    for (const name of programs) symlinkSync(which(name)[0] ?? name, join(place, name));
    const toolchainFolder = join(place, "toolchain");
    return { PATH: place, WATCH_PARTY_TOOLCHAIN: toolchainFolder, WATCH_PARTY_OFFLINE: "1", DOCKER_HOST: "" };
  };

  it("Go, if the CLI must be built: exit status 2", () => {
    const { status, stderr } = boot([], bare([]));
    expect(stderr).toMatch(/^toolchain: Go is missing: pulumi 3\.259\.0 cannot be downloaded here/m);
    expect(stderr).toMatch(/^ {2}Install Go 1\.25 or later \(https:\/\/go\.dev\/dl\)/m);
    expect(status).toBe(2);
  });

  it("an old Go: exit status 2", () => {
    const env = bare([]);
    const go = join(env.PATH ?? "", "go");
    writeFileSync(go, "#!/bin/sh\necho go1.19.8\n", { mode: 0o755 });
    const { status, stderr } = boot([], env);
    expect(stderr).toMatch(/^toolchain: Go 1\.19\.8 is older than 1\.25/m);
    expect(status).toBe(2);
  });

  it("an engine that does not answer: exit status 1, with the remedy", () => {
    const env = { ...bare(["docker"]), DOCKER_HOST: "unix:///nonexistent/docker.sock" };
    const { status, stderr } = boot(["--engine"], env);
    expect(stderr).toMatch(
      /^toolchain: no Docker engine answers at DOCKER_HOST=unix:\/\/\/nonexistent\/docker\.sock$/m,
    );
    expect(stderr).toMatch(/^ {2}Start the engine there, or unset DOCKER_HOST/m);
    expect(status).toBe(1);
  });

  it("a client that can build: exit status 1, with the clients found", () => {
    const env = bare([]);
    const docker = join(env.PATH ?? "", "docker");
    writeFileSync(
      docker,
      '#!/bin/sh\n[ "$1" = --version ] && echo "Docker version 28.2.2, build x"\n[ "$1" != buildx ]\n',
      {
        mode: 0o755,
      },
    );
    const { status, stderr } = boot(["--engine"], env);
    expect(stderr).toMatch(
      /^toolchain: no docker client here can build with BuildKit: .*docker \(28\.2\.2\)$/m,
    );
    expect(stderr).toMatch(/^ {2}Install buildx/m);
    expect(status).toBe(1);
  });

  /** A docker client whose engine answers once the file `up` is there, and a dockerd that does what `dockerd` says. */
  const engineOf = (dockerd: string): NodeJS.ProcessEnv => {
    const env = bare([]);
    const write = (name: string, text: string) =>
      writeFileSync(join(env.PATH ?? "", name), `#!/bin/sh\ncd "\${0%/*}"\n${text}\n`, { mode: 0o755 });
    write(
      "docker",
      'case $1 in --version) echo "Docker version 20.10.24, build x" ;; version) [ -f up ] ;; esac',
    );
    write("dockerd", dockerd);
    return env;
  };
  const isRoot = process.getuid?.() === 0;

  it("an engine that is not running: started as root, reported to other users", () => {
    const env = engineOf(": >up");
    const { stderr, status } = boot(["--engine"], env);
    const expected = isRoot
      ? { engine: /Docker engine: client 20\.10\.24, /, status: 2, pid: true } // the engine is up; what lacks is Go
      : { engine: /^toolchain: the Docker engine is not running$/m, status: 1, pid: false };
    expect(stderr).toMatch(expected.engine);
    expect(status).toBe(expected.status);
    expect(existsSync(join(env.WATCH_PARTY_TOOLCHAIN ?? "", "dockerd.pid"))).toBe(expected.pid);
  });

  it("an engine that does not start: exit status 1, with the end of its log", () => {
    const { stderr, status } = boot(
      ["--engine"],
      engineOf('echo "failed to start daemon: no iptables" >&2; exit 1'),
    );
    expect(stderr).toMatch(
      /^toolchain: the Docker engine (was started but does not answer|is not running)$/m,
    );
    if (isRoot) expect(stderr).toMatch(/failed to start daemon: no iptables/);
    expect(status).toBe(1);
  });

  it("an unknown option: exit status 2", () => {
    expect(boot(["--engines"])).toMatchObject({ status: 2 });
  });
});
