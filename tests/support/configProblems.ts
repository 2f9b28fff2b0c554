import { parseConfig } from "../../config";

/** What a configuration is refused for; empty if it is not. */
export function problems(raw: Record<string, unknown>): string {
  try {
    parseConfig(raw);
    return "";
  } catch (cause) {
    return (cause as Error).message;
  }
}
