import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { createInterface } from "node:readline";
import type { Readable } from "node:stream";
import { childEnvironment } from "../config/environment";
import type { ContainerFacts } from "./facts";
import { type ContainerToCopy, type OneOffChanges, oneOffLike } from "./likeness";
import { EngineError } from "./problems";
import { EngineReads } from "./reads";

/** The engine kills a container that exceeds its stop time first. */
const LONGEST_STOP_SECONDS = 3600;

/** Access to a Docker engine. All code reaches an engine through this class. */
export class DockerEngine extends EngineReads {
  private readonly temporary = new Set<string>();
  private watchesExit = false;
  private tidying: Promise<unknown> = Promise.resolve();

  /**
   * Stops a container so that the engine does not restart it, neither now nor after its own restart. The log
   * stays.
   */
  async stopForGood(id: string): Promise<void> {
    const update = () =>
      this.api.ask("POST", `/containers/${id}/update`, { body: { RestartPolicy: { Name: "no" } } });
    const failure = await update().then(
      () => undefined,
      (cause: Error) => cause,
    );
    await this.api.ask("POST", `/containers/${id}/stop`, { timeoutSeconds: LONGEST_STOP_SECONDS });
    // `docker update` fails for a container that is just ending, and works for a stopped one.
    if (failure) await update();
  }

  /** Limits how many processes each of some containers may have. @throws ApiError by an engine without this limit */
  async limitProcesses(ids: readonly string[], limit: number): Promise<void> {
    const body = { PidsLimit: limit };
    await Promise.all(ids.map((id) => this.api.ask("POST", `/containers/${id}/update`, { body })));
  }

  /** Starts a stopped container; does nothing to a running one. */
  async start(id: string): Promise<void> {
    await this.api.ask("POST", `/containers/${id}/start`);
  }

  /** Starts a container that was stopped, and continues one that was paused. @returns whether it was */
  async wake({ id, running, paused, restarts }: ContainerFacts): Promise<boolean> {
    const isStopped = !running && !restarts.restarting;
    if (isStopped) await this.start(id);
    if (paused) await this.unpause(id);
    return isStopped || paused === true;
  }

  private async unpause(id: string): Promise<void> {
    await this.api.ask("POST", `/containers/${id}/unpause`);
  }

  /**
   * Creates a container that never starts, to copy files out of it. The image needs no command.
   *
   * @param mounts folders of the engine's machine → mount points
   * @returns its name, for `removeTemporary`
   */
  async createTemporary(
    image: string,
    mounts: ReadonlyMap<string, string>,
    labels: Readonly<Record<string, string>>,
  ): Promise<string> {
    const name = this.temporaryName();
    const binds = [...mounts].map(([Source, Target]) => ({ Type: "bind", ReadOnly: true, Source, Target }));
    const body = {
      Image: image,
      Entrypoint: ["never-started"],
      Labels: labels,
      HostConfig: { NetworkMode: "none", Mounts: binds },
    };
    await this.api.ask("POST", "/containers/create", { query: { name }, body });
    return name;
  }

  /**
   * Makes a container like another one, that runs a command once and is removed when it has ended.
   *
   * @returns its id
   */
  async createLike(container: string, changes: OneOffChanges): Promise<string> {
    const like = await this.api.ask<ContainerToCopy>("GET", `/containers/${container}/json`);
    type Created = { readonly Id: string };
    const body = oneOffLike(like, changes);
    return (await this.api.ask<Created>("POST", "/containers/create", { body })).Id;
  }

  /** Waits until a container is gone, at most that many seconds. */
  async awaitRemoved(container: string, timeoutSeconds: number): Promise<void> {
    const query = { condition: "removed" };
    await this.api
      .ask("POST", `/containers/${container}/wait`, { query, timeoutSeconds })
      // The next look shows whether the container is gone.
      .catch((cause: Error) => cause);
  }

  /**
   * Builds an image without a name with the engine's BuildKit.
   *
   * @param query the build options as the API names them
   * @param context a tar archive
   * @param hear receives each line of the engine's answer
   */
  async build(
    query: Readonly<Record<string, string>>,
    context: Readable,
    hear: (line: string) => void,
    timeoutSeconds: number,
  ): Promise<void> {
    await this.api.receive("POST", "/build", { query, archive: context, timeoutSeconds }, async (answer) => {
      for await (const line of createInterface({ input: answer })) if (line !== "") hear(line);
    });
  }

  /** Pulls an image. */
  async pull(name: string): Promise<void> {
    await this.docker(["image", "pull", "--quiet", name], { timeoutSeconds: 30 * 60 });
  }

  /** Replaces a file in a running container by rename: a reader sees the old content or the new one. */
  async replaceFile(container: string, path: string, content: string): Promise<void> {
    const script = 'cat > "$1.new" && mv "$1.new" "$1"';
    await this.docker(["exec", "-i", container, "sh", "-c", script, "sh", path], { input: content });
  }

  /**
   * Returns a name for a container of this process. The process may end at any moment when another resource
   * fails.
   */
  private temporaryName(): string {
    if (!this.watchesExit) process.once("exit", () => this.removeLeftBehind());
    this.watchesExit = true;
    const name = `watch-party-probe-${randomBytes(6).toString("hex")}`;
    this.temporary.add(name);
    return name;
  }

  /** Removes containers of temporary names. */
  async removeTemporary(names: readonly string[]): Promise<void> {
    await Promise.all(
      names.map(async (name) => {
        await this.api.ask("DELETE", `/containers/${name}`, { query: { v: "true" } });
        this.temporary.delete(name);
      }),
    );
  }

  /** Removes temporary containers beside what follows; the removal of images waits for it, the end of the process repeats it. */
  tidy(removing: Promise<void>): void {
    this.tidying = Promise.allSettled([this.tidying, removing]);
  }

  private removeLeftBehind(): void {
    if (this.temporary.size === 0) return;
    const [file, argv] = this.commandLine(["container", "rm", "--force", "--volumes", ...this.temporary]);
    spawn(file, argv, { detached: true, stdio: "ignore", env: childEnvironment("docker") }).unref();
  }

  /**
   * Removes images of repositories and of their stages (`repository/STAGE`), except the given tags. An image
   * with a container stays.
   *
   * @param kept repository → the tags that stay
   */
  async keepTags(kept: ReadonlyMap<string, readonly string[]>): Promise<void> {
    const names = await this.listTags([...kept.keys()].flatMap((each) => [each, `${each}/*`]));
    const stay = new Set(
      [...kept].flatMap(([repository, tags]) => tags.map((tag) => `${repository}:${tag}`)),
    );
    await this.removeTags(names.filter((name) => !stay.has(name)));
  }

  /** Removes image names, and images without another name. An image with a container stays. */
  async removeTags(names: readonly string[]): Promise<void> {
    const failures: Error[] = [];
    // A container keeps its image.
    await this.tidying;
    // Remove as many as possible, even if some fail.
    for (const name of names)
      await this.api.ask("DELETE", `/images/${name}`).catch((cause: Error) => failures.push(cause));
    const others = failures.filter(({ message }) => !/is (being )?us(ed|ing)|No such image/i.test(message));
    if (others.length > 0) throw new EngineError(others.map(({ message }) => message).join("\n"));
  }
}
