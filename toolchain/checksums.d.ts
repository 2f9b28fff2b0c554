/** What the toolchain installs from npm outside package-lock.json: `NAME@VERSION` → the hash that npm has to find. */
export const CHECKSUMS: Readonly<Record<string, string>>;

/** What is wrong with the packages that npm has installed into a folder; undefined if each has its hash. */
export function wrongPackage(folder: string, wanted: readonly string[]): string | undefined;
