import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import execa from "execa";
import type { OriginalAnswer } from "./matrix";
import { freePort } from "./stack";

const SERVICES = [
  { name: "backend", port: 8000, health: "/healthz" },
  { name: "frontend", port: 3000, health: "/" },
] as const;
type Service = (typeof SERVICES)[number];

const ARGUMENT = "ARG GIT_COMMIT_HASH";
/** How long its containers may take to answer. */
const PATIENCE_MS = 10_000;

/**
 * The flow of the scripts that this project replaces, with containers and images of its own: prune, build with the commit as
 * a build argument, run as compose does, wait for the health checks. It ends with the first command that fails.
 */
export class OriginalFlow {
  private readonly name = `original-${Math.random().toString(36).slice(2, 8)}`;
  private readonly published = new Map<Service, number>();
  /** Volumes of the backend, as its compose file would declare them: name → path in the container. */
  volumes: Readonly<Record<string, string>> = {};

  /**
   * @param app the checkout
   * @param env what its commands find in their environment besides
   * @param prune the option of `docker builder prune`
   */
  constructor(
    private readonly app: string,
    private readonly env: Record<string, string> = {},
    private readonly prune: "-f" | "-af" = "-f",
  ) {}

  /** Where its frontend answers, once it ran. */
  get url(): string {
    return `http://127.0.0.1:${this.published.get(SERVICES[1])}`;
  }

  /** Deploys what lies in the working tree, and looks at what is served then. */
  async deploy(env: Record<string, string> = {}): Promise<OriginalAnswer> {
    const checked = async () => {
      for (const { name } of SERVICES) this.checkDockerfile(name);
      await this.run(env);
    };
    const failure = await checked().then(
      () => undefined,
      (cause: Error) => cause.message.split("\n")[0]!,
    );
    if (failure === undefined) return { caught: false, saw: `serves ${await this.served()}` };
    const healthy = await Promise.all(SERVICES.map((service) => this.isHealthy(service)));
    const serving = healthy.every(Boolean)
      ? "the version before serves on"
      : "and nothing is served any more";
    return { caught: true, saw: `${failure}; ${serving}` };
  }

  /** Takes away its containers, images and network. */
  async remove(): Promise<void> {
    const docker = (...args: string[]) => execa("docker", args, { reject: false });
    await docker("container", "rm", "--force", "--volumes", ...SERVICES.map((service) => this.own(service)));
    await docker("image", "rm", "--force", ...SERVICES.map((service) => this.own(service)));
    await docker("network", "rm", this.name);
    const { stdout: volumes } = await docker("volume", "ls", "--quiet", "--filter", `name=${this.name}-`);
    if (volumes !== "") await docker("volume", "rm", ...volumes.split("\n"));
  }

  /** What its scripts run, and nothing of what looks at the result. */
  async run(env: Record<string, string> = {}): Promise<void> {
    const command = this.commands(env);
    await command("docker", "builder", "prune", this.prune);
    await this.build(env);
    await execa("docker", ["network", "create", this.name], { reject: false });
    for (const service of SERVICES) {
      const { name, port } = service;
      const published = this.published.get(service) ?? (await freePort());
      this.published.set(service, published);
      const network = ["--network", this.name, "--network-alias", name];
      const publish = ["--publish", `127.0.0.1:${published}:${port}`];
      const variables = ["--env", "BACKEND_URL=http://backend:8000"];
      const volumes = Object.entries(name === "backend" ? this.volumes : {}).flatMap(([volume, path]) => [
        "--volume",
        `${this.name}-${volume}:${path}`,
      ]);
      const old = ["container", "rm", "--force", "--volumes", this.own(service)];
      await execa("docker", old, { reject: false });
      const run = ["--detach", "--name", this.own(service), ...network, ...publish, ...variables, ...volumes];
      await command("docker", "run", ...run, this.own(service));
    }
    for (const service of SERVICES) await this.untilHealthy(service);
  }

  /** Builds both images one after the other, and prunes nothing. */
  async build(env: Record<string, string> = {}): Promise<void> {
    const command = this.commands(env);
    const commit = await command("git", "rev-parse", "HEAD");
    for (const service of SERVICES) {
      const args = ["--build-arg", `GIT_COMMIT_HASH=${commit}`, "-t", this.own(service)];
      await command("docker", "build", ...args, `./${service.name}`);
    }
  }

  private commands(env: Record<string, string>) {
    const options = { cwd: this.app, env: { ...this.env, DOCKER_BUILDKIT: "1", ...env } };
    return async (file: string, ...args: string[]) => {
      const result = await execa(file, args, { ...options, reject: false });
      if (result.failed) throw new Error(`${file} ${args[0]} fails\n${result.stderr}`);
      return result.stdout;
    };
  }

