import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import execa from "execa";
import { paths } from "../../toolchain/paths";

import { removeImages, removeVolumes } from "../support/stack";

const { project, toolchain } = paths();

/** How a command ended, and what it said. */
export interface Said {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
  /** The first line on stderr that is not the toolchain's progress. */
  readonly first: string;
}

/** A clone of the project as it is on disk, with a state of its own: commands run in it as a user runs them. */
export class Clone {
  readonly env: NodeJS.ProcessEnv;

  private constructor(readonly folder: string) {
    const { INIT_CWD: _, ...env } = process.env;
    this.env = {
      ...env,
      WATCH_PARTY_TOOLCHAIN: toolchain,
      PULUMI_BACKEND_URL: `file://${this.stateFolder}`,
      PULUMI_CONFIG_PASSPHRASE: "test",
    };
  }

  static async create(): Promise<Clone> {
    const clone = new Clone(mkdtempSync(join(tmpdir(), "watch-party-clone-")));
    try {
      await clone.copyFiles();
      mkdirSync(clone.stateFolder);
      clone.borrowPackages();
      await clone.git("init", "--quiet", "--initial-branch", "main");
      await clone.git("add", "--all");
      const author = ["-c", "user.name=Test", "-c", "user.email=test@example.org"];
      await clone.git(...author, "commit", "--quiet", "-m", "all");
      return clone;
    } catch (cause) {
      await clone.remove();
      throw cause;
    }
  }

  get stateFolder(): string {
    return join(this.folder, ".state");
  }

  /** `npm run -s SCRIPT -- ARGS…`, as a user types it. */
  npm(script: string, args: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<Said> {
    return this.execute("npm", ["run", "-s", script, "--", ...args], env);
  }

  /** The same without npm, which costs half a second. */
  run(
    script: "up" | "preview" | "pulumi",
    args: readonly string[],
    env: NodeJS.ProcessEnv = {},
  ): Promise<Said> {
    const { scripts } = JSON.parse(readFileSync(join(this.folder, "package.json"), "utf8"));
    const [program, ...words] = (scripts[script] as string).split(" ");
    return this.execute(program!, [...words, ...args], env);
  }

  /** Fails with what the command said unless it ended well. */
  async good(said: Promise<Said>): Promise<Said> {
    const { status, stdout, stderr } = await said;
    if (status !== 0) throw new Error(`exit status ${status}\n${stdout}\n${stderr}`);
    return said;
  }

  /** What git says was changed or added. */
  async changed(): Promise<string[]> {
    const status = await this.git("status", "--porcelain", "--untracked-files=all");
    return status.split("\n").filter((line) => line !== "");
  }

  /** Writes a stack's file with keys of the namespace `watch-party`. JSON is YAML too. */
  configure(stack: string, config: Record<string, unknown>): void {
    const keys = Object.entries(config).map(([key, value]) => [`watch-party:${key}`, value]);
    writeFileSync(this.stackFile(stack), JSON.stringify({ config: Object.fromEntries(keys) }));
  }

  stackFile(stack: string): string {
    return join(this.folder, `Pulumi.${stack}.yaml`);
  }

  /** URN → id of the stack's resources; undefined without such a stack. */
  resources(stack: string): Record<string, string> | undefined {
    const file = join(this.stateFolder, ".pulumi", "stacks", "watch-party", `${stack}.json`);
    if (!existsSync(file)) return undefined;
    const { resources = [] } = JSON.parse(readFileSync(file, "utf8")).checkpoint.latest ?? {};
    return Object.fromEntries(resources.map(({ urn, id }: { urn: string; id?: string }) => [urn, id ?? ""]));
  }

  /** Removes what was deployed from here, its images too, and the folder. */
  async remove(stacks: readonly string[] = []): Promise<void> {
    for (const stack of stacks) {
      if (Object.keys(this.resources(stack) ?? {}).length > 0)
        await this.run("pulumi", ["destroy", "--yes", "--skip-preview", "--stack", stack]);
      await removeImages(stack);
      await removeVolumes(stack);
    }
    rmSync(this.folder, { recursive: true, force: true });
  }

  /** What git has or would take, as it lies on disk. */
  private async copyFiles(): Promise<void> {
    const listing = ["ls-files", "-z", "--cached", "--others", "--exclude-standard"];
    const { stdout } = await execa("git", listing, { cwd: project });
    const files = [...new Set(stdout.split("\0"))].filter((path) => path !== "");
    for (const path of files.filter((each) => existsSync(join(project, each)))) {
      mkdirSync(dirname(join(this.folder, path)), { recursive: true });
      cpSync(join(project, path), join(this.folder, path), { verbatimSymlinks: true });
    }
  }

  /** Links to the project's packages, one by one: what npm removes here is a link, never what it leads to. */
  private borrowPackages(): void {
    const [from, to] = [project, this.folder].map((folder) => join(folder, "node_modules"));
    mkdirSync(to!);
    for (const entry of readdirSync(from!, { withFileTypes: true })) {
      const [source, target] = [join(from!, entry.name), join(to!, entry.name)];
      if (entry.isFile()) cpSync(source, target);
      else symlinkSync(source, target);
    }
  }

  private git(...args: string[]): Promise<string> {
    return execa("git", args, { cwd: this.folder }).then(({ stdout }) => stdout);
  }

  private async execute(program: string, args: readonly string[], env: NodeJS.ProcessEnv): Promise<Said> {
    const { exitCode, stdout, stderr } = await execa(program, args, {
      cwd: this.folder,
      env: { ...this.env, ...env },
      extendEnv: false,
      reject: false,
      stdin: "ignore",
    });
    const progress = /^toolchain: (ready |waiting for |.* …$|.*: (ready|failed) \()/;
    const first = stderr.split("\n").find((line) => line !== "" && !progress.test(line)) ?? "";
    return { status: exitCode, stdout, stderr, first };
  }
}

/** A toolchain like the project's own but for `docker`, which is the given shell script; also a folder for PATH. */
export function toolchainWithDocker(folder: string, script: string): { toolchain: string; path: string } {
  const own = join(folder, "toolchain");
  mkdirSync(join(own, "bin"), { recursive: true });
  for (const name of ["language-host", "node", "pulumi"])
    if (existsSync(join(toolchain, name))) symlinkSync(join(toolchain, name), join(own, name));
  for (const name of ["node", "pulumi", "pulumi-language-nodejs"])
    if (existsSync(join(toolchain, "bin", name)))
      symlinkSync(join(toolchain, "bin", name), join(own, "bin", name));
  cpSync(join(toolchain, "state.json"), join(own, "state.json"));
  const path = join(folder, "path");
  mkdirSync(path);
  for (const at of [join(own, "bin"), path])
    writeFileSync(join(at, "docker"), `#!/bin/sh\n${script}\n`, { mode: 0o755 });
  return { toolchain: own, path: `${path}:${process.env.PATH}` };
}
