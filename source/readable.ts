/**
 * What the file system returns; undefined if it refuses: the file does not exist or may not be read. Git treats such a
 * file as absent too.
 */
export async function ifReadable<T>(work: Promise<T>): Promise<T | undefined> {
  try {
    return await work;
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).syscall === undefined) throw cause;
    return undefined;
  }
}
