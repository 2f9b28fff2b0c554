import { describe, expect, it } from "@jest/globals";
import { DEPLOY_JOB, type Lines, NODE_APP, risksIn } from "../../support/doctorCases";

describe("packages/doctor/flow.ts", () => {
  it.each<[string, Lines, string[]]>([
    [
      "function wrapper dc",
      {
        ...NODE_APP,
        "compose.yaml": ["services:", "  web:", "    build: ."],
        "deploy.sh": [
          "#!/bin/bash",
          "set -e",
          'dc() { docker compose -f compose.yaml "$@"; }',
          "git pull",
          "dc up -d",
        ],
      },
      ["deploy.sh:3 error up-without-build"],
    ],
    [
      "array var",
      {
        ...NODE_APP,
        "compose.yaml": ["services:", "  web:", "    build: ."],
        "deploy.sh": [
          "#!/bin/bash",
          "set -euo pipefail",
          "DC=(docker compose)",
          "git pull",
          '"${DC[@]}" up -d',
        ],
      },
      ["deploy.sh:5 error up-without-build"],
    ],
    [
      "appleboy ssh",
      {
        ...NODE_APP,
        "compose.yaml": ["services:", "  web:", "    build: ."],
        ".github/workflows/deploy.yml": [
          ...DEPLOY_JOB,
          "      - uses: appleboy/ssh-action@v1",
          "        with:",
          "          host: h",
          "          script: |",
          "            cd /srv",
          "            git pull",
          "            docker compose up -d",
        ],
      },
      [
        ".github/workflows/deploy.yml:11 warning pull-swallowed",
        ".github/workflows/deploy.yml:12 error up-without-build",
      ],
    ],
    [
      "ssh heredoc",
      {
        ...NODE_APP,
        "compose.yaml": ["services:", "  web:", "    build: ."],
        ".github/workflows/deploy.yml": [
          ...DEPLOY_JOB,
          "      - run: |",
          "          ssh me@h <<'EOS'",
          "          cd /srv",
          "          git pull",
          "          docker-compose restart",
          "          EOS",
        ],
      },
      [".github/workflows/deploy.yml:10 error restart-keeps-image"],
    ],
    [
      "COMPOSE_FILE env",
      {
        ...NODE_APP,
        "prod.yml": ["services:", "  web:", "    build:", "      context: .", "      cache_from: [me/app]"],
        "deploy.sh": [
          "#!/bin/bash",
          "set -euo pipefail",
          "export COMPOSE_FILE=prod.yml",
          "git pull",
          "docker compose up -d",
        ],
      },
      ["prod.yml:5 error cache-from"],
    ],
  ])("reports: %s", (_, files, expected) => {
    expect(risksIn(files)).toEqual(expected);
  });

  it.each<[string, Lines]>([
    [
      "build in ssh with sha",
      {
        ...NODE_APP,
        ".github/workflows/deploy.yml": [
          ...DEPLOY_JOB,
          "      - run: docker build -t ghcr.io/me/app:${{ github.sha }} --build-arg SHA=${{ github.sha }} .",
          "      - run: docker push ghcr.io/me/app:${{ github.sha }}",
          "      - run: ssh me@host 'docker pull ghcr.io/me/app:${{ github.sha }} && docker run -d ghcr.io/me/app:${{ github.sha }}'",
        ],
      },
    ],
  ])("is silent about: %s", (_, files) => {
    expect(risksIn(files)).toEqual([]);
  });
});