  /** The original's own test of its Dockerfiles: a comparison of line numbers, as grep gives them. */
  private checkDockerfile(service: string): void {
    const lines = readFileSync(join(this.app, service, "Dockerfile"), "utf8").split("\n");
    const argument = lines.findIndex((line) => line.startsWith(ARGUMENT));
    const copy = lines.findIndex((line) => line.startsWith("COPY"));
    if (argument < 0 || (copy >= 0 && copy < argument))
      throw new Error(`the check that ${ARGUMENT} stands before COPY fails`);
  }

  private async untilHealthy(service: Service): Promise<void> {
    for (const deadline = Date.now() + PATIENCE_MS; !(await this.isHealthy(service)); ) {
      const state = await execa("docker", ["inspect", "--format", "{{.State.Running}}", this.own(service)]);
      if (state.stdout !== "true" || Date.now() > deadline)
        throw new Error(`the health check of ${service.name} fails`);
      await new Promise((resume) => setTimeout(resume, 50));
    }
  }

  private async isHealthy(service: Service): Promise<boolean> {
    return this.get(service, service.health).then(
      ({ status }) => status === 200,
      () => false,
    );
  }

  private get(service: Service, path: string): Promise<Response> {
    return fetch(`http://127.0.0.1:${this.published.get(service)}${path}`, {
      signal: AbortSignal.timeout(PATIENCE_MS),
    });
  }

  /** What the containers hold and say, compared with the commit. */
  private async served(): Promise<string> {
    const commit = await this.git("rev-parse", "HEAD");
    const found = await Promise.all(
      SERVICES.map(async (service) => {
        const { name } = service;
        const [said, files] = await Promise.all([this.version(service), this.otherFiles(service)]);
        return [
          ...(files.length > 0 ? [`${name} with other files than the commit's (${files.join(", ")})`] : []),
          ...(said === commit ? [] : [`${name} without the commit's name`]),
        ];
      }),
    );
    const differences = found.flat();
    return differences.length > 0 ? differences.join(", ") : "the commit's files";
  }

  /** The commit that a service answers with; some faults are that it does not answer, or never ends. */
  private async version(service: Service): Promise<string | undefined> {
    try {
      const answer = await this.get(service, "/version");
      return answer.ok ? ((await answer.json()) as { commit?: string }).commit : undefined;
    } catch {
      return undefined;
    }
  }

  /** The files below /app/src of a running container that differ from the commit's, are missing or strange. */
  private async otherFiles(service: Service): Promise<string[]> {
    const folder = mkdtempSync(join(tmpdir(), "watch-party-original-"));
    try {
      await execa("docker", ["cp", `${this.own(service)}:/app/src/.`, folder]);
      const find = ["-type", "f", "-printf", "%P\\n"];
      const { stdout: names } = await execa("find", [".", ...find], { cwd: folder, encoding: "latin1" });
      // Of a submodule its own file .git comes along: it says where the checkout keeps it.
      const held = names.split("\n").filter((name) => name !== "" && !name.endsWith("/.git"));
      // A name need not be UTF-8: its bytes are characters here.
      const input = Buffer.from(held.map((name) => `${name}\n`).join(""), "latin1");
      const hashing = await execa("git", ["hash-object", "--stdin-paths"], { cwd: folder, input });
      const hashes = hashing.stdout.split("\n");
      const found = new Map(held.map((name, index) => [name, hashes[index]]));
      const wanted = new Map(
        (await this.tree(join(this.app, service.name), `HEAD:${service.name}`)).filter(
          ([name]) => name !== "Dockerfile" && name !== ".dockerignore",
        ),
      );
      const all = [...new Set([...found.keys(), ...wanted.keys()])].sort();
      return all.filter((name) => found.get(name) !== wanted.get(name));
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  }

  /** The files of a tree and their hashes, those of its submodules included. */
  private async tree(folder: string, tree: string): Promise<[name: string, hash: string][]> {
    const list = ["ls-tree", "-r", "-z", "--full-tree", tree];
    const listed = await execa("git", list, { cwd: folder, encoding: "latin1", reject: false });
    // A commit without that folder has no files there.
    if (listed.failed && !listed.stderr.includes("Not a valid object name")) throw new Error(listed.stderr);
    const lines = listed.stdout.split("\0").filter((line) => line !== "");
    const entries = lines.map(async (line): Promise<[string, string][]> => {
      const [, kind, hash, name] = line.split(/[ \t]/);
      if (kind !== "commit") return [[name!, hash!]];
      const inside = await this.tree(join(folder, name!), hash!);
      return inside.map(([each, its]) => [`${name}/${each}`, its]);
    });
    return (await Promise.all(entries)).flat();
  }

  /** Of its images and containers. */
  private own({ name }: Service): string {
    return `${this.name}-${name}`;
  }

  private async git(...args: string[]): Promise<string> {
    return (await execa("git", args, { cwd: this.app })).stdout;
  }
}
