import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import * as grpc from "@grpc/grpc-js";
import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import { type Inputs, RULES, type Settings } from "../../packages/policy/rules";

const { AnalyzerClient } = require("@pulumi/pulumi/proto/analyzer_grpc_pb");
const { AnalyzeRequest, AnalyzerResourceOptions } = require("@pulumi/pulumi/proto/analyzer_pb");
const { Struct } = require("google-protobuf/google/protobuf/struct_pb");

const IMAGE = "docker:index/image:Image";
const REMOTE_IMAGE = "docker:index/remoteImage:RemoteImage";
const CONTAINER = "docker:index/container:Container";
const SERVICE = "docker:index/service:Service";
const COMMAND = "command:remote:Command";
const DIGEST = `sha256:${"a".repeat(64)}`;

/** A secret as it comes to a provider. */
const secret = (value: unknown) => ({
  "4dabf18193072939515e22adb298388d": "1b47061264138c4ac30d75fd1eb44270",
  value,
});

/** What each rule says of a resource: `rule: problem`. */
function problems(type: string, inputs: Inputs, settings?: Settings): string[] {
  return RULES.flatMap(({ name, problems }) =>
    problems(type, "web", inputs, settings).map((problem) => `${name}: ${problem}`),
  );
}

const build = (more: Inputs) => ({ imageName: "web:1", build: { context: "web", ...more } });
const container = (more: Inputs) => ({ image: DIGEST, ...more });
const service = (containerSpec: Inputs) => ({
  taskSpec: { containerSpec: { image: DIGEST, ...containerSpec } },
});
const remote = (connection: unknown) => ({ create: "true", connection });

describe("a policy refuses", () => {
  it.each<[string, string, Inputs, string]>([
    ["cacheFrom", IMAGE, build({ cacheFrom: { images: ["web:latest"] } }), "no-build-cache: build.cacheFrom"],
    ["cacheFrom of the earlier form", IMAGE, build({ cacheFrom: true }), "no-build-cache: build.cacheFrom"],
    [
      "cacheFroms of a docker.RemoteImage",
      REMOTE_IMAGE,
      { name: "web", build: { context: "web", cacheFroms: ["web:latest"] } },
      "no-build-cache: build.cacheFroms",
    ],
    [
      "an inline cache",
      IMAGE,
      build({ args: { BUILDKIT_INLINE_CACHE: "1" } }),
      "no-build-cache: build arg BUILDKIT_INLINE_CACHE=1: an inline cache",
    ],
    [
      "an inline cache among secret args",
      IMAGE,
      build({ args: secret({ BUILDKIT_INLINE_CACHE: "1" }) }),
      "no-build-cache: build arg BUILDKIT_INLINE_CACHE=1: an inline cache",
    ],
    ["an image by its tag", CONTAINER, { image: "web:latest" }, 'image-by-digest: image is "web:latest"'],
    ["an image by its name", CONTAINER, { image: "web" }, 'image-by-digest: image is "web"'],
    ["half a digest", CONTAINER, { image: "sha256:abc" }, 'image-by-digest: image is "sha256:abc"'],
    [
      "a service's image by its tag",
      SERVICE,
      service({ image: "web:1" }),
      'image-by-digest: image is "web:1"',
    ],
    [
      "a server that any other can pose as",
      COMMAND,
      remote({ host: "server" }),
      "pinned-host-key: connection.hostKey is missing, so that any server is taken for server",
    ],
    [
      "the same in a secret connection",
      COMMAND,
      remote(secret({ host: "server", privateKey: "K", hostKey: "" })),
      "pinned-host-key: connection.hostKey is missing",
    ],
    [
      "the same for files that are copied",
      "command:remote:CopyToRemote",
      { connection: { host: "server" } },
      "pinned-host-key: connection.hostKey is missing",
    ],
    [
      "a proxy on the way",
      COMMAND,
      remote({ host: "server", hostKey: "ssh-ed25519 AAAA", proxy: { host: "hop" } }),
      "pinned-host-key: connection.proxy.hostKey is missing, so that any server is taken for hop",
    ],
    ...["DB_PASSWORD", "SECRET", "session_secret", "GITHUB_TOKEN", "API_KEY", "APIKEY", "KEY"].map(
      (name): [string, string, Inputs, string] => [
        `the plain variable ${name}`,
        CONTAINER,
        container({ envs: ["A=1", `${name}=abc=def`] }),
        `no-plain-secret: environment variable ${name} stands in plain text`,
      ],
    ),
    [
      "a service's plain secret",
      SERVICE,
      service({ env: { TOKEN: "abc" } }),
      "no-plain-secret: environment variable TOKEN",
    ],
    [
      "a build arg",
      IMAGE,
      build({ args: { NPM_TOKEN: "abc" } }),
      "no-plain-secret: build arg NPM_TOKEN is kept",
    ],
    [
      "an address with a password in it",
      CONTAINER,
      container({ envs: ["DATABASE_URL=postgres://app:abc@db:5432/app"] }),
      "no-plain-secret: environment variable DATABASE_URL",
    ],
    [
      "a build arg though it is a secret of the program, for the image's history keeps it",
      IMAGE,
      build({ args: { NPM_TOKEN: secret("abc") } }),
      "no-plain-secret: build arg NPM_TOKEN is kept",
    ],
  ])("%s", (_, type, inputs, expected) => {
    expect(problems(type, inputs)).toEqual([expect.stringContaining(expected)]);
  });

  it("without repeating the secret", () => {
    const found = problems(CONTAINER, container({ envs: ["TOKEN=t0ps3cret"] }));
    expect(found).toHaveLength(1);
    expect(found.join()).not.toContain("t0ps3cret");
  });
});

