import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import execa from "execa";
import { isOfficial } from "./plugins";

/** A `docker` command before the real one on PATH: what lies on the way to the engine is made to fail, the engine is real. */
export class DockerShim {
  private readonly folder = mkdtempSync(join(tmpdir(), "watch-party-shim-"));
  private readonly command = join(this.folder, "docker");

  /** The PATH of what is to use it. As long as nothing is installed the real docker is found. */
  get path(): string {
    return [this.folder, process.env.PATH].join(delimiter);
  }

  /**
   * @param script what is run before the real command, which the variable `real` names; `"$@"` are the arguments
   * @returns what takes it away again
   */
  async install(script: string): Promise<() => Promise<void>> {
    const real = (await execa("sh", ["-c", "command -v docker"])).stdout;
    writeFileSync(this.command, `#!/bin/sh\nreal='${real}'\n${script}\nexec "$real" "$@"\n`);
    chmodSync(this.command, 0o755);
    return async () => rmSync(this.command);
  }

  /** A folder of its own, where nothing is asked for. */
  get store(): string {
    return this.folder;
  }

  remove(): void {
    rmSync(this.folder, { recursive: true, force: true });
  }

  /** A prune that says it has succeeded and has removed nothing. */
  readonly pruneLies = `case "$*" in "builder prune"*) echo "Total reclaimed space: 0B"; exit 0 ;; esac`;

  /**
   * The backend's context is not built where it lies: it is brought to a folder of the builder's first, always the same one. The
   * official plugin starts no command to build: there the context is changed where it lies, right before it is read.
   *
   * @param change a command that does to the files in "$to" what the transport does
   */
  contextGoesThrough(change: string): string {
    const atPrune = `
case "$*" in "builder prune"*)
  to=$(ls -td .work/*/contexts/backend/backend-* 2> /dev/null | grep -v '\\.tmp$' | head -n 1)
  [ -z "$to" ] || { ${change}
} ;;
esac`;
    return `${isOfficial() ? atPrune : ""}
for last; do :; done
name=$(basename "$last")
case "$1 \${name%%-*}" in "build backend" | "buildx backend")
  to="${this.folder}/$(basename "$PWD")"
  rm -rf "$to"
  cp -R "$last" "$to"
  ${change}
  # The last argument becomes the other folder.
  for each; do
    shift
    [ "$each" = "$last" ] && each=$to
    set -- "$@" "$each"
  done ;;
esac`;
  }
}
