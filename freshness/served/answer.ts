/** Answer to one request, at the public address or to a container's version path. */

export interface Answer {
  /** Requested URL. */
  readonly url: string;
  /** Address that the URL's host name resolved to; empty if it was not resolved here. */
  readonly address: string;
  /** HTTP status; 0 without an answer. */
  readonly status: number;
  /** Lower-case name → value. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
  /** Why there was no answer; empty otherwise. */
  readonly error: string;
  /** Whether there was no answer because the body did not end. */
  readonly endless?: boolean;
}
