/**
 * A promise that is started before it is needed, so that it runs beside other work. It is awaited later, and that is where a
 * failure counts; without this, Node would end the program if it failed earlier.
 */
export function startEarly<T>(started: Promise<T>): Promise<T>;
export function startEarly<T>(started: Promise<T> | undefined): Promise<T> | undefined;
export function startEarly<T>(started: Promise<T> | undefined): Promise<T> | undefined {
  started?.catch(ignoreUntilAwaited);
  return started;
}

function ignoreUntilAwaited(): void {}
