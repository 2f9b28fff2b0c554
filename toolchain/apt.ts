import { readFileSync } from "node:fs";
import { run, tryRun } from "./run";

/** Whether packages can be installed: as root, on Debian or a derivative. */
export function isDebianRoot(): boolean {
  return process.getuid?.() === 0 && isDebian(readOsRelease());
}

/** Reads /etc/os-release. */
export function isDebian(osRelease: string): boolean {
  return /^ID(_LIKE)?="?.*\b(debian|ubuntu)\b/m.test(osRelease);
}

/** Installs packages. Updates the package lists only if they lack one of them. */
export async function aptInstall(packages: readonly string[]): Promise<void> {
  const env = { ...process.env, DEBIAN_FRONTEND: "noninteractive" };
  // Wait for the lock of another running apt-get instead of failing.
  const args = ["-o", "DPkg::Lock::Timeout=300", "install", "-y", "--no-install-recommends", ...packages];
  if ((await tryRun("apt-get", args, { env })).ok) return;
  const remedy = "Let this machine reach its package mirror, then run again.";
  await run("apt-get", ["-o", "DPkg::Lock::Timeout=300", "update"], { env, what: "apt-get update", remedy });
  await run("apt-get", args, { env, what: `apt-get install ${packages.join(" ")}`, remedy });
}

/** The Debian mirrors of this machine, by code name; empty if it is not Debian. */
export async function debianMirrors(): Promise<string> {
  const answer = await tryRun("apt-get", [
    "indextargets",
    "--format",
    "$(REPO_URI) $(CODENAME) $(COMPONENT)",
  ]);
  return answer.ok ? answer.stdout : "";
}

/** The mirror for Debian 12: this machine's own, else the public one. */
export function mirrorOf(targets: string, suite: string, fallback: string): string {
  const line = targets.split("\n").find((target) => target.endsWith(` ${suite} main`));
  return line?.split(" ")[0]?.replace(/\/$/, "") ?? fallback;
}

function readOsRelease(): string {
  try {
    return readFileSync("/etc/os-release", "utf8");
  } catch {
    return "";
  }
}
