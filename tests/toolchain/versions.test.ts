import { readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { describe, expect, it } from "@jest/globals";
import { plugins, versions } from "../../toolchain/versions";

const project = resolve(__dirname, "../..");
const read = (file: string) => readFileSync(join(project, file), "utf8");

describe("the versions agree", () => {
  const wanted = JSON.parse(read("package.json")).dependencies;

  it("of the CLI and its SDK", () => {
    expect(wanted["@pulumi/pulumi"]).toBe(versions.pulumi);
  });

  it.each(plugins)("of plugin $name and its SDK", ({ name, version }) => {
    expect(wanted[`@pulumi/${name}`]).toBe(version);
  });

  it("of Node, which node.js names too", () => {
    expect(read("toolchain/node.js")).toContain(`NODE_VERSION = "${versions.node}"`);
  });

  it.each([
    ["pulumi", `github.com/pulumi/pulumi/pkg/v3 v${versions.pulumi}`],
    ["language-host", `github.com/pulumi/pulumi/sdk/v3 v${versions.languageHost}`],
    ["caddy", `github.com/caddyserver/caddy/v2 v${versions.caddy}`],
  ])("of go/%s", (folder, required) => {
    expect(read(`toolchain/go/${folder}/go.mod`)).toContain(`require ${required}\n`);
  });
});
