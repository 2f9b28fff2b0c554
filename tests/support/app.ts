import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, relative, resolve } from "node:path";
import execa from "execa";

const PROJECT = resolve(__dirname, "..", "..");

/** A git repository of its own that holds an app with two services, which builds in a second. */
export class TestApp {
  readonly folder: string;

  private constructor() {
    this.folder = mkdtempSync(join(tmpdir(), "watch-party-app-"));
  }

  /**
   * @param from the app's files, relative to the project, or several folders of it → the files of each; default: the one that
   * builds in a second
   */
  static async create(
    from: string | Readonly<Record<string, string>> = "tests/fixtures/app",
  ): Promise<TestApp> {
    const app = new TestApp();
    for (const [folder, source] of Object.entries(typeof from === "string" ? { ".": from } : from)) {
      const listed = ["ls-files", "--cached", "--others", "--exclude-standard", source];
      const { stdout } = await execa("git", listed, { cwd: PROJECT });
      for (const file of stdout.split("\n"))
        cpSync(join(PROJECT, file), join(app.folder, folder, relative(source, file)));
    }
    await app.git("init", "--quiet", "--initial-branch", "main");
    await app.commit({});
    return app;
  }

  /** Commits changed files: path → content, or null to remove it. Returns the commit. */
  async commit(files: Record<string, string | null>, message = "change"): Promise<string> {
    for (const [path, content] of Object.entries(files)) {
      if (content === null) rmSync(join(this.folder, path));
      else writeFileSync(join(this.folder, path), content);
    }
    await this.git("add", "--all");
    await this.git("commit", "--quiet", "--allow-empty", "-m", message);
    return this.git("rev-parse", "HEAD");
  }

  read(path: string): string {
    return readFileSync(join(this.folder, path), "utf8");
  }

  async git(...args: string[]): Promise<string> {
    const identity = ["-c", "user.name=Test", "-c", "user.email=test@example.org"];
    return (await execa("git", [...identity, ...args], { cwd: this.folder })).stdout;
  }

  remove(): void {
    rmSync(this.folder, { recursive: true, force: true });
  }
}
