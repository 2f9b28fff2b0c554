import { createHash } from "node:crypto";

/** The SHA-256, in hexadecimal digits, of a value that JSON can hold. */
export function hashOf(value: unknown): string {
  return createHash("sha256").update(JSON.stringify(value)).digest("hex");
}
