/** Reports the steps of a setup on stderr, each with its duration. */
export interface Progress {
  step<T>(title: string, work: (note: (text: string) => void) => Promise<T>): Promise<T>;
}

/** Interval of messages during a long step, which could otherwise seem to hang. */
const ALIVE_MS = 30_000;

/** Writes lines to stderr, the same on a terminal and in CI. Quiet mode still reports steps that took long. */
export function progress(write = (line: string) => process.stderr.write(`${line}\n`)): Progress {
  return {
    async step(title, work) {
      const started = performance.now();
      let notes = "";
      write(`toolchain: ${title} …`);
      const alive = setInterval(
        () => write(`toolchain: ${title}: ${seconds(started)} so far${notes && `, ${notes}`}`),
        ALIVE_MS,
      );
      try {
        const result = await work((text) => {
          notes = text;
        });
        write(`toolchain: ${title}: ${notes || "ready"} (${seconds(started)})`);
        return result;
      } catch (error) {
        write(`toolchain: ${title}: failed (${seconds(started)})`);
        throw error;
      } finally {
        clearInterval(alive);
      }
    },
  };
}

/** The time since `started`, as text. */
export function seconds(started: number): string {
  const elapsed = (performance.now() - started) / 1000;
  return elapsed < 90
    ? `${elapsed.toFixed(1)} s`
    : `${Math.floor(elapsed / 60)} min ${Math.round(elapsed % 60)} s`;
}
