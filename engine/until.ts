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
