/** Messages to the engine, which shows them under the resource they belong to. */

import * as grpc from "@grpc/grpc-js";
import { EngineClient } from "@pulumi/pulumi/proto/engine_grpc_pb";
import { LogRequest, LogSeverity } from "@pulumi/pulumi/proto/engine_pb";

type Severity = "info" | "warning" | "error";

/** What a resource may say while it is worked on. */
export interface Log {
  /** A line that stays in the output of the run. */
  line(severity: Severity, message: string): void;
  /** A line that the next one overwrites. */
  status(message: string): void;
  /** Settles when the engine has been told everything. */
  flush(): Promise<void>;
}

const severities = { info: LogSeverity.INFO, warning: LogSeverity.WARNING, error: LogSeverity.ERROR };

let client: EngineClient | undefined;

/** Connects to the engine at `address`, which comes as an argument or through Attach. */
export function attachEngine(address: string): void {
  client = new EngineClient(address, grpc.credentials.createInsecure());
}

/** The log of one resource. Without an engine (as in some tests) nothing is said. */
export function logFor(urn: string): Log {
  // One after the other: the engine keeps the order in which requests arrive, and gRPC does not promise any.
  let last: Promise<void> = Promise.resolve();
  const send = (severity: Severity, message: string, ephemeral: boolean): void => {
    const engine = client;
    if (engine === undefined || message === "") return;
    const request = new LogRequest();
    request.setSeverity(severities[severity]);
    request.setMessage(message);
    request.setUrn(urn);
    request.setEphemeral(ephemeral);
    // A message that does not arrive must not fail the operation it is about.
    last = last.then(() => new Promise((resolve) => engine.log(request, () => resolve())));
  };
  return {
    line: (severity, message) => send(severity, message, false),
    status: (message) => send("info", message, true),
    flush: () => last,
  };
}
