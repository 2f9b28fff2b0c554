import { isTerminal, type Screen } from "./paint";
import { PlainDisplay } from "./plain";
import type { Steps } from "./steps";
import { TerminalDisplay } from "./terminal";
import type { Display } from "./types";

/** The display for a screen: in place on a terminal, one line a step elsewhere. */
export function displayOn(
  screen: Screen,
  steps: Steps,
  env: Readonly<Record<string, string | undefined>> = process.env,
): Display {
  return isTerminal(screen, env)
    ? new TerminalDisplay(screen, steps, env)
    : new PlainDisplay(screen, steps, { groups: env.GITHUB_ACTIONS === "true" });
}
