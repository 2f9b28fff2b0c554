import execa from "execa";
import { childEnvironment } from "../config/environment";
import type { PluginName } from "./plugins";

/** How to check that the server is alive. */
export interface ServerWatch {
  /** Sends one request over SSH; rejects if the server does not answer. */
  readonly ask: () => Promise<unknown>;
  /** Called once when the server stops answering or the command exceeds its time. */
  readonly onSilence: (why: string) => void;
  /** Seconds between two requests. Default: 3. */
  readonly everySeconds?: number;
  /** Maximum minutes of the command, even if the server answers. Default: 15. */
  readonly minutes?: number;
}

/** Unanswered requests in a row until the server counts as down: a single one may be lost. */
const LOST = 2;

/**
 * Watches a server while a remote command runs there. The command plugin limits only the TCP connect: a
 * frozen server would hang it and keep the stack's lock.
 *
 * @returns a function that ends the watch
 */
export function watchServer({ ask, onSilence, everySeconds = 3, minutes = 15 }: ServerWatch): () => void {
  const started = Date.now();
  let ended = false;
  let lost = 0;
  let timer: NodeJS.Timeout;
  const end = () => {
    ended = true;
    clearTimeout(timer);
  };
  const tell = (why: string) => {
    if (ended) return;
    end();
    onSilence(why);
  };
  const next = () => {
    if (ended) return;
    timer = setTimeout(look, everySeconds * 1000);
    timer.unref();
  };
  const look = async () => {
    lost = await ask().then(
      () => 0,
      () => lost + 1,
    );
    if (lost >= LOST) tell(`the server has not answered ${LOST} requests in a row`);
    else if (Date.now() - started > minutes * 60_000) tell(`it has not ended within ${minutes} minutes`);
    else next();
  };
  next();
  return end;
}

/**
 * Ends a plugin of the Pulumi CLI, so that its current operation fails: there is no other way to cancel a
 * call. The CLI starts the plugin again when needed.
 *
 * @param cli PID of the CLI
 */
export async function endPlugin(cli: number, name: PluginName): Promise<void> {
  const { stdout } = await execa("ps", ["-A", "-o", "pid=,ppid=,args="], {
    reject: false,
    env: childEnvironment("ssh"),
    extendEnv: false,
  });
  for (const line of stdout.split("\n")) {
    const [, pid, parent, args = ""] = /^\s*(\d+)\s+(\d+)\s+(.*)$/.exec(line) ?? [];
    if (Number(parent) === cli && args.includes(`pulumi-resource-${name}`)) process.kill(Number(pid));
  }
}
