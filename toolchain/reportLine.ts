/** One line of what `doctor` says. */

export interface ReportLine {
  readonly part: string;
  readonly version: string;
  readonly where: string;
  /** official, yours, built from Go modules, stand-in or missing. */
  readonly origin: string;
}
