import { randomBytes } from "node:crypto";
import execa from "execa";
import { frontCaddyfile, START_FRONT } from "../../edge/front";
import { EDGE_IMAGE, ROOT_CERTIFICATE } from "../../engine/edgeNames";
import { siteAlias } from "../../freshness/served/front";

/** A front with certificates of its own, as a deploy makes it but without a stack. */
export class BareFront {
  private constructor(
    private readonly id: string,
    /** Where it answers, on 80 and 443. */
    readonly address: string,
    /** The certificate of its authority. */
    readonly ca: string,
  ) {}

  static async start(): Promise<BareFront> {
    const id = `front-test-${randomBytes(4).toString("hex")}`;
    await execa("docker", ["network", "create", id]);
    const configuration = frontCaddyfile({ front: "https", tls: "internal", trustedProxies: undefined });
    const run = ["run", "--detach", "--name", id, "--network", id, "--memory", "256m"];
    const env = ["--env", `CONFIGURATION=${configuration}`];
    await execa("docker", [...run, ...env, EDGE_IMAGE, "sh", "-c", START_FRONT]);
    const format = "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}";
    const { stdout } = await execa("docker", ["inspect", "--format", format, id]);
    for (;;) {
      const { stdout: ca, failed } = await execa("docker", ["exec", id, "cat", ROOT_CERTIFICATE], {
        reject: false,
      });
      if (!failed) return new BareFront(id, stdout, ca);
      const state = await execa("docker", ["inspect", "--format", "{{.State.Running}}", id]);
      if (state.stdout !== "true") throw new Error((await execa("docker", ["logs", id])).stderr);
    }
  }

  /** Lets it find a container by names. */
  async connect(container: string, ...names: readonly string[]): Promise<void> {
    const aliases = names.flatMap((name) => ["--alias", siteAlias(name)]);
    await execa("docker", ["network", "connect", ...aliases, this.id, container]);
  }

  async disconnect(container: string): Promise<void> {
    await execa("docker", ["network", "disconnect", "--force", this.id, container]);
  }

  async remove(): Promise<void> {
    await execa("docker", ["rm", "--force", "--volumes", this.id], { reject: false });
    await execa("docker", ["network", "rm", this.id], { reject: false });
  }
}
