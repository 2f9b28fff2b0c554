/** Converts errors for the engine. */

import * as grpc from "@grpc/grpc-js";
import { ErrorResourceInitFailed } from "@pulumi/pulumi/proto/provider_pb";
import { Status } from "@pulumi/pulumi/proto/status_pb";
import { Any } from "google-protobuf/google/protobuf/any_pb";
import { Struct } from "google-protobuf/google/protobuf/struct_pb";
import type { Props } from "./values";

/** A resource that exists but failed to start. The engine keeps its ID and state, and replaces or deletes it later. */
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

/** The gRPC status of an error: code Unknown, as in the official plugins, with the partial state as a detail. */
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
    // gRPC for Node does not support status details. Go's gRPC transmits them in this header.
    metadata.add("grpc-status-details-bin", Buffer.from(status.serializeBinary()));
  }
  return { name: "Error", message, code: grpc.status.UNKNOWN, details: message, metadata };
}
