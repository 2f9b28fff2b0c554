/** What a stand-in says of itself, in its first lines and on stderr. */
export function standInOf(name: string, version: string): string {
  return `stand-in for the official Pulumi plugin ${name} ${version}`;
}
