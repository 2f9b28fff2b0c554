/** docker.Image. As in the official plugin, read does not query the engine, and delete does not remove the image. */

import { stat } from "node:fs/promises";
import { isAbsolute, join, posix, relative, resolve } from "node:path";
import type { Changes } from "../diff";
import type { Log } from "../engine-log";
import { run } from "../process";
import type { CheckReply, Resource } from "../serve";
import {
  equal,
  hasUnknown,
  isObject,
  type Props,
  revealProps,
  secret,
  text,
  textMap,
  texts,
  tidyProps,
} from "../values";
import { api } from "./api";
import { type BuildSpec, buildImage } from "./build";
import { dockerEnvironment } from "./cli";
import { contextDigest } from "./context-digest";

const inputKeys = ["build", "buildOnPreview", "imageName", "registry", "skipPush"];
const buildKeys = [
  "args",
  "builderVersion",
  "cacheFrom",
  "context",
  "contextDigest",
  "dockerfile",
  "platform",
  "target",
];

export const image: Resource = {
  check: async ({ news, log }) => check(tidyProps(news), log),

  async diff({ olds, oldInputs, news }) {
    const before = tidyProps(revealProps(isObject(olds.__inputs) ? { ...olds.__inputs } : oldInputs));
    const after = tidyProps(news);
    const changes: Changes = {};
    for (const key of new Set([...Object.keys(before), ...Object.keys(after)])) {
      // One key for all of `build`, whichever part differs.
      if (before[key] === undefined) changes[key] = "ADD";
      else if (after[key] === undefined) changes[key] = "DELETE";
      else if (!equal(before[key], after[key])) changes[key] = "UPDATE";
    }
    return { changes, detailed: Object.keys(changes).length > 0, named: false };
  },

  async create({ news, preview, log }) {
    if (preview && !buildsInPreview(news)) return { id: "", properties: news };
    const properties = await built(news, log);
    return { id: String(properties.imageName), properties };
  },

  read: async ({ id, properties, inputs }) => ({ id, properties, inputs }),

  update: async ({ news, preview, log }) => (preview && !buildsInPreview(news) ? news : built(news, log)),

  delete: async () => undefined,
};

async function check(news: Props, log: Log): Promise<CheckReply> {
  const build = isObject(news.build) ? news.build : {};
  const reason = "the stand-in for the plugin docker does not support this input";
  const failures = [
    ...Object.keys(news).filter((key) => !inputKeys.includes(key)),
    ...Object.keys(build)
      .filter((key) => !buildKeys.includes(key))
      .map((key) => `build.${key}`),
    ...["username", "password"]
      .filter((key) => isObject(news.registry) && key in news.registry)
      .map((key) => `registry.${key}`),
  ].map((property) => ({ property, reason }));
  if (failures.length > 0) return { inputs: news, failures };

  if (isObject(build.cacheFrom) && build.cacheFrom.images === undefined) {
    throw new Error("if you want to use cacheFrom, you must have `images` set");
  }
  const context = build.context ?? ".";
  const dockerfile =
    build.dockerfile ?? (hasUnknown(context) ? context : posix.join(String(context), "Dockerfile"));
  const inputs: Props = { ...news, build: { ...build, context, dockerfile } };
  // Unknown paths cannot be checked or hashed.
  if (hasUnknown(context) || hasUnknown(dockerfile)) return { inputs };
  await requireDockerfile(String(context), String(dockerfile));
  const digest = await contextDigest(String(context), String(dockerfile));
  if (build.platform === undefined) {
    const platform = `linux/${process.arch === "x64" ? "amd64" : process.arch}`;
    log.line(
      "warning",
      `Building your image for ${platform} architecture.\nTo ensure you are building for the correct platform, ` +
        "consider explicitly setting the `platform` field on ImageBuildOptions.",
    );
    build.platform = platform;
  }
  return { inputs: { ...news, build: { ...build, context, dockerfile, contextDigest: digest } } };
}

async function requireDockerfile(context: string, dockerfile: string): Promise<void> {
  if (await exists(dockerfile)) return;
  const missing = `stat ${dockerfile}: no such file or directory`;
  if (isAbsolute(dockerfile))
    throw new Error(`could not open dockerfile at absolute path "${dockerfile}": ${missing}`);
  const inContext = join(context, dockerfile);
  if (await exists(inContext)) {
    throw new Error(
      `could not open dockerfile at relative path "${dockerfile}". Try setting \`dockerfile\` to "${inContext}"`,
    );
  }
  throw new Error(`could not open dockerfile at relative path "${dockerfile}": ${missing}`);
}

async function exists(file: string): Promise<boolean> {
  return stat(file).then(
    () => true,
    () => false,
  );
}

function buildsInPreview(news: Props): boolean {
  return news.buildOnPreview === true && !hasUnknown(news);
}

/** Builds, pushes if requested, and returns the outputs. */
async function built(news: Props, log: Log): Promise<Props> {
  const inputs = tidyProps(revealProps(news));
  const spec = specOf(inputs);
  const id = await buildImage(spec, log);
  const repoDigest = inputs.skipPush === true ? id : await push(spec.imageName, log);
  return {
    __inputs: secret(news),
    baseImageName: spec.imageName,
    context: spec.context,
    dockerfile: relative(resolve(spec.context), resolve(spec.dockerfile)),
    imageName: spec.imageName,
    ...(spec.platform === undefined ? {} : { platform: spec.platform }),
    registryServer: isObject(inputs.registry) ? (text(inputs.registry.server) ?? "") : "",
    repoDigest,
  };
}

function specOf(inputs: Props): BuildSpec {
  const imageName = text(inputs.imageName);
  if (imageName === undefined) throw new Error("imageName: should be a string");
  const build = isObject(inputs.build) ? inputs.build : {};
  const context = text(build.context) ?? ".";
  const version = text(build.builderVersion) ?? "BuilderBuildKit";
  if (version !== "BuilderBuildKit" && version !== "BuilderV1")
    throw new Error("invalid Docker Builder version");
  return {
    imageName,
    context,
    dockerfile: text(build.dockerfile) ?? posix.join(context, "Dockerfile"),
    args: textMap(build.args),
    target: text(build.target),
    platform: text(build.platform),
    cacheFrom: isObject(build.cacheFrom) ? texts(build.cacheFrom.images) : [],
    legacy: version === "BuilderV1",
  };
}

async function push(imageName: string, log: Log): Promise<string> {
  log.status("Pushing Image to the registry");
  const result = await run("docker", ["push", imageName], { env: dockerEnvironment() });
  if (result.code !== 0) throw new Error(`error pushing image: ${result.stderr.trim()}`);
  const found = await api<{ RepoDigests: string[] }>("GET", `/images/${encodeURIComponent(imageName)}/json`);
  return found.RepoDigests[0] ?? "";
}
