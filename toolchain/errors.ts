/** A part of the toolchain is missing and cannot be installed. The message says what to do. */
export class ToolchainError extends Error {
  override readonly name = "ToolchainError";

  /**
   * @param message One line: what is wrong.
   * @param remedy What the reader can do.
   * @param exitCode 1: something failed; 2: something that the reader must provide is missing.
   * @param details The output of the failed program.
   */
  constructor(
    message: string,
    readonly remedy: string,
    readonly exitCode: 1 | 2 = 1,
    readonly details = "",
  ) {
    super(message);
  }

  /** The text for stderr: first the message, then the details. */
  print(): string {
    const details = this.details.trim();
    return [`toolchain: ${this.message}`, `  ${this.remedy}`, ...(details ? ["", details] : []), ""].join(
      "\n",
    );
  }
}
