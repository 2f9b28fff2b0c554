import * as pulumi from "@pulumi/pulumi";

/**
 * Ends the program with a plain message, from inside `apply`. Pulumi prefixes the message of a rejected output with the
 * name of each property that uses it: "error serializing property …".
 * @returns a promise that never settles, so that nothing that depends on the output continues
 */
export function fail(cause: Error): Promise<never> {
  // The SDK reports an unhandled rejection by its message, and fails the program.
  void Promise.reject(new pulumi.RunError(cause.message));
  return new Promise(() => undefined);
}

/** Reports an error of the configuration, the source or the engine by its message, without a stack trace. */
export function spoken(cause: Error): never {
  const isDefect = cause.constructor === Error || cause instanceof TypeError;
  throw isDefect ? cause : new pulumi.RunError(cause.message);
}
