import { describe, expect, it } from "@jest/globals";
import { DEPLOY_JOB, type Lines, NODE_APP, risksIn } from "../../support/doctorCases";

describe("packages/doctor/scripts.ts", () => {
  it.each<[string, Lines, string[]]>([
    [
      "compose build arg inline in script",
      {
        ...NODE_APP,
        "deploy.sh": [
          "#!/bin/bash",
          "set -euo pipefail",
          "docker compose build --build-arg BUILDKIT_INLINE_CACHE=1",
          "docker compose up -d",
        ],
      },
      ["deploy.sh:3 error inline-cache"],
    ],
    [
      "build without set -e then up",
      {
        ...NODE_APP,
        "compose.yaml": ["services:", "  web:", "    build: ."],
        "deploy.sh": [
          "#!/bin/bash",
          "cd /srv",
          "git pull || exit 1",
          "docker compose build",
          "docker compose up -d",
        ],
      },
      ["deploy.sh:4 warning build-failure-swallowed"],
    ],
    [
      "docker build ; run old",
      {
        ...NODE_APP,
        "deploy.sh": [
          "#!/bin/bash",
          "docker build -t app .",
          "docker rm -f app",
          "docker run -d --name app -p 80:80 app",
        ],
      },
      [],
    ],
    [
      "service update --force w/o image",
      {
        ...NODE_APP,
        "deploy.sh": [
          "#!/bin/bash",
          "set -euo pipefail",
          "docker build -t me/app:latest .",
          "docker push me/app:latest",
          "docker service update --force app_web",
        ],
      },
      ["deploy.sh:5 warning restart-keeps-image"],
    ],
    [
      "podman-compose",
      {
        ...NODE_APP,
        "compose.yaml": ["services:", "  web:", "    build: ."],
        "deploy.sh": ["#!/bin/bash", "set -euo pipefail", "git pull", "podman-compose up -d"],
      },
      ["deploy.sh:4 error up-without-build"],
    ],
    [
      "docker run -v over app",
      {
        ...NODE_APP,
        "deploy.sh": [
          "#!/bin/bash",
          "set -euo pipefail",
          "docker build -t app .",
          "docker rm -f app",
          "docker run -d --name app -v node_modules:/app/node_modules -p 80:80 app",
        ],
      },
      ["deploy.sh:5 warning volume-over-image"],
    ],
    [
      "s3 cache-control all",
      {
        ...NODE_APP,
        ".github/workflows/deploy.yml": [
          ...DEPLOY_JOB,
          "      - run: npm run build",
          "      - run: aws s3 sync dist s3://b --delete --cache-control max-age=31536000",
        ],
      },
      [".github/workflows/deploy.yml:7 warning pages-cached"],
    ],
    [
      "gsutil",
      {
        ...NODE_APP,
        ".github/workflows/deploy.yml": [
          ...DEPLOY_JOB,
          '      - run: gsutil -h "Cache-Control:public, max-age=31536000" -m rsync -r -d dist gs://b',
        ],
      },
      [".github/workflows/deploy.yml:6 warning pages-cached"],
    ],
    [
      "continue-on-error build",
      {
        ...NODE_APP,
        ".github/workflows/deploy.yml": [
          ...DEPLOY_JOB,
          "      - run: docker build -t me/app:latest .",
          "        continue-on-error: true",
          "      - run: ssh h 'docker compose up -d'",
        ],
      },
      [".github/workflows/deploy.yml:6 warning build-failure-swallowed"],
    ],
    [
      "compose start after pull",
      {
        ...NODE_APP,
        "compose.yaml": ["services:", "  web:", "    build: ."],
        "deploy.sh": [
          "#!/bin/bash",
          "set -euo pipefail",
          "git pull",
          "docker compose stop",
          "docker compose start",
        ],
      },
      ["deploy.sh:5 error restart-keeps-image"],
    ],
    [
      "down up no build",
      {
        ...NODE_APP,
        "compose.yaml": ["services:", "  web:", "    build: ."],
        "deploy.sh": [
          "#!/bin/bash",
          "set -euo pipefail",
          "git pull",
          "docker compose down",
          "docker compose up -d",
        ],
      },
      ["deploy.sh:5 error up-without-build"],
    ],
    [
      "up in other file with image build",
      {
        ...NODE_APP,
        "docker/prod.yaml": ["services:", "  web:", "    build: .."],
        "deploy.sh": [
          "#!/bin/bash",
          "set -euo pipefail",
          "git pull",
          "docker compose -f docker/prod.yaml up -d",
        ],
      },
      ["deploy.sh:4 error up-without-build"],
    ],
    [
      "reset hard",
      {
        ...NODE_APP,
        "compose.yaml": ["services:", "  web:", "    build: ."],
        "deploy.sh": [
          "#!/bin/bash",
          "set -euo pipefail",
          "git fetch origin",
          "git reset --hard origin/main",
          "docker compose up -d",
        ],
      },
      ["deploy.sh:5 error up-without-build"],
    ],
    [
      "docker save/load scp w/o -e",
      {
        ...NODE_APP,
        "deploy.sh": [
          "#!/bin/bash",
          "docker build -t app .",
          "docker save app | ssh h docker load",
          "ssh h docker restart app",
        ],
      },
      ["deploy.sh:4 error restart-keeps-image"],
    ],
    [
      "compose pull, which gets nothing for a service without an image",
      {
        ...NODE_APP,
        "compose.yaml": ["services:", "  web:", "    build: ."],
        "deploy.sh": [
          "set -e",
          "git pull",
          "docker compose down",
          "docker compose pull",
          "docker compose up -d",
        ],
      },
      ["deploy.sh:5 error up-without-build"],
    ],
    [
      "one finding for the commands that get the sources without set -e",
      {
        ...NODE_APP,
        "compose.yaml": ["services:", "  web:", "    build: ."],
        "deploy.sh": ["git reset --hard HEAD", "git fetch", "git pull", "docker compose up -d --build"],
      },
      ["deploy.sh:3 warning pull-swallowed"],
    ],
    [
      "each explicit swallow of a pull",
      {
        ...NODE_APP,
        "compose.yaml": ["services:", "  web:", "    build: ."],
        "deploy.sh": [
          "set -e",
          "git reset --hard origin/main || true",
          "git pull || true",
          "docker compose up -d --build",
        ],
      },
      ["deploy.sh:2 error pull-swallowed", "deploy.sh:3 error pull-swallowed"],
    ],
    [
      "swallowed prune of everything before a build",
      {
        ...NODE_APP,
        Makefile: ["deploy:", "\tdocker system prune --all -f || true", "\tdocker build -t app ."],
      },
      ["Makefile:2 error prune-swallowed"],
    ],
    [
      "failed pull of one's own moving image without set -e",
      {
        ...NODE_APP,
        "build.sh": [
          "set -e",
          "docker build -t ghcr.io/me/app:latest .",
          "docker push ghcr.io/me/app:latest",
        ],
        "compose.yaml": ["services:", "  web:", "    image: ghcr.io/me/app:latest"],
        "deploy.sh": ["docker compose pull", "docker compose up -d"],
      },
      ["deploy.sh:1 warning image-not-pulled"],
    ],
    [
      "sources that are copied to a server and not built",
      {
        ...NODE_APP,
        "compose.yaml": ["services:", "  web:", "    build: ."],
        "deploy.sh": [
          "set -e",
          "rsync -az ./ me@host:/srv/app/",
          "ssh me@host 'cd /srv/app && docker compose up -d'",
        ],
      },
      ["deploy.sh:3 error up-without-build"],
    ],
    [
      "build that is tried twice without set -e",
      {
        ...NODE_APP,
        "compose.yaml": ["services:", "  web:", "    build: ."],
        "deploy.sh": [
          "git pull || exit 1",
          "if ! docker compose build; then",
          "  docker compose build",
          "fi",
          "docker compose up -d",
        ],
      },
      ["deploy.sh:2 error build-failure-swallowed", "deploy.sh:3 warning build-failure-swallowed"],
    ],
  ])("reports: %s", (_, files, expected) => {
    expect(risksIn(files)).toEqual(expected);
  });

  it.each<[string, Lines]>([
    [
      "no-cache=true",
      {
        ...NODE_APP,
        "deploy.sh": [
          "#!/bin/bash",
          "set -euo pipefail",
          "docker buildx build --no-cache=true --cache-from me/app -t me/app .",
        ],
      },
    ],
    [
      "compose build --no-cache w/ cache_from",
      {
        ...NODE_APP,
        "compose.yaml": [
          "services:",
          "  web:",
          "    build:",
          "      context: .",
          "      cache_from: [me/app]",
        ],
        "deploy.sh": [
          "#!/bin/bash",
          "set -euo pipefail",
          "docker compose build --no-cache",
          "docker compose up -d",
        ],
      },
    ],
    [
      "image prune after up",
      {
        ...NODE_APP,
        "compose.yaml": ["services:", "  web:", "    build: ."],
        "deploy.sh": [
          "#!/bin/bash",
          "set -euo pipefail",
          "git pull",
          "docker compose build --pull",
          "docker compose up -d",
          "docker image prune -f || true",
          "docker system prune -af || true",
        ],
      },
    ],
    [
      "fetch tags or true",
      {
        ...NODE_APP,
        "compose.yaml": ["services:", "  web:", "    build: ."],
        "deploy.sh": [
          "#!/bin/bash",
          "set -euo pipefail",
          "git fetch --tags || true",
          "git pull --ff-only",
          "docker compose up -d --build",
        ],
      },
    ],
    [
      "pull or exit",
      {
        ...NODE_APP,
        "compose.yaml": ["services:", "  web:", "    build: ."],
        "deploy.sh": ["#!/bin/bash", "git pull || exit 1", "docker compose up -d --build || exit 1"],
      },
    ],
    [
      "if ! pull",
      {
        ...NODE_APP,
        "compose.yaml": ["services:", "  web:", "    build: ."],
        "deploy.sh": [
          "#!/bin/bash",
          "if ! git pull; then",
          "  echo failed >&2",
          "  exit 1",
          "fi",
          "docker compose build && docker compose up -d",
        ],
      },
    ],
    [
      "pull || die()",
      {
        ...NODE_APP,
        "compose.yaml": ["services:", "  web:", "    build: ."],
        "deploy.sh": [
          "#!/bin/bash",
          'die() { echo "$1" >&2; exit 1; }',
          "git pull || die 'no pull'",
          "docker compose up -d --build || die 'no up'",
        ],
      },
    ],
    [
      "trap ERR",
      {
        ...NODE_APP,
        "compose.yaml": ["services:", "  web:", "    build: ."],
        "deploy.sh": ["#!/bin/bash", "set -o errexit", "git pull", "docker compose up -d --build"],
      },
    ],
    [
      "restart of another service",
      {
        ...NODE_APP,
        "compose.yaml": ["services:", "  web:", "    build: .", "  nginx:", "    image: nginx:1.27"],
        "deploy.sh": [
          "#!/bin/bash",
          "set -euo pipefail",
          "git pull",
          "docker compose up -d --build web",
          "docker compose restart nginx",
        ],
      },
    ],
    [
      "nginx reload/restart before",
      {
        ...NODE_APP,
        "compose.yaml": ["services:", "  web:", "    build: .", "  nginx:", "    image: nginx:1.27"],
        "deploy.sh": ["#!/bin/bash", "set -euo pipefail", "git pull", "docker compose restart nginx"],
      },
    ],
    [
      "up -d db then build",
      {
        ...NODE_APP,
        "compose.yaml": ["services:", "  web:", "    build: .", "  db:", "    image: postgres:16"],
        "deploy.sh": [
          "#!/bin/bash",
          "set -euo pipefail",
          "git pull",
          "docker compose up -d db",
          "docker compose build",
          "docker compose up -d",
        ],
      },
    ],
    [
      "rsync --delete",
      {
        ...NODE_APP,
        ".github/workflows/deploy.yml": [
          ...DEPLOY_JOB,
          "      - run: npm run build",
          "      - run: rsync -az --delete dist/ me@host:/srv",
        ],
      },
    ],
    [
      "s3 sync delete assets cached",
      {
        ...NODE_APP,
        ".github/workflows/deploy.yml": [
          ...DEPLOY_JOB,
          "      - run: npm ci && npm run build",
          "      - run: aws s3 sync dist s3://b --delete --exclude index.html --cache-control max-age=31536000",
          "      - run: aws s3 cp dist/index.html s3://b/index.html --cache-control no-cache",
        ],
      },
    ],
    [
      "watchtower label / compose update script",
      {
        ...NODE_APP,
        "compose.yaml": ["services:", "  web:", "    image: ghcr.io/me/app:latest"],
        "update.sh": ["#!/bin/sh", "set -e", "docker compose pull", "docker compose up -d"],
      },
    ],
    [
      "release script builds and pushes latest",
      {
        ...NODE_APP,
        "release.sh": [
          "#!/bin/sh",
          "set -e",
          "docker build -t ghcr.io/me/app:latest .",
          "docker push ghcr.io/me/app:latest",
        ],
      },
    ],
    [
      "restart of a service whose code is mounted, after a build",
      {
        ...NODE_APP,
        "compose.yaml": [
          "services:",
          "  web:",
          "    build: .",
          "    command: npm run dev",
          "    volumes: ['.:/app']",
        ],
        "deploy.sh": ["set -e", "git pull", "docker compose build", "docker compose restart"],
      },
    ],
    [
      "failed pull of images of others without set -e",
      {
        "compose.yaml": ["services:", "  web:", "    image: nginx:latest"],
        "deploy.sh": ["docker compose pull", "docker compose up -d"],
      },
    ],
    [
      "cached builds for checks on a hosted runner, under names of that machine",
      {
        ...NODE_APP,
        ".github/workflows/quality.yml": [
          ...DEPLOY_JOB,
          "      - run: |",
          "          docker buildx build --cache-from type=local,src=/tmp/c --tag app:dev . && \\",
          "          docker run --rm app:dev npm test",
        ],
      },
    ],
    [
      "sources that are copied to a server and built there, and a compose file that is copied",
      {
        ...NODE_APP,
        "compose.yaml": ["services:", "  web:", "    build: ."],
        "deploy.sh": [
          "set -e",
          "rsync -az ./ me@host:/srv/app/",
          "ssh me@host 'docker compose up -d --build'",
        ],
        "release.sh": ["set -e", "scp compose.yaml me@host:/srv/app/", "ssh me@host 'docker compose up -d'"],
      },
    ],
    [
      "prune before a build without a cache",
      {
        ...NODE_APP,
        "compose.yaml": ["services:", "  web:", "    build: ."],
        "deploy.sh": [
          "set -e",
          "docker builder prune -f || true",
          "docker system prune -af || true",
          "docker compose build --no-cache",
          "docker compose up -d",
        ],
      },
    ],
    [
      "prune of old layers after the build",
      {
        ...NODE_APP,
        "deploy.sh": [
          "set -e",
          "docker build -t app .",
          "docker builder prune -f --filter until=72h || true",
        ],
      },
    ],
    [
      "build that is tried twice",
      {
        ...NODE_APP,
        "compose.yaml": ["services:", "  web:", "    build: ."],
        "deploy.sh": [
          "set -e",
          "git pull",
          "if ! docker compose build; then",
          "  sleep 5",
          "  docker compose build",
          "fi",
          "docker compose up -d",
        ],
      },
    ],
  ])("is silent about: %s", (_, files) => {
    expect(risksIn(files)).toEqual([]);
  });
});
