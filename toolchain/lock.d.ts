/** Runs `work` while no other process works in `folder`; a lock whose owner has died is taken over. */
export function withLock<T>(
  folder: string,
  work: () => Promise<T>,
  waiting?: (owner: string) => void,
): Promise<T>;
