import execa from "execa";

const DOCKERFILE = `FROM debian:bookworm-slim
RUN (while :; do :; done) & (while :; do :; done) & sleep 3600
`;

/** A `docker build` that keeps two cores busy until it is ended. */
export class BusyBuild {
  private constructor(private readonly child: execa.ExecaChildProcess) {}

  /** Resolves once it is at work. */
  static async start(): Promise<BusyBuild> {
    const build = ["build", "--no-cache", "--progress", "plain", "-"];
    const env = { DOCKER_BUILDKIT: "1" };
    const child = execa("docker", build, { env, input: DOCKERFILE, reject: false });
    await new Promise<void>((working, failed) => {
      let said = "";
      child.stderr?.on("data", (text) => {
        said += String(text);
        if (/RUN \(while/.test(said)) working();
      });
      child.once("exit", () => failed(new Error(`the build ended: ${said}`)));
    });
    return new BusyBuild(child);
  }

  async end(): Promise<void> {
    this.child.kill();
    await this.child;
  }
}
