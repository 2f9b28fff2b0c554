/**
 * Speaks to a plugin as the engine does: starts it, reads its port, configures it, calls it. The same for the official
 * plugins and for the stand-ins, whichever is found.
 */

import { type ChildProcessWithoutNullStreams, spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { homedir, tmpdir } from "node:os";
import { join, resolve } from "node:path";
import * as grpc from "@grpc/grpc-js";
import { EngineService } from "@pulumi/pulumi/proto/engine_grpc_pb";
import { type LogRequest, LogSeverity } from "@pulumi/pulumi/proto/engine_pb";
import { ResourceProviderClient } from "@pulumi/pulumi/proto/provider_grpc_pb";
import * as rpc from "@pulumi/pulumi/proto/provider_pb";
import { Status } from "@pulumi/pulumi/proto/status_pb";
import { Empty } from "google-protobuf/google/protobuf/empty_pb";
import { Struct } from "google-protobuf/google/protobuf/struct_pb";
import { bundlePlugins } from "../../packages/stand-ins/plugins/bundle";
import type { Props } from "../../packages/stand-ins/plugins/values";

export type { Props };

const versions = { docker: "5.2.0", command: "1.2.1" };
export type PluginName = keyof typeof versions;

const root = resolve(__dirname, "../..");

/**
 * The executable of a plugin: the one that PLUGIN_DOCKER or PLUGIN_COMMAND names, the one of the project's toolchain, the
 * one of the user's Pulumi, or the stand-in made on the spot.
 */
export async function locate(
  name: PluginName,
): Promise<{ executable: string; dispose: () => Promise<void> }> {
  const inside = join("plugins", `resource-${name}-v${versions[name]}`, `pulumi-resource-${name}`);
  const home = process.env.PULUMI_HOME ?? join(homedir(), ".pulumi");
  const named = process.env[`PLUGIN_${name.toUpperCase()}`];
  if (named !== undefined && !existsSync(named))
    throw new Error(`PLUGIN_${name.toUpperCase()}: there is no ${named}`);
  const places = [named, join(root, ".toolchain/pulumi", inside), join(home, inside)];
  const found = places.find((place) => place !== undefined && existsSync(place));
  if (found !== undefined) return { executable: found, dispose: async () => undefined };
  const folder = await mkdtemp(join(tmpdir(), "plugins-"));
  await bundlePlugins(folder);
  return {
    executable: join(folder, name, `pulumi-resource-${name}`),
    dispose: () => rm(folder, { recursive: true, force: true }),
  };
}

/** A failed call: the message as the engine shows it, and the state of what was made all the same. */
export class CallError extends Error {
  constructor(
    message: string,
    readonly code: grpc.status,
    readonly partial?: { id: string; properties: Props; reasons: string[] },
  ) {
    super(message);
  }
}

export interface Diff {
  changes: "DIFF_UNKNOWN" | "DIFF_NONE" | "DIFF_SOME";
  diffs: string[];
  replaces: string[];
  deleteBeforeReplace: boolean;
  hasDetailedDiff: boolean;
  /** Path → kind. */
  detailedDiff: Record<string, string>;
}

export interface LogLine {
  urn: string;
  severity: "info" | "warning" | "error" | "debug";
  message: string;
  ephemeral: boolean;
}

export interface StartOptions {
  cwd?: string;
  env?: NodeJS.ProcessEnv;
  config?: Props;
}

/** A running plugin. */
export class Plugin {
  private constructor(
    readonly name: PluginName,
    private readonly child: ChildProcessWithoutNullStreams,
    private readonly client: ResourceProviderClient,
    private readonly engine: grpc.Server,
    private readonly dispose: () => Promise<void>,
    /** What the plugin told the engine. */
    readonly log: LogLine[],
    /** What the plugin answered to Configure. */
    readonly features: rpc.ConfigureResponse.AsObject,
  ) {}

  static async start(name: PluginName, options: StartOptions = {}): Promise<Plugin> {
    const { executable, dispose } = await locate(name);
    const log: LogLine[] = [];
    const { engine, address } = await startEngine(log);
    const child = spawn(executable, [address], { cwd: options.cwd, env: options.env ?? process.env });
    const port = await firstLine(child);
    const client = new ResourceProviderClient(`127.0.0.1:${port}`, grpc.credentials.createInsecure());
    const features = await configure(name, client, options.config ?? {});
    return new Plugin(name, child, client, engine, dispose, log, features);
  }

  async stop(): Promise<void> {
    this.client.close();
    const ended = new Promise((done) => this.child.once("close", done));
    this.child.kill();
    await ended;
    this.engine.forceShutdown();
    await this.dispose();
  }

  /** Settles when a resource has said a line that contains the text. */
  async heard(text: string): Promise<void> {
    while (!this.log.some(({ message }) => message.includes(text))) {
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }

  async cancel(): Promise<void> {
    await call<Empty>((done) => this.client.cancel(new Empty(), done));
  }

  async checkConfig(news: Props): Promise<Props> {
    const request = new rpc.CheckRequest();
    request.setUrn(providerUrn(this.name));
    request.setOlds(struct({}));
    request.setNews(struct(news));
    return props(
      (await call<rpc.CheckResponse>((done) => this.client.checkConfig(request, done))).getInputs(),
    );
  }

  async diffConfig(olds: Props, news: Props): Promise<Diff> {
    const request = new rpc.DiffRequest();
    request.setUrn(providerUrn(this.name));
    request.setOlds(struct(olds));
    request.setOldInputs(struct(olds));
    request.setNews(struct(news));
    return diffOf(await call((done) => this.client.diffConfig(request, done)));
  }

  async check(type: string, name: string, olds: Props, news: Props): Promise<Props> {
    const request = new rpc.CheckRequest();
    describe(request, type, name);
    request.setOlds(struct(olds));
    request.setNews(struct(news));
    request.setRandomseed(Buffer.from(`${Math.random()}${Math.random()}`.slice(0, 32).padEnd(32, "0")));
    const response = await call<rpc.CheckResponse>((done) => this.client.check(request, done));
    const [failure] = response.getFailuresList();
    if (failure !== undefined) throw new Error(`${failure.getProperty()}: ${failure.getReason()}`);
    return props(response.getInputs());
  }

  async diff(type: string, name: string, state: State, news: Props): Promise<Diff> {
    const request = new rpc.DiffRequest();
    describe(request, type, name);
    request.setId(state.id);
    request.setOlds(struct(state.properties));
    request.setOldInputs(struct(state.inputs));
    request.setNews(struct(news));
    return diffOf(await call((done) => this.client.diff(request, done)));
  }

  async create(type: string, name: string, news: Props, preview = false): Promise<State> {
    const request = new rpc.CreateRequest();
    describe(request, type, name);
    request.setProperties(struct(news));
    request.setPreview(preview);
    const response = await call<rpc.CreateResponse>((done) => this.client.create(request, done));
    return { id: response.getId(), inputs: news, properties: props(response.getProperties()) };
  }

  async read(type: string, name: string, state: State): Promise<State | undefined> {
    const request = new rpc.ReadRequest();
    describe(request, type, name);
    request.setId(state.id);
    request.setProperties(struct(state.properties));
    request.setInputs(struct(state.inputs));
    const response = await call<rpc.ReadResponse>((done) => this.client.read(request, done));
    if (response.getId() === "") return undefined;
    return {
      id: response.getId(),
      inputs: props(response.getInputs()),
      properties: props(response.getProperties()),
    };
  }

  async update(type: string, name: string, state: State, news: Props, preview = false): Promise<State> {
    const request = new rpc.UpdateRequest();
    describe(request, type, name);
    request.setId(state.id);
    request.setOlds(struct(state.properties));
    request.setOldInputs(struct(state.inputs));
    request.setNews(struct(news));
    request.setPreview(preview);
    const response = await call<rpc.UpdateResponse>((done) => this.client.update(request, done));
    return { id: state.id, inputs: news, properties: props(response.getProperties()) };
  }

  async delete(type: string, name: string, state: State): Promise<void> {
    const request = new rpc.DeleteRequest();
    describe(request, type, name);
    request.setId(state.id);
    request.setProperties(struct(state.properties));
    request.setOldInputs(struct(state.inputs));
    await call<Empty>((done) => this.client.delete(request, done));
  }
}

/** A resource as the engine keeps it. */
export interface State {
  id: string;
  inputs: Props;
  properties: Props;
}

/** A resource through its life: what the engine does with it at each `up`, without a program and without a file. */
export class Life {
  state: State | undefined;
  /** Resources that were to be replaced and still wait for their deletion. */
  readonly pending: State[] = [];

  constructor(
    readonly plugin: Plugin,
    readonly type: string,
    readonly name: string,
    /** As the resource option of that name; the plugin's own wish where undefined. */
    readonly deleteBeforeReplace?: boolean,
  ) {}

  /** Check and Diff, as in a preview. */
  async plan(news: Props): Promise<{ inputs: Props; diff: Diff | undefined }> {
    const inputs = await this.plugin.check(this.type, this.name, this.state?.inputs ?? {}, news);
    const diff = this.state && (await this.plugin.diff(this.type, this.name, this.state, inputs));
    return { inputs, diff };
  }

  /** One `up`: creates, updates, replaces or leaves alone, and says which. */
  async up(news: Props): Promise<"create" | "update" | "replace" | "same"> {
    const { inputs, diff } = await this.plan(news);
    if (this.state === undefined) {
      await this.create(inputs);
      return "create";
    }
    if (diff === undefined || diff.changes === "DIFF_NONE") {
      this.state = { ...this.state, inputs };
      return "same";
    }
    if (diff.replaces.length === 0) {
      this.state = await this.plugin.update(this.type, this.name, this.state, inputs);
      return "update";
    }
    const old = this.state;
    const fresh = await this.plugin.check(this.type, this.name, {}, news);
    if (this.deleteBeforeReplace ?? diff.deleteBeforeReplace) {
      await this.plugin.delete(this.type, this.name, old);
      this.state = undefined;
      await this.create(fresh);
    } else {
      this.pending.push(old);
      await this.create(fresh);
      await this.settle();
    }
    return "replace";
  }

  /** Reads it, as a refresh does; undefined if it is gone. */
  async refresh(): Promise<State | undefined> {
    if (this.state === undefined) return undefined;
    this.state = await this.plugin.read(this.type, this.name, this.state);
    return this.state;
  }

  async destroy(): Promise<void> {
    await this.settle();
    if (this.state !== undefined) await this.plugin.delete(this.type, this.name, this.state);
    this.state = undefined;
  }

  private async create(inputs: Props): Promise<void> {
    try {
      this.state = await this.plugin.create(this.type, this.name, inputs);
    } catch (error) {
      if (error instanceof CallError && error.partial !== undefined)
        this.state = { ...error.partial, inputs };
      throw error;
    }
  }

  private async settle(): Promise<void> {
    for (let old = this.pending.pop(); old !== undefined; old = this.pending.pop()) {
      await this.plugin.delete(this.type, this.name, old);
    }
  }
}

async function configure(
  name: PluginName,
  client: ResourceProviderClient,
  config: Props,
): Promise<rpc.ConfigureResponse.AsObject> {
  const request = new rpc.ConfigureRequest();
  const variables = request.getVariablesMap();
  for (const [key, value] of Object.entries(config)) {
    variables.set(`${name}:config:${key}`, typeof value === "string" ? value : JSON.stringify(value));
  }
  request.setArgs(struct({ ...config, version: versions[name] }));
  request.setAcceptsecrets(true);
  request.setAcceptresources(true);
  request.setSendsOldInputs(true);
  request.setSendsOldInputsToDelete(true);
  return (await call<rpc.ConfigureResponse>((done) => client.configure(request, done))).toObject();
}

function providerUrn(name: PluginName): string {
  return `urn:pulumi:contract::test::pulumi:providers:${name}::default`;
}

/** The URN under which a resource of these tests is known. */
export function urnOf(type: string, name: string): string {
  return `urn:pulumi:contract::test::${type}::${name}`;
}

function describe(
  request: { setUrn(v: string): unknown; setName(v: string): unknown; setType(v: string): unknown },
  type: string,
  name: string,
): void {
  request.setUrn(urnOf(type, name));
  request.setName(name);
  request.setType(type);
}

function call<T>(start: (done: (error: grpc.ServiceError | null, value?: T) => void) => unknown): Promise<T> {
  return new Promise((resolve, reject) => {
    start((error, value) => {
      if (error === null) resolve(value as T);
      else reject(new CallError(error.details, error.code, partialOf(error)));
    });
  });
}

/** The state that comes along with an error, where a resource was made and did not come up. */
function partialOf(error: grpc.ServiceError): CallError["partial"] {
  const [packed] = error.metadata?.get("grpc-status-details-bin") ?? [];
  if (packed === undefined) return undefined;
  const status = Status.deserializeBinary(Buffer.from(packed));
  for (const detail of status.getDetailsList()) {
    if (detail.getTypeName() !== "pulumirpc.ErrorResourceInitFailed") continue;
    const failed = rpc.ErrorResourceInitFailed.deserializeBinary(detail.getValue_asU8());
    return {
      id: failed.getId(),
      properties: props(failed.getProperties()),
      reasons: failed.getReasonsList(),
    };
  }
  return undefined;
}

function diffOf(response: rpc.DiffResponse): Diff {
  const kinds = Object.fromEntries(Object.entries(rpc.PropertyDiff.Kind).map(([kind, code]) => [code, kind]));
  const changes = ["DIFF_UNKNOWN", "DIFF_NONE", "DIFF_SOME"] as const;
  const detailedDiff: Record<string, string> = {};
  response.getDetaileddiffMap().forEach((change, path) => {
    detailedDiff[path] = kinds[change.getKind()] ?? "";
  });
  return {
    changes: changes[response.getChanges()] ?? "DIFF_UNKNOWN",
    // The official plugins give them in random order.
    diffs: [...response.getDiffsList()].sort(),
    replaces: [...response.getReplacesList()].sort(),
    deleteBeforeReplace: response.getDeletebeforereplace(),
    hasDetailedDiff: response.getHasdetaileddiff(),
    detailedDiff,
  };
}

/** An engine that only listens to what plugins say. */
async function startEngine(log: LogLine[]): Promise<{ engine: grpc.Server; address: string }> {
  const engine = new grpc.Server();
  const names = {
    [LogSeverity.DEBUG]: "debug",
    [LogSeverity.INFO]: "info",
    [LogSeverity.WARNING]: "warning",
  };
  const none = (_: unknown, done: grpc.sendUnaryData<Empty>): void =>
    done({ code: grpc.status.UNIMPLEMENTED });
  engine.addService(EngineService, {
    log({ request }: { request: LogRequest }, done: grpc.sendUnaryData<Empty>): void {
      log.push({
        urn: request.getUrn(),
        severity: (names[request.getSeverity() as keyof typeof names] ?? "error") as LogLine["severity"],
        message: request.getMessage(),
        ephemeral: request.getEphemeral(),
      });
      done(null, new Empty());
    },
    getRootResource: none,
    setRootResource: none,
    startDebugging: none,
    requirePulumiVersion: none,
  });
  const port = await new Promise<number>((resolve, reject) => {
    engine.bindAsync("127.0.0.1:0", grpc.ServerCredentials.createInsecure(), (error, bound) => {
      if (error === null) resolve(bound);
      else reject(error);
    });
  });
  return { engine, address: `127.0.0.1:${port}` };
}

function firstLine(child: ChildProcessWithoutNullStreams): Promise<string> {
  return new Promise((resolve, reject) => {
    let stdout = "";
    let stderr = "";
    child.stderr.on("data", (chunk) => (stderr += chunk));
    child.stdout.on("data", (chunk) => {
      stdout += chunk;
      if (stdout.includes("\n")) resolve(stdout.split("\n", 1)[0] ?? "");
    });
    child.on("error", reject);
    child.on("exit", (code) =>
      reject(new Error(`the plugin ended with status ${code} before its port: ${stderr}`)),
    );
  });
}

function struct(value: Props): Struct {
  return Struct.fromJavaScript(value);
}

function props(value: Struct | undefined): Props {
  return (value?.toJavaScript() ?? {}) as Props;
}
