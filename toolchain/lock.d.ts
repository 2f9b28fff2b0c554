/** Runs `work` while no other process works in `folder`. Takes over a lock whose owner has died. */
export function withLock<T>(
  folder: string,
  work: () => Promise<T>,
  waiting?: (owner: string) => void,
): Promise<T>;
