/** One line of the output of `doctor`. */

export interface ReportLine {
  readonly part: string;
  readonly version: string;
  readonly where: string;
  /** official, yours, built from Go modules, stand-in or missing. */
  readonly origin: string;
}
