import { median } from "../../freshness/median";
import { TestApp } from "../../tests/support/app";
import { EngineProxy } from "../../tests/support/engineProxy";
import { SshServer } from "../../tests/support/sshd";
import { TestStack } from "../../tests/support/stack";
import { LINKED, type LinkRow, ROUND_TRIPS_MS } from "./results";
import { SlowLink } from "./slowLink";

/** What a command asks a server for. */
interface Asked {
  readonly seconds: number;
  readonly requests: number;
  readonly logins: number;
}

/** The app of the tests on a server by ssh, on the loopback address behind a link. */
export class LinkedStack {
  private requests = 0;
  private texts = 0;

  private constructor(
    readonly link: SlowLink,
    private readonly server: SshServer,
    private readonly proxy: EngineProxy,
    private readonly app: TestApp,
    private readonly stack: TestStack,
  ) {
    proxy.beforeEach(async () => {
      this.requests += 1;
    });
  }

  /** Deploys it once. */
  static async start(): Promise<LinkedStack> {
    const proxy = await EngineProxy.start();
    const server = await SshServer.start("NONE", { DOCKER_HOST: proxy.host });
    const link = await SlowLink.start(server.port);
    const app = await TestApp.create();
    const stack = await TestStack.create({
      source: app.folder,
      server: { host: "127.0.0.1", port: link.port, user: server.user, hostKey: server.hostKey },
    });
    const linked = new LinkedStack(link, server, proxy, app, stack);
    await stack.configure({ serverKey: server.key }, true);
    await linked.run("up");
    return linked;
  }

  /** Runs a command, a deploy and a preview after a new commit. */
  async once(command: LinkRow["command"]): Promise<Asked> {
    if (command === "preview" || command === "deploy")
      await this.app.commit({ "backend/message.txt": `hello ${this.texts++}\n` });
    const [before, logins, started] = [this.requests, this.server.logins, performance.now()];
    await this.run(command === "deploy" || command === "nothing" ? "up" : command);
    return {
      seconds: (performance.now() - started) / 1000,
      requests: this.requests - before,
      logins: this.server.logins - logins,
    };
  }

  /** How many round trips of a command wait for one another. */
  async rounds(command: LinkRow["command"]): Promise<Asked & { readonly rounds: number }> {
    this.link.countRounds(QUIET_MS);
    try {
      return { ...(await this.once(command)), rounds: this.link.rounds };
    } finally {
      this.link.countRounds(undefined);
    }
  }

  /** A rollback holds: the next deploy is to be one of a new commit again. */
  async resume(): Promise<void> {
    await this.run("up", "--resume");
  }

  private async run(name: string, ...options: string[]): Promise<void> {
    const { status, stdout, stderr } = await this.stack.command(name, ...options);
    if (status !== 0) throw new Error(`${name} ends with ${status}: ${stderr || stdout}`);
  }

  async remove(): Promise<void> {
    this.link.roundTripMs = 0;
    // By the command, which opens the way to the server.
    await this.stack.command("pulumi", "destroy", "--yes");
    await this.stack.remove();
    this.app.remove();
    await this.link.remove();
    await this.server.remove();
    await this.proxy.remove();
  }
}

/** A client that has nothing to ask for so long waits for answers, on a machine that is not overloaded. */
const QUIET_MS = 100;

/**
 * Runs each command over links of several round trips, to a server on the loopback address: how long it takes, and what goes
 * over the link.
 *
 * @param enough whether the time is over
 */
export async function measureLinks(
  rounds: number,
  enough: () => boolean,
  say: (text: string) => void,
): Promise<LinkRow[]> {
  const linked = await LinkedStack.start();
  const rows: LinkRow[] = [];
  try {
    const counted = new Map<LinkRow["command"], number>();
    for (const command of LINKED) counted.set(command, (await linked.rounds(command)).rounds);
    await linked.resume();
    for (const roundTripMs of ROUND_TRIPS_MS) {
      linked.link.roundTripMs = roundTripMs;
      const taken = new Map<LinkRow["command"], Asked[]>();
      for (let round = 0; round < rounds; round++) {
        if (enough()) return rows;
        for (const command of LINKED)
          taken.set(command, [...(taken.get(command) ?? []), await linked.once(command)]);
        await linked.resume();
      }
      for (const command of LINKED) {
        const all = taken.get(command) ?? [];
        const row: LinkRow = {
          command,
          roundTripMs,
          seconds: median(all.map((each) => each.seconds)),
          requests: median(all.map((each) => each.requests)),
          logins: median(all.map((each) => each.logins)),
          rounds: counted.get(command),
        };
        rows.push(row);
        say(
          `${command} at ${roundTripMs} ms: ${row.seconds.toFixed(1)} s, ${row.rounds} round trips in turn, ${row.requests} requests to the engine`,
        );
      }
    }
    return rows;
  } finally {
    await linked.remove();
  }
}
