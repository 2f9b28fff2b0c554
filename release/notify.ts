import { givenValue } from "../config/secrets";
import type { DeployConfig } from "../config/types";
import { formatOf, type StackEvent, webhookBody } from "../freshness/events";

/** How long a webhook may take, in seconds. */
const SECONDS = 5;

/**
 * Tells the webhooks of a stack what happened. Never fails and never shows a URL, which is a secret.
 *
 * @param warn receives a sentence for each webhook that was not reached
 */
export async function notify(
  { notify: webhooks = [] }: Pick<DeployConfig, "notify">,
  event: StackEvent,
  warn: (text: string) => unknown,
): Promise<void> {
  const asked = webhooks.filter(({ on }) => on.includes(event.event));
  const told = asked.map(async ({ url: given, format }, at) => {
    const name = `notify[${at}]`;
    const url = givenValue(given);
    if (url === undefined || !URL.canParse(url))
      return void (await warn(`${name} was not told "${event.event}": it has no URL on this machine`));
    const why = await post(url, webhookBody(format ?? formatOf(url), event, new Date()));
    if (why !== undefined) await warn(`${name} was not told "${event.event}": ${why}`);
  });
  await Promise.all(told);
}

/** @returns why it failed; undefined if it did not */
async function post(url: string, body: string): Promise<string | undefined> {
  try {
    const { ok, status } = await fetch(url, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body,
      redirect: "manual",
      signal: AbortSignal.timeout(SECONDS * 1000),
    });
    return ok ? undefined : `status ${status}`;
  } catch (cause) {
    const { name, cause: inner } = cause as Error & { cause?: { code?: string } };
    // Its message may have the URL.
    return name === "TimeoutError" ? `no answer within ${SECONDS} s` : (inner?.code ?? name);
  }
}
