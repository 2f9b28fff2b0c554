import { spawn } from "node:child_process";
import { createRequire } from "node:module";
import { join } from "node:path";
import { createInterface } from "node:readline";
import type * as grpc from "@grpc/grpc-js";
import type { PluginInfo } from "@pulumi/pulumi/proto/plugin_pb";
import { executable, type PluginName } from "../engine/plugins";
import { paths } from "./paths";
import type { ReportLine } from "./reportLine";

/** No engine listens on this address. A plugin that only reports its version does not connect to it. */
const NO_ENGINE = "127.0.0.1:1";
const PATIENCE_MS = 20_000;

/**
 * The version and origin that an installed plugin reports. Starts and queries the plugin, and ignores the last setup's
 * record.
 */
export async function pluginLine(name: PluginName, env: NodeJS.ProcessEnv): Promise<ReportLine> {
  const part = `plugin ${name}`;
  const where = executable(name, env);
  if (where === undefined) return { part, version: "", where: "", origin: "missing" };
  const child = spawn(where, [NO_ENGINE], { env, stdio: ["ignore", "pipe", "pipe"] });
  let said = "";
  child.stderr.on("data", (chunk) => {
    said += chunk;
  });
  const timer = setTimeout(() => child.kill("SIGKILL"), PATIENCE_MS);
  try {
    const port = await new Promise<string>((resolve, reject) => {
      createInterface({ input: child.stdout }).once("line", resolve);
      child.once("error", reject);
      child.once("close", () => reject(new Error(said.trim() || "it ended without a word")));
    });
    const version = await askVersion(port);
    const isStandIn = said.includes("stand-in for the official Pulumi plugin");
    return { part, version, where, origin: isStandIn ? "stand-in" : "official" };
  } catch (cause) {
    return { part, version: "", where, origin: `broken: ${(cause as Error).message.split("\n")[0]}` };
  } finally {
    clearTimeout(timer);
    child.kill("SIGKILL");
  }
}

async function askVersion(port: string): Promise<string> {
  // The SDK's client only accepts credentials of the gRPC copy that it has loaded itself, not those of a bundle.
  const load = createRequire(join(paths().root, "package.json"));
  const { credentials } = load("@grpc/grpc-js") as typeof grpc;
  const { ResourceProviderClient } = load(
    "@pulumi/pulumi/proto/provider_grpc_pb",
  ) as typeof import("@pulumi/pulumi/proto/provider_grpc_pb");
  const { Empty } = load(
    "google-protobuf/google/protobuf/empty_pb",
  ) as typeof import("google-protobuf/google/protobuf/empty_pb");
  const client = new ResourceProviderClient(`127.0.0.1:${port}`, credentials.createInsecure());
  try {
    return await new Promise((resolve, reject) => {
      client.getPluginInfo(new Empty(), (error: grpc.ServiceError | null, info?: PluginInfo) =>
        error ? reject(error) : resolve((info?.getVersion() ?? "").replace(/^v/, "")),
      );
    });
  } finally {
    client.close();
  }
}
