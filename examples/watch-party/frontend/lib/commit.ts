import { readFile } from "node:fs/promises";

/** The commit this image was built from, or undefined where there is no commit file (a checkout on a laptop). */
export async function readCommit(): Promise<string | undefined> {
  const path = process.env.COMMIT_FILE ?? "/app/COMMIT";
  try {
    // The path is not known at build time; without the comment Next.js would put the whole source into the image.
    const commit = (await readFile(/* turbopackIgnore: true */ path, "utf8")).trim();
    return commit === "" ? undefined : commit;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}
