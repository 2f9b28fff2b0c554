/**
 * The server of both stand-ins. It implements the resource provider protocol and passes each call, with plain values,
 * to the resource of its type.
 */

import * as grpc from "@grpc/grpc-js";
import { PluginInfo } from "@pulumi/pulumi/proto/plugin_pb";
import { type IResourceProviderServer, ResourceProviderService } from "@pulumi/pulumi/proto/provider_grpc_pb";
import * as rpc from "@pulumi/pulumi/proto/provider_pb";
import { Empty } from "google-protobuf/google/protobuf/empty_pb";
import { Struct } from "google-protobuf/google/protobuf/struct_pb";
import { type Changes, topLevel } from "./diff";
import { attachEngine, type Log, logFor } from "./engine-log";
import { grpcStatus, NotImplemented } from "./errors";
import { stopAll } from "./process";
import { standInOf } from "./standIn";
import { normalise, type Props } from "./values";

/** The common arguments of all calls for a resource. */
interface Call {
  urn: string;
  /** The resource's name in the program. */
  name: string;
  log: Log;
}

export interface CheckCall extends Call {
  olds: Props;
  news: Props;
  /** How the user wants names to be generated; absent for the plugin's own way. */
  naming?: { proposed: string; mode: "propose" | "enforce" | "disable" };
}

export interface CheckReply {
  inputs: Props;
  failures?: { property: string; reason: string }[];
}

interface DiffCall extends Call {
  id: string;
  olds: Props;
  oldInputs: Props;
  news: Props;
}

export interface DiffReply {
  /** Empty if nothing changes. */
  changes: Changes;
  /** Changes that require a new resource. */
  replaces?: string[];
  deleteBeforeReplace?: boolean;
  /** Whether the official plugin sets this. The engine then uses only `changes`. */
  detailed?: boolean;
  /** Whether to also list the changed top-level properties. */
  named?: boolean;
  /** Whether the paths are paths of inputs instead of outputs. */
  ofInputs?: boolean;
}

interface State {
  id: string;
  properties: Props;
}

/** One resource type. */
export interface Resource {
  check(call: CheckCall): Promise<CheckReply>;
  diff(call: DiffCall): Promise<DiffReply>;
  create(call: Call & { news: Props; preview: boolean }): Promise<State>;
  /** Undefined if the resource no longer exists. */
  read(call: Call & State & { inputs: Props }): Promise<(State & { inputs: Props }) | undefined>;
  update(call: DiffCall & { preview: boolean }): Promise<Props>;
  delete(call: Call & State): Promise<void>;
}

export interface Provider {
  name: string;
  version: string;
  /** The response to Configure. */
  features: {
    supportsPreview?: true;
    acceptSecrets?: true;
    acceptResources?: true;
    acceptOutputs?: true;
    autonaming?: true;
  };
  checkConfig?(news: Props): Props;
  diffConfig?(olds: Props, news: Props): DiffReply;
  configure?(args: Props): void;
  resources: { [type: string]: Resource };
}

/** Serves a provider on a free loopback port, and prints the port for the engine. */
export function serve(provider: Provider): void {
  const address = process.argv.slice(2).find((argument) => !argument.startsWith("-"));
  if (address !== undefined) attachEngine(address);
  const server = new grpc.Server({
    "grpc.max_receive_message_length": -1,
    "grpc.max_send_message_length": -1,
  });
  server.addService(ResourceProviderService, implementation(provider));
  server.bindAsync("127.0.0.1:0", grpc.ServerCredentials.createInsecure(), (error, port) => {
    if (error !== null) {
      process.stderr.write(`${provider.name}: ${error.message}\n`);
      process.exit(1);
    }
    process.stdout.write(`${port}\n`);
    process.stderr.write(`${standInOf(provider.name, provider.version)}\n`);
  });
  stopWithParent();
}

/** Ends this process and its children if the pipe closes or the engine disappears. */
function stopWithParent(): void {
  const leave = (): void => {
    stopAll();
    process.exit(0);
  };
  process.on("SIGTERM", leave);
  // The CLI sends SIGINT when it is done. It waits for each plugin to exit, one after the other.
  process.on("SIGINT", leave);
  process.stdout.on("error", () => undefined);
  process.stderr.on("error", () => undefined);
  const parent = process.ppid;
  setInterval(() => process.ppid !== parent && leave(), 1000).unref();
}

