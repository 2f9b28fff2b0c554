import { chmodSync, cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { goBuild } from "../../../toolchain/go";
import type { Paths } from "../../../toolchain/paths";
import { isExecutable, tryRun } from "../../../toolchain/run";
import { versions } from "../../../toolchain/versions";
import { commit, type Engine } from "./docker";

/** The default configuration, as in the official image. */
const caddyfile = ":80 {\n\troot * /usr/share/caddy\n\tfile_server\n}\n";

/**
 * The Caddy binary for the edge, built once and cached. Does not use a Caddy of the user, which may have other modules.
 */
export async function caddyBinary(at: Paths, note: (text: string) => void): Promise<string> {
  const output = join(at.toolchain, "caddy", "caddy");
  if (isExecutable(output) && (await tryRun(output, ["version"])).stdout.startsWith(`v${versions.caddy}`)) {
    return output;
  }
  await goBuild(
    at,
    {
      folder: "caddy",
      package: "github.com/caddyserver/caddy/v2/cmd/caddy",
      output,
      program: `caddy ${versions.caddy}`,
      ldflags: `-X github.com/caddyserver/caddy/v2.CustomVersion=v${versions.caddy}`,
    },
    note,
  );
  return output;
}

// wget comes from Debian's dynamically linked busybox. A static busybox crashes when it resolves a name.
const script = `
apt-get update
apt-get install -y --no-install-recommends busybox
rm -rf /var/lib/apt/lists/* /var/log/* /var/cache/debconf/*-old
ln -sf /bin/busybox /usr/local/bin/wget
mkdir -p /config/caddy /data/caddy /srv
caddy version
`;

/** caddy:2.11: the binary on Debian, with a shell and wget, which the official Alpine image also has. */
export async function makeCaddy(at: Paths, engine: Engine, binary: string): Promise<void> {
  const folder = mkdtempSync(join(at.tmp, "caddy-"));
  try {
    chmodSync(folder, 0o755);
    mkdirSync(join(folder, "usr/bin"), { recursive: true });
    cpSync(binary, join(folder, "usr/bin/caddy"));
    for (const [path, text] of Object.entries(files())) {
      mkdirSync(dirname(join(folder, path)), { recursive: true });
      writeFileSync(join(folder, path), text);
    }
    await commit(engine, {
      from: "debian:bookworm-slim",
      to: "caddy:2.11",
      script,
      files: folder,
      changes: [
        `ENV CADDY_VERSION=v${versions.caddy} XDG_CONFIG_HOME=/config XDG_DATA_HOME=/data`,
        "EXPOSE 80 443 443/udp 2019",
        "WORKDIR /srv",
        'CMD ["caddy","run","--config","/etc/caddy/Caddyfile","--adapter","caddyfile"]',
      ],
    });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function files(): Record<string, string> {
  return {
    "etc/caddy/Caddyfile": caddyfile,
    "usr/share/caddy/index.html": "<!doctype html><title>Caddy works</title><p>Caddy works.</p>\n",
  };
}
