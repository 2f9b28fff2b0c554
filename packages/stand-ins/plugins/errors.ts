/** Errors on their way to the engine. */

import * as grpc from "@grpc/grpc-js";
import { ErrorResourceInitFailed } from "@pulumi/pulumi/proto/provider_pb";
import { Status } from "@pulumi/pulumi/proto/status_pb";
import { Any } from "google-protobuf/google/protobuf/any_pb";
import { Struct } from "google-protobuf/google/protobuf/struct_pb";
import type { Props } from "./values";

/** A resource that exists but did not come up: the engine keeps its ID and state, and replaces or deletes it later. */
export class InitFailed extends Error {
  constructor(
    message: string,
    readonly partial: { id: string; properties: Props; inputs: Props; reasons: string[] },
  ) {
    super(message);
  }
}

/** An RPC that the official plugin does not implement either. */
export class NotImplemented extends Error {}

/** The gRPC status of an error: code Unknown as the official plugins give it, with the partial state as a detail. */
export function grpcStatus(error: unknown): grpc.ServerErrorResponse {
  const message = error instanceof Error ? error.message : String(error);
  if (error instanceof NotImplemented) {
    return { name: "Unimplemented", message, code: grpc.status.UNIMPLEMENTED, details: message };
  }
  const metadata = new grpc.Metadata();
  if (error instanceof InitFailed) {
    const detail = new ErrorResourceInitFailed();
    detail.setId(error.partial.id);
    detail.setProperties(Struct.fromJavaScript(error.partial.properties));
    detail.setInputs(Struct.fromJavaScript(error.partial.inputs));
    detail.setReasonsList(error.partial.reasons);
    const packed = new Any();
    packed.pack(detail.serializeBinary(), "pulumirpc.ErrorResourceInitFailed");
    const status = new Status();
    status.setCode(grpc.status.UNKNOWN);
    status.setMessage(message);
    status.addDetails(packed);
    // gRPC for Node has no notion of status details; this is the header in which Go's carries them.
    metadata.add("grpc-status-details-bin", Buffer.from(status.serializeBinary()));
  }
  return { name: "Error", message, code: grpc.status.UNKNOWN, details: message, metadata };
}
