import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { ToolchainError } from "./errors";
import { goBuild } from "./go";
import { withLock } from "./lock";
import type { Paths } from "./paths";
import { isExecutable, run, which } from "./run";

/** Linters for workflows and shell scripts. Only `npm run check` needs them. */
export interface Linters {
  readonly actionlint: string;
  readonly zizmor: string;
  readonly shellcheck: string;
}

/** The files that pin their versions and sources: Go modules and PyPI. */
const PINS = { go: "go/actionlint/go.sum", python: "linters.txt" };

/**
 * Installs the linters into the toolchain's folder, once for each version. Returns at once if they are installed.
 * @throws ToolchainError if Go or Python is missing, or a package is unavailable
 */
export async function linters(at: Paths, note: (text: string) => void): Promise<Linters> {
  const folder = join(at.toolchain, "linters");
  const venv = join(folder, "python", "bin");
  const found: Linters = {
    actionlint: join(folder, "actionlint"),
    zizmor: join(venv, "zizmor"),
    shellcheck: join(venv, "shellcheck"),
  };
  const stamp = join(folder, "stamp");
  const wanted = fingerprint(join(at.project, "toolchain"));
  const ready = () =>
    existsSync(stamp) &&
    readFileSync(stamp, "utf8") === wanted &&
    Object.values(found).every((program) => isExecutable(program));
  if (ready()) return found;
  await withLock(
    at.toolchain,
    async () => {
      if (ready()) return;
      note("installing actionlint, zizmor and shellcheck, half a minute the first time");
      mkdirSync(folder, { recursive: true });
      // Wait for both, so that one message names everything that is missing.
      const work = [buildActionlint(at, found.actionlint), installPython(at, join(folder, "python"))];
      const failed = (await Promise.allSettled(work)).flatMap((each) =>
        each.status === "rejected" ? [each.reason as ToolchainError] : [],
      );
      if (failed.length > 0) throw together(failed);
      writeFileSync(stamp, wanted);
    },
    (owner) => note(`waiting for process ${owner}, at the same work`),
  );
  return found;
}

/** The hash of the pinned versions. Another hash reinstalls the linters. */
function fingerprint(toolchain: string): string {
  const hash = createHash("sha256");
  for (const file of Object.values(PINS)) hash.update(readFileSync(join(toolchain, file)));
  return hash.digest("hex");
}

function buildActionlint(at: Paths, output: string): Promise<void> {
  const source = "github.com/rhysd/actionlint/cmd/actionlint";
  const build = { folder: "actionlint", package: source, program: "actionlint", output, official: "" };
  return goBuild(at, build, () => undefined);
}

/** Uses its own virtual environment, and does not change the machine's Python. */
async function installPython(at: Paths, folder: string): Promise<void> {
  const [python] = which("python3");
  const pins = join(at.project, "toolchain", PINS.python);
  if (python === undefined)
    throw new ToolchainError(
      "Python is missing: zizmor and shellcheck come from PyPI",
      "Install Python 3.9 or later with venv (on Debian: apt-get install python3-venv).",
      2,
    );
  rmSync(folder, { recursive: true, force: true });
  await run(python, ["-m", "venv", folder], {
    what: "making a virtual environment",
    remedy: "Give this Python its venv (on Debian: apt-get install python3-venv), then run again.",
  });
  // Without wheels, pip would compile zizmor for a quarter of an hour.
  const pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--only-binary", ":all:"];
  await run(join(folder, "bin", "python"), [...pip, "--require-hashes", "--requirement", pins], {
    what: "installing zizmor and shellcheck",
    remedy: "Let this machine reach PyPI, then run again.",
  });
}

function together(errors: readonly ToolchainError[]): ToolchainError {
  const all = (key: "message" | "remedy" | "details") =>
    errors.map((error) => error[key] ?? "").filter((text) => text !== "");
  return new ToolchainError(all("message").join("; "), all("remedy").join(" "), 2, all("details").join("\n"));
}