describe("a policy lets pass", () => {
  it.each<[string, string, Inputs]>([
    ["a build without caches", IMAGE, build({ args: { GIT_COMMIT_HASH: "abc", NODE_OPTIONS: "x" } })],
    ["an empty cacheFrom", IMAGE, build({ cacheFrom: { images: [] } })],
    ["a docker.RemoteImage that is pulled", REMOTE_IMAGE, { name: "postgres@sha256:1" }],
    ["an image by its id", CONTAINER, container({})],
    ["an image by name and digest", CONTAINER, { image: `registry.example.org:5000/web:1@${DIGEST}` }],
    ["a service's image by digest", SERVICE, service({ env: { MODE: "x" } })],
    ["a server with its host key", COMMAND, remote({ host: "server", hostKey: "ssh-ed25519 AAAA" })],
    ["the same as a secret", COMMAND, remote(secret({ host: "server", hostKey: "ssh-ed25519 AAAA" }))],
    ["a command on this machine", "command:local:Command", { create: "true" }],
    ["a secret variable", CONTAINER, container({ envs: [secret("DB_PASSWORD=abc"), "A=1"] })],
    ["variables that are secret together", CONTAINER, container({ envs: secret(["DB_PASSWORD=abc"]) })],
    ["a service's secret variables", SERVICE, service({ env: secret({ TOKEN: "abc" }) })],
    ["one secret variable of a service", SERVICE, service({ env: { TOKEN: secret("abc") } })],
    ["a secret's place", CONTAINER, container({ envs: ["POSTGRES_PASSWORD_FILE=/run/secrets/db"] })],
    ["an address without one", CONTAINER, container({ envs: ["DATABASE_URL=postgres://app@db:5432/app"] })],
    ["an empty variable", CONTAINER, container({ envs: ["TOKEN="] })],
    [
      "names that only look alike",
      CONTAINER,
      container({ envs: ["MONKEY=1", "KEYBOARD=de", "PUBLIC_KEY=x"] }),
    ],
    [
      "other resources",
      "docker:index/network:Network",
      { name: "web", image: "web:latest", envs: ["TOKEN=a"] },
    ],
  ])("%s", (_, type, inputs) => {
    expect(problems(type, inputs)).toEqual([]);
  });

  it("the variables that its configuration names", () => {
    const inputs = container({ envs: ["SORT_KEY=name"] });
    expect(problems(CONTAINER, inputs)).toHaveLength(1);
    expect(problems(CONTAINER, inputs, { variables: ["SORT_KEY"] })).toEqual([]);
  });

  it("the images that its configuration names", () => {
    expect(problems(CONTAINER, { image: "caddy:2.11" }, { images: ["caddy:2.11"] })).toEqual([]);
    expect(problems(CONTAINER, { image: "caddy:2" }, { images: ["caddy:2.11"] })).toHaveLength(1);
  });
});

/** As the CLI speaks to it. */
describe("the policy pack", () => {
  let pack: ChildProcess;
  // biome-ignore lint/suspicious/noExplicitAny: the SDK's generated client has no types
  let client: any;

  beforeAll(async () => {
    const index = join(__dirname, "..", "..", "packages", "policy", "index.js");
    pack = spawn(process.execPath, [index], { stdio: ["ignore", "pipe", "inherit"] });
    const [port] = await once(pack.stdout!, "data");
    client = new AnalyzerClient(`127.0.0.1:${String(port).trim()}`, grpc.credentials.createInsecure());
  });
  afterAll(() => {
    client?.close();
    pack?.kill();
  });

  async function analyze(type: string, inputs: Inputs): Promise<string[]> {
    const request = new AnalyzeRequest();
    request.setType(type);
    request.setName("web");
    request.setUrn(`urn:pulumi:dev::app::${type}::web`);
    request.setOptions(new AnalyzerResourceOptions());
    request.setProperties(Struct.fromJavaScript(inputs));
    const response = await new Promise<{
      getDiagnosticsList(): { getPolicyname(): string; getMessage(): string }[];
    }>((resolve, reject) =>
      client.analyze(request, (error: Error | null, found: never) =>
        error ? reject(error) : resolve(found),
      ),
    );
    return response.getDiagnosticsList().map((each) => `${each.getPolicyname()}: ${each.getMessage()}`);
  }

  it("distinguishes a secret from plain text, and reports all problems at once", async () => {
    expect(await analyze(CONTAINER, container({ envs: secret(["TOKEN=abc"]) }))).toEqual([]);
    expect(await analyze(CONTAINER, { image: "web:latest", envs: ["TOKEN=abc"] })).toEqual([
      expect.stringMatching(/image-by-digest: .*\n?.*image is "web:latest"/),
      expect.stringMatching(/no-plain-secret: .*\n?.*environment variable TOKEN/),
    ]);
  });

  it("does not judge values that a preview cannot know", async () => {
    const unknown = "04da6b54-80e4-46f7-96ec-b56ff0331ba9";
    expect(await analyze(CONTAINER, { image: unknown })).toEqual([
      expect.stringContaining("can't run policy 'image-by-digest'"),
    ]);
  });
});
