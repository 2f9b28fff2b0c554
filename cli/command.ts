import { Command, type CommanderError } from "commander";

/** What the exit status of the project's commands means. */
export const EXIT_STATUS = ["good", "a link is broken or the operation failed", "bad usage or configuration"];

/** A command of the project: wrong usage ends it with status 2, `--help` with 0. */
export class ProjectCommand extends Command {
  constructor(name: string) {
    super(name);
    this.exitOverride(({ exitCode }: CommanderError) => process.exit(exitCode === 0 ? 0 : 2));
  }

  /** Adds `--stack`. */
  ofStack(meaning = "the stack", standard: string | undefined = "dev"): this {
    return this.option("--stack <name>", meaning, standard);
  }

  /** Adds `--json`. @param what else is printed there as text */
  json(what: "JSON" | "certificate" = "JSON"): this {
    return this.option(
      "--json",
      what === "JSON" ? "print only JSON on stdout" : "print only the certificate, as JSON, on stdout",
    );
  }
}
