import { commit, type Engine } from "./docker";

// The official image has its Python below /usr/local, and pip can install there. Debian's pip can too once
// EXTERNALLY-MANAGED is removed. Its folder is dist-packages. The link lets a COPY --from of site-packages find it.
const script = `
apt-get update
apt-get install -y --no-install-recommends python3 python3-pip python3-venv
rm -rf /var/lib/apt/lists/* /var/log/* /var/cache/debconf/*-old
rm -f /usr/lib/python3.11/EXTERNALLY-MANAGED
for name in python python3 python3.11; do ln -sf /usr/bin/python3.11 /usr/local/bin/$name; done
for name in pip pip3; do ln -sf /usr/bin/pip3 /usr/local/bin/$name; done
mkdir -p /usr/local/lib/python3.11/dist-packages
ln -sfn dist-packages /usr/local/lib/python3.11/site-packages
python --version && pip --version
`;

/** python:3.11-slim-bookworm, with Debian's own Python. */
export async function makePython(engine: Engine): Promise<void> {
  await commit(engine, {
    from: "debian:bookworm-slim",
    to: "python:3.11-slim-bookworm",
    script,
    // Apps read PYTHON_VERSION, which the official image sets.
    changes: ["ENV LANG=C.UTF-8 PIP_ROOT_USER_ACTION=ignore PYTHON_VERSION=3.11.2", 'CMD ["python3"]'],
  });
}
