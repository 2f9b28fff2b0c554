/** The name of this program's npm package. */
export const PACKAGE = "fresh-deploy";

/** Whether this code runs as the npm package, which is compiled; a clone of the repository runs its TypeScript. */
export const isPackage = __filename.endsWith(".js");