function implementation(provider: Provider): IResourceProviderServer {
  const resource = (type: string): Resource => {
    const found = provider.resources[type];
    if (found === undefined) {
      const known = Object.keys(provider.resources).join(", ");
      throw new Error(`the stand-in for the plugin ${provider.name} has no ${type}; it has ${known}`);
    }
    return found;
  };

  const handlers = {
    handshake: unimplemented("Handshake"),
    parameterize: unimplemented("Parameterize"),
    invoke: unimplemented("Invoke"),
    call: unimplemented("Call"),
    construct: unimplemented("Construct"),
    list: unimplementedStream("List"),
    getMapping: unimplemented("GetMapping"),
    getMappings: unimplemented("GetMappings"),

    getPluginInfo: unary((_: Empty) => {
      const info = new PluginInfo();
      info.setVersion(provider.version);
      return info;
    }),

    getSchema: unary((_: rpc.GetSchemaRequest) => {
      const response = new rpc.GetSchemaResponse();
      response.setSchema("{}");
      return response;
    }),

    attach: unary((request: { getAddress(): string }) => {
      attachEngine(request.getAddress());
      return new Empty();
    }),

    cancel: unary((_: Empty) => {
      stopAll();
      return new Empty();
    }),

    checkConfig: unary((request: rpc.CheckRequest) => {
      const news = props(request.getNews());
      return checkResponse({ inputs: provider.checkConfig?.(news) ?? news });
    }),

    diffConfig: unary((request: rpc.DiffRequest) => {
      if (provider.diffConfig === undefined) throw new NotImplemented("DiffConfig is not implemented");
      const reply = provider.diffConfig(props(request.getOlds()), props(request.getNews()));
      return Object.keys(reply.changes).length === 0 ? new rpc.DiffResponse() : diffResponse(reply);
    }),

    configure: unary((request: rpc.ConfigureRequest) => {
      provider.configure?.(props(request.getArgs()));
      const response = new rpc.ConfigureResponse();
      response.setSupportspreview(provider.features.supportsPreview === true);
      response.setAcceptsecrets(provider.features.acceptSecrets === true);
      response.setAcceptresources(provider.features.acceptResources === true);
      response.setAcceptoutputs(provider.features.acceptOutputs === true);
      response.setSupportsAutonamingConfiguration(provider.features.autonaming === true);
      return response;
    }),

    check: unary((request: rpc.CheckRequest) => {
      const naming = request.getAutonaming();
      const modes = ["propose", "enforce", "disable"] as const;
      return withLog(request, async (call) =>
        checkResponse(
          await resource(typeOf(request)).check({
            ...call,
            olds: props(request.getOlds()),
            news: props(request.getNews()),
            ...(naming === undefined
              ? {}
              : {
                  naming: { proposed: naming.getProposedName(), mode: modes[naming.getMode()] ?? "propose" },
                }),
          }),
        ),
      );
    }),

    diff: unary((request: rpc.DiffRequest) =>
      withLog(request, async (call) =>
        diffResponse(
          await resource(typeOf(request)).diff({
            ...call,
            id: request.getId(),
            olds: props(request.getOlds()),
            oldInputs: props(request.getOldInputs()),
            news: props(request.getNews()),
          }),
        ),
      ),
    ),

    create: unary((request: rpc.CreateRequest) =>
      withLog(request, async (call) => {
        const news = props(request.getProperties());
        const created = await resource(typeOf(request)).create({
          ...call,
          news,
          preview: request.getPreview(),
        });
        const response = new rpc.CreateResponse();
        response.setId(created.id);
        response.setProperties(struct(created.properties));
        return response;
      }),
    ),

    read: unary((request: rpc.ReadRequest) =>
      withLog(request, async (call) => {
        const found = await resource(typeOf(request)).read({
          ...call,
          id: request.getId(),
          properties: props(request.getProperties()),
          inputs: props(request.getInputs()),
        });
        const response = new rpc.ReadResponse();
        if (found === undefined) return response;
        response.setId(found.id);
        response.setProperties(struct(found.properties));
        response.setInputs(struct(found.inputs));
        return response;
      }),
    ),

    update: unary((request: rpc.UpdateRequest) =>
      withLog(request, async (call) => {
        const updated = await resource(typeOf(request)).update({
          ...call,
          id: request.getId(),
          olds: props(request.getOlds()),
          oldInputs: props(request.getOldInputs()),
          news: props(request.getNews()),
          preview: request.getPreview(),
        });
        const response = new rpc.UpdateResponse();
        response.setProperties(struct(updated));
        return response;
      }),
    ),

    delete: unary((request: rpc.DeleteRequest) =>
      withLog(request, async (call) => {
        const properties = props(request.getProperties());
        await resource(typeOf(request)).delete({ ...call, id: request.getId(), properties });
        return new Empty();
      }),
    ),
  };
  return handlers as unknown as IResourceProviderServer;
}

