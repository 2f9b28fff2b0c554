/** Repeats a request until its answer is good or the deadline has passed; returns the last answer. */
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
export function startEarly<T>(work: Promise<T>): Promise<T>;
export function startEarly<T>(work: Promise<T> | undefined): Promise<T> | undefined;
export function startEarly<T>(work: Promise<T> | undefined): Promise<T> | undefined {
  work?.catch(() => {
    // Whoever awaits the work handles its error.
  });
  return work;
}

/** Waits for work at most that many seconds, then returns `otherwise()`. The work itself continues. */
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
