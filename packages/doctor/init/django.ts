import type { Repository } from "../repository";
import { isForDevelopment, isLeftOut } from "../scope";
import type { Found } from "./image";

/** The variable that switches Django's redirect to HTTPS on by default, and the value that switches it off. */
export function httpsRedirect(
  repository: Repository,
  folder: string,
): Found<{ readonly name: string; readonly off: string }> | undefined {
  for (const [path, text] of repository.texts) {
    if (!path.endsWith(".py") || (folder !== "" && !path.startsWith(`${folder}/`))) continue;
    if (isForDevelopment(path) || isLeftOut(path)) continue;
    for (const [at, line] of text.split("\n").entries()) {
      const [, name, rest = ""] = /^\s*SECURE_SSL_REDIRECT\s*=[^"'#]*["'](\w+)["']([^#]*)/.exec(line) ?? [];
      if (name !== undefined && /\b(true|1|yes|on)\b/i.test(rest.replace(/==.*/, "")))
        return {
          value: { name, off: /\bint\(/.test(line) ? "0" : "False" },
          at: `${path}:${at + 1}`,
        };
    }
  }
  return undefined;
}