/** Runs a call with the log of its resource. Answers only once the engine has received the whole log. */
async function withLog<T>(
  request: { getUrn(): string; getName(): string },
  work: (call: Call) => Promise<T>,
): Promise<T> {
  const urn = request.getUrn();
  const call = { urn, name: request.getName() || (urn.split("::").pop() ?? urn), log: logFor(urn) };
  try {
    return await work(call);
  } finally {
    await call.log.flush();
  }
}

function unary<Request, Response>(work: (request: Request) => Response | Promise<Response>) {
  return async (call: { request: Request }, done: grpc.sendUnaryData<Response>): Promise<void> => {
    try {
      done(null, await work(call.request));
    } catch (error) {
      done(grpcStatus(error));
    }
  };
}

function unimplemented(method: string) {
  return (_: unknown, done: grpc.sendUnaryData<Empty>): void => {
    done(grpcStatus(new NotImplemented(`${method} is not implemented`)));
  };
}

function unimplementedStream(method: string) {
  return (call: { emit(event: "error", error: unknown): boolean }): void => {
    call.emit("error", grpcStatus(new NotImplemented(`${method} is not implemented`)));
  };
}

/** The type of the resource. Taken from the URN if an older engine does not send it. */
function typeOf(request: { getType(): string; getUrn(): string }): string {
  return request.getType() || (request.getUrn().split("::")[2]?.split("$").pop() ?? "");
}

function props(value: Struct | undefined): Props {
  return value === undefined ? {} : (normalise(value.toJavaScript() as Props) as Props);
}

function struct(value: Props): Struct {
  return Struct.fromJavaScript(value);
}

function checkResponse(reply: CheckReply): rpc.CheckResponse {
  const response = new rpc.CheckResponse();
  response.setInputs(struct(reply.inputs));
  for (const { property, reason } of reply.failures ?? []) {
    const failure = new rpc.CheckFailure();
    failure.setProperty(property);
    failure.setReason(reason);
    response.addFailures(failure);
  }
  return response;
}

function diffResponse(reply: DiffReply): rpc.DiffResponse {
  const response = new rpc.DiffResponse();
  const paths = Object.keys(reply.changes).sort();
  const some = paths.length > 0;
  response.setChanges(some ? rpc.DiffResponse.DiffChanges.DIFF_SOME : rpc.DiffResponse.DiffChanges.DIFF_NONE);
  response.setHasdetaileddiff(reply.detailed === true);
  response.setReplacesList(reply.replaces ?? []);
  response.setDeletebeforereplace(reply.deleteBeforeReplace === true);
  if (reply.named !== false)
    response.setDiffsList([...new Set([...paths.map(topLevel), ...(reply.replaces ?? [])])]);
  for (const path of paths) {
    const change = new rpc.PropertyDiff();
    change.setKind(rpc.PropertyDiff.Kind[reply.changes[path] ?? "UPDATE"]);
    change.setInputdiff(reply.ofInputs === true);
    response.getDetaileddiffMap().set(path, change);
  }
  return response;
}
