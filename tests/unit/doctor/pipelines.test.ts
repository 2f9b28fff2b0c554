import { describe, expect, it } from "@jest/globals";
import { DEPLOY_JOB, type Lines, NODE_APP, risksIn } from "../../support/doctorCases";

describe("packages/doctor/pipelines.ts", () => {
  it.each<[string, Lines, string[]]>([
    [
      "systemd unit run",
      {
        ...NODE_APP,
        "app.service": [
          "[Service]",
          "ExecStart=/usr/bin/docker run --rm -p 80:80 --name app ghcr.io/me/app:latest",
        ],
        ".github/workflows/deploy.yml": [
          ...DEPLOY_JOB,
          "      - run: docker build -t ghcr.io/me/app:latest . && docker push ghcr.io/me/app:latest",
        ],
      },
      ["app.service:2 warning image-not-pulled"],
    ],
    [
      "systemd -pull",
      {
        ...NODE_APP,
        "app.service": [
          "[Service]",
          "ExecStartPre=-/usr/bin/docker pull ghcr.io/me/app:latest",
          "ExecStart=/usr/bin/docker run --rm -p 80:80 ghcr.io/me/app:latest",
        ],
        ".github/workflows/deploy.yml": [
          ...DEPLOY_JOB,
          "      - run: docker build -t ghcr.io/me/app:latest . && docker push ghcr.io/me/app:latest",
        ],
      },
      ["app.service:2 warning image-not-pulled"],
    ],
    [
      "ansible git + compose restarted",
      {
        ...NODE_APP,
        "compose.yaml": ["services:", "  web:", "    build: ."],
        "deploy/playbook.yml": [
          "- hosts: all",
          "  tasks:",
          "    - git: { repo: 'git@x:y.git', dest: /srv }",
          "    - community.docker.docker_compose_v2: { project_src: /srv, state: restarted }",
        ],
      },
      ["deploy/playbook.yml:4 error restart-keeps-image"],
    ],
    [
      "ansible shell",
      {
        ...NODE_APP,
        "compose.yaml": ["services:", "  web:", "    build: ."],
        "ansible/deploy.yml": [
          "- hosts: all",
          "  tasks:",
          "    - name: up",
          "      ansible.builtin.shell: |",
          "        git pull",
          "        docker compose up -d",
        ],
      },
      ["ansible/deploy.yml:6 error up-without-build"],
    ],
    [
      "fabric",
      {
        ...NODE_APP,
        "compose.yaml": ["services:", "  web:", "    build: ."],
        "fabfile.py": ["def deploy(c):", "    c.run('git pull')", "    c.run('docker-compose up -d')"],
      },
      ["fabfile.py:3 error up-without-build"],
    ],
    [
      "capistrano/mise",
      {
        ...NODE_APP,
        "compose.yaml": ["services:", "  web:", "    build: ."],
        "mise.toml": ["[tasks.deploy]", 'run = ["git pull", "docker compose up -d"]'],
      },
      ["mise.toml:2 error up-without-build"],
    ],
    [
      "justfile script",
      {
        ...NODE_APP,
        "compose.yaml": ["services:", "  web:", "    build: ."],
        justfile: ["deploy:", "    ssh host 'cd /srv && git pull && docker compose up -d'"],
      },
      ["justfile:2 error up-without-build"],
    ],
    [
      "mise, several lines in single quotes",
      {
        ...NODE_APP,
        "compose.yaml": ["services:", "  web:", "    build: ."],
        "mise.toml": ["[tasks.deploy]", "run = '''", "git pull", "docker compose up -d", "'''"],
      },
      ["mise.toml:4 error up-without-build"],
    ],
    [
      "husky/post-receive hook",
      {
        ...NODE_APP,
        "compose.yaml": ["services:", "  web:", "    build: ."],
        "hooks/post-receive": ["#!/bin/sh", "cd /srv/app && git pull", "docker compose up -d"],
      },
      ["hooks/post-receive:2 warning pull-swallowed", "hooks/post-receive:3 error up-without-build"],
    ],
    [
      "webhook json",
      {
        ...NODE_APP,
        "compose.yaml": ["services:", "  web:", "    build: ."],
        "deploy/hooks/redeploy": ["#!/bin/bash", "git pull origin main; docker-compose restart web"],
      },
      ["deploy/hooks/redeploy:2 error restart-keeps-image"],
    ],
    [
      "powershell",
      {
        ...NODE_APP,
        "compose.yaml": ["services:", "  web:", "    build: ."],
        "deploy.ps1": ["git pull", "docker compose up -d"],
      },
      ["deploy.ps1:1 warning pull-swallowed", "deploy.ps1:2 error up-without-build"],
    ],
    [
      "bat",
      {
        ...NODE_APP,
        "compose.yaml": ["services:", "  web:", "    build: ."],
        "deploy.bat": ["@echo off", "git pull", "docker compose up -d"],
      },
      ["deploy.bat:2 warning pull-swallowed", "deploy.bat:3 error up-without-build"],
    ],
    [
      "crontab",
      {
        ...NODE_APP,
        "compose.yaml": ["services:", "  web:", "    build: ."],
        crontab: [
          "# every five minutes",
          "MAILTO=me",
          "*/5 * * * * cd /srv/app && git pull; docker compose up -d",
        ],
        "etc/cron.d/app": ["@daily root cd /srv/app && git pull || true; docker compose up -d --build"],
      },
      [
        "crontab:3 warning pull-swallowed",
        "crontab:3 error up-without-build",
        "etc/cron.d/app:1 error pull-swallowed",
      ],
    ],
    [
      "stack that resolves no tag",
      {
        ...NODE_APP,
        "stack.yml": ["services:", "  web:", "    image: ghcr.io/me/app:latest"],
        ".github/workflows/build.yml": [
          ...DEPLOY_JOB,
          "      - run: docker build -t ghcr.io/me/app:latest . && docker push ghcr.io/me/app:latest",
        ],
        "deploy.sh": ["set -e", "docker stack deploy --resolve-image never -c stack.yml app"],
      },
      ["stack.yml:3 warning image-not-pulled"],
    ],
  ])("reports: %s", (_, files, expected) => {
    expect(risksIn(files)).toEqual(expected);
  });

  it.each<[string, Lines]>([
    [
      "Makefile dev target",
      {
        ...NODE_APP,
        "compose.yaml": ["services:", "  web:", "    build: ."],
        Makefile: ["dev:", "\tgit pull", "\tdocker compose up -d"],
      },
    ],
  ])("is silent about: %s", (_, files) => {
    expect(risksIn(files)).toEqual([]);
  });
});
