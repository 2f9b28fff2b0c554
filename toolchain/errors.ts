/** A part of the toolchain is missing and cannot be installed, said so that the reader can act on it. */
export class ToolchainError extends Error {
  override readonly name = "ToolchainError";

  /**
   * @param message One line: what is wrong.
   * @param remedy What the reader can do.
   * @param exitCode 1: something could not be done; 2: something the reader must bring is not there.
   * @param details What the failing program said.
   */
  constructor(
    message: string,
    readonly remedy: string,
    readonly exitCode: 1 | 2 = 1,
    readonly details = "",
  ) {
    super(message);
  }

  /** The text for stderr: the clear line first, details after. */
  print(): string {
    const details = this.details.trim();
    return [`toolchain: ${this.message}`, `  ${this.remedy}`, ...(details ? ["", details] : []), ""].join(
      "\n",
    );
  }
}
