/** What one request at the public address, or for a container's version, brought back. */

export interface Answer {
  /** Where it was asked. */
  readonly url: string;
  /** The address that the URL's name resolved to; empty where it was not resolved here. */
  readonly address: string;
  /** HTTP status; 0 without an answer. */
  readonly status: number;
  /** Lower-case name → value. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
  /** Why there was no answer; empty otherwise. */
  readonly error: string;
  /** Whether there was none because its body did not end. */
  readonly endless?: boolean;
}
