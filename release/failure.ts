import * as pulumi from "@pulumi/pulumi";

/**
 * Ends the program with a message of its own, from inside `apply`. A rejected output would reach the user behind the name of
 * each property that it goes into: "error serializing property …".
 *
 * @returns what never settles, so that nothing that depends on the output goes on
 */
export function fail(cause: Error): Promise<never> {
  // The SDK says of a rejection that nobody handles what it is, and fails the program.
  void Promise.reject(new pulumi.RunError(cause.message));
  return new Promise(() => undefined);
}

/** Reports an error of the configuration, the source or the engine in its own words, without a stack trace. */
export function spoken(cause: Error): never {
  const isDefect = cause.constructor === Error || cause instanceof TypeError;
  throw isDefect ? cause : new pulumi.RunError(cause.message);
}
