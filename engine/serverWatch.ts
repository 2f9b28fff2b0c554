import execa from "execa";
import type { PluginName } from "./plugins";

/** How the server is asked whether it is there. */
export interface ServerWatch {
  /** One question, over ssh; rejects where the server does not answer it. */
  readonly ask: () => Promise<unknown>;
  /** Is told once that the server is silent, or that the command has taken too long. */
  readonly onSilence: (why: string) => void;
  /** Seconds between two questions. Default: 3. */
  readonly everySeconds?: number;
  /** Minutes that the command may take, however lively the server is. Default: 15. */
  readonly minutes?: number;
}

/** How many questions in a row stay without an answer until the server counts as silent: one may be lost. */
const LOST = 2;

/**
 * Watches a server while a remote command runs there. The plugin `command` bounds the TCP connect alone: a server that is
 * frozen would hang it for ever, and the stack's lock with it.
 *
 * @returns what ends the watch
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
 * Ends a plugin of the Pulumi CLI, which fails what it is doing: no call of it can be taken back otherwise. The CLI starts it
 * anew where it needs it again.
 *
 * @param cli the process of the CLI
 */
export async function endPlugin(cli: number, name: PluginName): Promise<void> {
  const { stdout } = await execa("ps", ["-A", "-o", "pid=,ppid=,args="], { reject: false });
  for (const line of stdout.split("\n")) {
    const [, pid, parent, args = ""] = /^\s*(\d+)\s+(\d+)\s+(.*)$/.exec(line) ?? [];
    if (Number(parent) === cli && args.includes(`pulumi-resource-${name}`)) process.kill(Number(pid));
  }
}
