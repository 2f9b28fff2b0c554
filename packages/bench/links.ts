import { TestApp } from "../../tests/support/app";
import { EngineProxy } from "../../tests/support/engineProxy";
import { SshServer } from "../../tests/support/sshd";
import { TestStack } from "../../tests/support/stack";
import { LINKED, type LinkRow, median, ROUND_TRIPS_MS } from "./results";
import { SlowLink } from "./slowLink";

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
  const proxy = await EngineProxy.start();
  const server = await SshServer.start("NONE", { DOCKER_HOST: proxy.host });
  const link = await SlowLink.start(server.port);
  const app = await TestApp.create();
  const stack = await TestStack.create({
    source: app.folder,
    server: { host: "127.0.0.1", port: link.port, user: server.user, hostKey: server.hostKey },
  });
  let requests = 0;
  proxy.beforeEach(async () => {
    requests += 1;
  });
  let texts = 0;
  const changed = () => app.commit({ "backend/message.txt": `hello ${texts++}\n` });
  const once = async (command: LinkRow["command"]) => {
    const [before, logins, started] = [requests, server.logins, performance.now()];
    await run(stack, command === "deploy" || command === "nothing" ? "up" : command);
    return {
      seconds: (performance.now() - started) / 1000,
      requests: requests - before,
      logins: server.logins - logins,
    };
  };
  const rows: LinkRow[] = [];
  try {
    await stack.configure({ serverKey: server.key }, true);
    await run(stack, "up");
    for (const roundTripMs of ROUND_TRIPS_MS) {
      link.roundTripMs = roundTripMs;
      const taken = new Map<LinkRow["command"], Awaited<ReturnType<typeof once>>[]>();
      for (let round = 0; round < rounds; round++) {
        if (enough()) return rows;
        for (const command of LINKED) {
          if (command === "preview" || command === "deploy") await changed();
          taken.set(command, [...(taken.get(command) ?? []), await once(command)]);
        }
        // A rollback holds: the next deploy is to be one of a new commit again.
        await run(stack, "up", "--resume");
      }
      for (const command of LINKED) {
        const all = taken.get(command) ?? [];
        const row: LinkRow = {
          command,
          roundTripMs,
          seconds: median(all.map((each) => each.seconds)),
          requests: median(all.map((each) => each.requests)),
          logins: median(all.map((each) => each.logins)),
        };
        rows.push(row);
        say(
          `${command} at ${roundTripMs} ms: ${row.seconds.toFixed(1)} s, ${row.requests} requests to the engine`,
        );
      }
    }
    return rows;
  } finally {
    link.roundTripMs = 0;
    // By the command, which opens the way to the server.
    await stack.command("pulumi", "destroy", "--yes");
    await stack.remove();
    app.remove();
    await link.remove();
    await server.remove();
    await proxy.remove();
  }
}

async function run(stack: TestStack, name: string, ...options: string[]): Promise<void> {
  const { status, stdout, stderr } = await stack.command(name, ...options);
  if (status !== 0) throw new Error(`${name} ends with ${status}: ${stderr || stdout}`);
}
