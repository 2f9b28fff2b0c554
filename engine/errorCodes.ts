/**
 * Codes of errors that a command acts on. The Pulumi CLI passes only an error's text from the program to the command, so the
 * text begins with the code. The words after the code may change.
 */
export type ErrorCode = "gone from the engine" | "superseded" | "deploys are locked";

export function withCode(code: ErrorCode, message: string): string {
  return `${code}: ${message}`;
}

export function hasCode(message: string, code: ErrorCode): boolean {
  return message.startsWith(`${code}: `);
}
