import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { aptInstall, debianMirrors, isDebianRoot, mirrorOf } from "../../../toolchain/apt";
import { ToolchainError } from "../../../toolchain/errors";
import type { Paths } from "../../../toolchain/paths";
import { run, which } from "../../../toolchain/run";
import { CA_BUNDLE, caChanges, type Engine, hostCaBundle, importFolder } from "./docker";

/** Paths that a slim image excludes, also from later installs. The official image has the same settings. */
const slim = [
  "/usr/share/doc",
  "/usr/share/man",
  "/usr/share/info",
  "/usr/share/locale",
  "/usr/share/lintian",
];

/** debian:bookworm-slim, created with debootstrap. */
export async function makeDebian(at: Paths, engine: Engine): Promise<void> {
  if (which("debootstrap").length === 0 || process.getuid?.() !== 0) {
    if (!isDebianRoot()) {
      throw new ToolchainError(
        "no registry of images can be reached, and the base images cannot be made here",
        "Let the Docker engine reach its registry, or run as root on Debian (it needs debootstrap).",
      );
    }
    await aptInstall(["debootstrap", "debian-archive-keyring"]);
  }
  const targets = await debianMirrors();
  const mirror = mirrorOf(targets, "bookworm", "http://deb.debian.org/debian");
  const security = mirrorOf(targets, "bookworm-security", "http://deb.debian.org/debian-security");
  const folder = mkdtempSync(join(at.tmp, "debootstrap-"));
  try {
    chmodSync(folder, 0o755);
    await run("debootstrap", ["--variant=minbase", "bookworm", folder, mirror], {
      what: "debootstrap bookworm",
      remedy: `Let this machine reach ${mirror}, then run again.`,
    });
    for (const [path, text] of Object.entries(files(mirror, security))) {
      mkdirSync(dirname(join(folder, path)), { recursive: true });
      writeFileSync(join(folder, path), text);
    }
    chmodSync(join(folder, "usr/sbin/policy-rc.d"), 0o755);
    const empty = ["./var/cache/apt", "./var/lib/apt/lists", "./var/log", "./dev", "./tmp", "./run"];
    const exclude = [
      ...empty.map((path) => `${path}/*`),
      ...slim.map((path) => `.${path}/*`),
      "./etc/resolv.conf",
      "./etc/hostname",
    ];
    await importFolder(engine, folder, "debian:bookworm-slim", ['CMD ["bash"]', ...caChanges], exclude);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function files(mirror: string, security: string): Record<string, string> {
  const bundle = hostCaBundle();
  return {
    "etc/apt/sources.list": [
      `deb ${mirror} bookworm main`,
      `deb ${mirror} bookworm-updates main`,
      `deb ${security} bookworm-security main`,
      "",
    ].join("\n"),
    "etc/apt/apt.conf.d/docker-clean": [
      'DPkg::Post-Invoke { "rm -f /var/cache/apt/archives/*.deb /var/cache/apt/*.bin || true"; };',
      'Dir::Cache::pkgcache ""; Dir::Cache::srcpkgcache "";',
      'Acquire::Languages "none"; Acquire::GzipIndexes "true";',
      'Apt::AutoRemove::SuggestsImportant "false";',
      "",
    ].join("\n"),
    "etc/dpkg/dpkg.cfg.d/docker": [...slim.map((path) => `path-exclude ${path}/*`), ""].join("\n"),
    "usr/sbin/policy-rc.d": "#!/bin/sh\nexit 101\n",
    [CA_BUNDLE.slice(1)]: bundle,
    // `apt-get install ca-certificates` in a build regenerates the bundle and includes this file.
    "usr/local/share/ca-certificates/host.crt": bundle,
  };
}
