/** The text with which a stand-in identifies itself, in its first lines and on stderr. */
export function standInOf(name: string, version: string): string {
  return `stand-in for the official Pulumi plugin ${name} ${version}`;
}
