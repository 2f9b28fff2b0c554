/** The name of this program's npm package. */
export const PACKAGE = "fresh-deploy";

/** The name in a Pulumi.yaml; undefined without one. No parser of YAML is loaded: each command begins with it. */
export function projectName(pulumiYaml: string): string | undefined {
  return /^name:\s*["']?([\w.-]+)/m.exec(pulumiYaml)?.[1];
}

/** Whether this code runs as the npm package, which is compiled; a clone of the repository runs its TypeScript. */
export const isPackage = __filename.endsWith(".js");
