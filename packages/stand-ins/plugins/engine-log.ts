/** Sends messages to the engine, which shows them under their resource. */

import * as grpc from "@grpc/grpc-js";
import { EngineClient } from "@pulumi/pulumi/proto/engine_grpc_pb";
import { LogRequest, LogSeverity } from "@pulumi/pulumi/proto/engine_pb";

type Severity = "info" | "warning" | "error";

/** The log of a resource during an operation. */
export interface Log {
  /** Writes a line that stays in the output of the run. */
  line(severity: Severity, message: string): void;
  /** Writes a line that the next one overwrites. */
  status(message: string): void;
  /** Resolves once the engine has received all messages. */
  flush(): Promise<void>;
}

const severities = { info: LogSeverity.INFO, warning: LogSeverity.WARNING, error: LogSeverity.ERROR };

let client: EngineClient | undefined;

/** Connects to the engine at `address`, which comes from an argument or from Attach. */
export function attachEngine(address: string): void {
  client = new EngineClient(address, grpc.credentials.createInsecure());
}

/** The log of one resource. Does nothing without an engine, as in some tests. */
export function logFor(urn: string): Log {
  // Send one at a time: the engine keeps the order of arrival, and gRPC does not guarantee an order.
  let last: Promise<void> = Promise.resolve();
  const send = (severity: Severity, message: string, ephemeral: boolean): void => {
    const engine = client;
    if (engine === undefined || message === "") return;
    const request = new LogRequest();
    request.setSeverity(severities[severity]);
    request.setMessage(message);
    request.setUrn(urn);
    request.setEphemeral(ephemeral);
    // A lost message must not fail its operation.
    last = last.then(() => new Promise((resolve) => engine.log(request, () => resolve())));
  };
  return {
    line: (severity, message) => send(severity, message, false),
    status: (message) => send("info", message, true),
    flush: () => last,
  };
}
