import { NAMESPACE } from "../project";

/** Log messages of programs that lack a capability. */
const REFUSALS: readonly { readonly capability: string; readonly said: RegExp }[] = [
  // nginx: setgid(101) failed, initgroups(…) failed; Apache: setgid: unable to set group id; gosu: failed switching to "…".
  { capability: "SETGID", said: /\b(setgid|setgroups|initgroups|setresgid|setregid)\b|set group id/i },
  { capability: "SETUID", said: /\b(setuid|seteuid|setresuid|setreuid|failed switching to)\b|set user id/i },
  { capability: "CHOWN", said: /\bl?chown\b|changing (owner|group)/i },
  { capability: "FOWNER", said: /\bchmod\b|changing permissions|utime/i },
  { capability: "SYS_CHROOT", said: /\bchroot\b/i },
  { capability: "NET_RAW", said: /\b(raw socket|ping)\b/i },
  { capability: "SYS_NICE", said: /\b(setpriority|sched_setscheduler|mbind)\b/i },
  { capability: "KILL", said: /\bkill\b/i },
];
const BIND = /\bbind\b|make_sock|could not bind|listen tcp/i;
const WEBSERVER = ["CHOWN", "DAC_OVERRIDE", "NET_BIND_SERVICE", "SETGID", "SETUID"];

/** A capability that a container lacks, and the log line that shows it. */
export interface MissingCapability {
  readonly capability: string;
  readonly line: string;
}

/**
 * Finds the missing capability in a container's log.
 * @param has capabilities that the container keeps, with or without `CAP_`
 */
export function missingCapability(log: string, has: readonly string[]): MissingCapability | undefined {
  const kept = new Set(has.map((each) => each.replace(/^CAP_/, "")));
  for (const each of log.split("\n")) {
    const line = each.trim().slice(0, 200);
    const refused = /operation not permitted|\(1\)|\bEPERM\b/i.test(line);
    const found = refused
      ? REFUSALS.find(({ said }) => said.test(line))?.capability
      : /permission denied|\bEACCES\b/i.test(line) && BIND.test(line)
        ? "NET_BIND_SERVICE"
        : undefined;
    if (found !== undefined && !kept.has(found)) return { capability: found, line };
  }
  return undefined;
}

export function capabilityRemedy(service: string, { capability, line }: MissingCapability): string {
  const key = `${NAMESPACE}:services.${service}.capabilities`;
  const preset = WEBSERVER.includes(capability)
    ? `Set ${key} to webserver, which is what nginx, Apache and PHP-FPM need to start as root, or to [${capability}], or let the image start as another user.`
    : `Set ${key} to [${capability}].`;
  return `It lacks the Linux capability ${capability} ("${line}"). ${preset}`;
}
