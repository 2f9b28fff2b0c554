/** Asks until the answer is good or the time is over; the last answer counts. */
export async function until<T>(
  deadline: number,
  ask: () => Promise<T>,
  good: (answer: T) => boolean,
): Promise<T> {
  for (;;) {
    const answer = await ask();
    if (good(answer) || Date.now() >= deadline) return answer;
    await new Promise((resume) => setTimeout(resume, 100));
  }
}

/**
 * Marks a promise that is started early and awaited later: until it is awaited its rejection does not end the process.
 *
 * @returns the same promise
 */
export function startEarly<T>(work: Promise<T>): Promise<T> {
  work.catch(() => undefined);
  return work;
}

/** Waits for work for so long; then `otherwise` says what is taken in its place. The work itself goes on unheard. */
export async function within<T>(seconds: number, work: Promise<T>, otherwise: () => T): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<typeof LATE>((resolve) => {
    timer = setTimeout(() => resolve(LATE), seconds * 1000);
  });
  try {
    const first = await Promise.race([work, late]);
    return first === LATE ? otherwise() : first;
  } finally {
    clearTimeout(timer);
  }
}

const LATE = Symbol("late");
