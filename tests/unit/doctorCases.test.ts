import { describe, expect, it } from "@jest/globals";
import { examine } from "../../packages/doctor/examine";
import { repositoryOf } from "../support/repositories";

type Files = Readonly<Record<string, string>>;

const lines = (...all: string[]) => `${all.join("\n")}\n`;

/** What is graver than a note: `path:line severity rule`. */
function found(files: Files): string[] {
  return examine(repositoryOf(files))
    .filter(({ severity }) => severity !== "note")
    .map(({ path, line, severity, rule }) => `${path}:${line} ${severity} ${rule}`);
}

const PROVEN = lines(
  "FROM node:24",
  "WORKDIR /app",
  "ARG GIT_COMMIT_HASH",
  "RUN echo $GIT_COMMIT_HASH",
  "COPY src ./src",
);
const PLAIN = lines("FROM node:24", "WORKDIR /app", "COPY src ./src");
const APP = { Dockerfile: PROVEN };
const workflow = (...steps: string[]) => ({
  ".github/workflows/ci.yml": lines(
    "on: push",
    "jobs:",
    "  a:",
    "    runs-on: ubuntu-latest",
    "    steps:",
    ...steps.map((line) => `      ${line}`),
  ),
});
const BUILT_COMPOSE = lines("services:", "  web:", "    build: .");
const script = (...text: string[]) => ({ "deploy.sh": lines("#!/bin/bash", "set -euo pipefail", ...text) });
const own = (...text: string[]) => ({
  "compose.yaml": lines("services:", "  web:", ...text.map((line) => `    ${line}`)),
});

describe("no silence", () => {
  it.each<[string, Files, string[]]>([
    // Caches of layers
    [
      "bake action with set",
      {
        ...APP,
        ...workflow(
          "- uses: docker/bake-action@v6",
          "  with:",
          "    push: true",
          "    set: '*.cache-from=type=gha'",
        ),
      },
      [".github/workflows/ci.yml:9 warning cache-from"],
    ],
    [
      "bake file in JSON",
      { ...APP, "docker-bake.json": '{"target": {"app": {"context": ".",\n"cache-from": ["type=gha"]}}}\n' },
      ["docker-bake.json:2 warning cache-from"],
    ],
    [
      "bake file with a target that inherits its cache",
      {
        ...APP,
        "docker-bake.hcl": lines(
          'target "base" {',
          '  cache-from = ["type=gha"]',
          "}",
          'target "app" {',
          '  inherits = ["base"]',
          "}",
        ),
      },
      ["docker-bake.hcl:2 warning cache-from"],
    ],
    [
      "bake that a deploy script calls",
      {
        Dockerfile: PLAIN,
        "docker-bake.hcl": lines('target "app" {', '  cache-from = ["type=registry,ref=x"]', "}"),
        ...script("docker buildx bake"),
      },
      ["docker-bake.hcl:2 error cache-from"],
    ],
    [
      "composite action",
      {
        ...APP,
        "ci/build/action.yaml": lines(
          "runs:",
          "  using: composite",
          "  steps:",
          "    - run: docker build --cache-from x/y .",
          "      shell: bash",
        ),
      },
      ["ci/build/action.yaml:4 warning cache-from"],
    ],
    [
      "script of package.json",
      {
        Dockerfile: PLAIN,
        "package.json":
          '{"scripts": {\n"image": "docker buildx build --cache-from=type=registry,ref=a/b -t a/b ."}}\n',
      },
      ["package.json:2 error cache-from"],
    ],
    [
      "justfile",
      {
        Dockerfile: PLAIN,
        justfile: lines(
          "image := 'me/app'",
          "",
          "deploy:",
          "    docker build --cache-from {{image}} -t {{image}} .",
        ),
      },
      ["justfile:4 error cache-from"],
    ],
    [
      "Taskfile",
      {
        Dockerfile: PLAIN,
        "Taskfile.yml": lines(
          "tasks:",
          "  deploy:",
          "    cmds:",
          "      - docker build --cache-from x/app .",
        ),
      },
      ["Taskfile.yml:4 error cache-from"],
    ],
    [
      "Makefile with the program in a variable",
      {
        Dockerfile: PLAIN,
        Makefile: lines("DOCKER ?= docker", "deploy:", "\t$(DOCKER) build --cache-from x/app ."),
      },
      ["Makefile:3 error cache-from"],
    ],
    [
      "GitLab job with an extended script",
      {
        Dockerfile: PLAIN,
        ".gitlab-ci.yml": lines(
          ".build:",
          "  script:",
          "    - docker build --cache-from $CI_REGISTRY_IMAGE:latest .",
          "deploy:",
          "  extends: .build",
        ),
      },
      [".gitlab-ci.yml:3 error cache-from"],
    ],
    [
      "kaniko's cache",
      {
        Dockerfile: PLAIN,
        ".gitlab-ci.yml": lines(
          "build:",
          "  image: { name: gcr.io/kaniko-project/executor:debug }",
          "  script:",
          "    - /kaniko/executor --context . --cache=true --destination $CI_REGISTRY_IMAGE",
        ),
      },
      [".gitlab-ci.yml:4 warning cache-from"],
    ],
    [
      "CircleCI's layer caching",
      {
        Dockerfile: PLAIN,
        ".circleci/config.yml": lines(
          "jobs:",
          "  build:",
          "    steps:",
          "      - setup_remote_docker:",
          "          docker_layer_caching: true",
        ),
      },
      [".circleci/config.yml:5 warning cache-from"],
    ],
    [
      "Bitbucket's docker cache",
      {
        Dockerfile: PLAIN,
        "bitbucket-pipelines.yml": lines(
          "pipelines:",
          "  default:",
          "    - step:",
          "        caches: [docker]",
          "        script: [docker build .]",
        ),
      },
      ["bitbucket-pipelines.yml:4 warning cache-from"],
    ],
    [
      "Azure's script",
      {
        Dockerfile: PLAIN,
        "azure-pipelines.yml": lines(
          "pool: { vmImage: ubuntu-latest }",
          "steps:",
          "  - script: docker build --cache-from x/y .",
        ),
      },
      ["azure-pipelines.yml:3 warning cache-from"],
    ],
    [
      "Jenkinsfile",
      {
        Dockerfile: PLAIN,
        Jenkinsfile: lines(
          "pipeline {",
          "  stages { stage('b') { steps {",
          "    sh 'docker build --cache-from x/y .'",
          "  } } }",
          "}",
        ),
      },
      ["Jenkinsfile:3 error cache-from"],
    ],
    [
      "Drone's plugin",
      {
        Dockerfile: PLAIN,
        ".drone.yml": lines(
          "kind: pipeline",
          "steps:",
          "  - name: build",
          "    image: plugins/docker",
          "    settings:",
          "      cache_from: me/app:latest",
        ),
      },
      [".drone.yml:6 warning cache-from"],
    ],
    [
      "Woodpecker's commands",
      {
        Dockerfile: PLAIN,
        ".woodpecker.yml": lines(
          "steps:",
          "  build:",
          "    image: docker",
          "    commands:",
          "      - docker build --cache-from x/y .",
        ),
      },
      [".woodpecker.yml:5 error cache-from"],
    ],
    [
      "Kamal's builder",
      {
        Dockerfile: PLAIN,
        "config/deploy.yml": lines("service: a", "image: me/a", "builder:", "  cache:", "    type: gha"),
      },
      ["config/deploy.yml:4 error cache-from"],
    ],
    [
      "compose file by another name",
      {
        Dockerfile: PLAIN,
        "ops/live.yml": lines("services:", "  web:", "    build: { context: .., cache_from: [me/a] }"),
        "ops/deploy.sh": lines("set -e", "docker compose -f ops/live.yml up -d --build"),
      },
      ["ops/live.yml:3 error cache-from"],
    ],
    // Commands
    [
      "compose in a variable",
      { ...APP, "compose.yaml": BUILT_COMPOSE, ...script('DC="docker compose"', "git pull", '"$DC" up -d') },
      ["deploy.sh:5 error up-without-build"],
    ],
    [
      "compose in a variable that nothing sets",
      { ...APP, "compose.yaml": BUILT_COMPOSE, ...script("git pull", "$DOCKER_COMPOSE up -d") },
      ["deploy.sh:4 error up-without-build"],
    ],
    [
      "recipe of a Makefile",
      {
        ...APP,
        "compose.yaml": BUILT_COMPOSE,
        Makefile: lines("COMPOSE := docker-compose", "update:", "\tgit pull", "\t$(COMPOSE) up -d"),
      },
      ["Makefile:4 error up-without-build"],
    ],
    [
      "restart after a pull",
      { ...APP, "compose.yaml": BUILT_COMPOSE, ...script("git pull", "docker compose restart web") },
      ["deploy.sh:4 error restart-keeps-image"],
    ],
    [
      "deploy over ssh from a hosted machine",
      {
        ...APP,
        "compose.yaml": BUILT_COMPOSE,
        ...workflow("- run: ssh me@host 'cd /srv && git pull && docker compose up -d'"),
      },
      [".github/workflows/ci.yml:6 error up-without-build"],
    ],
    [
      "Ansible that takes the sources and starts",
      {
        ...APP,
        "compose.yaml": BUILT_COMPOSE,
        "ansible/deploy.yml": lines(
          "- hosts: all",
          "  tasks:",
          "    - ansible.builtin.git: { repo: x, dest: /srv/app }",
          "    - community.docker.docker_compose_v2: { project_src: /srv/app }",
        ),
      },
      ["ansible/deploy.yml:4 error up-without-build"],
    ],
    [
      "systemd unit",
      {
        ...APP,
        "deploy/app.service": lines(
          "[Service]",
          "ExecStart=/usr/bin/docker run -p 80:80 --name app ghcr.io/me/app:latest",
        ),
      },
      ["deploy/app.service:2 warning image-not-pulled"],
    ],
    [
      "prune in a Taskfile",
      {
        ...APP,
        "Taskfile.yml": lines(
          "tasks:",
          "  deploy:",
          "    cmds:",
          "      - docker builder prune -af || true",
          "      - docker compose build",
        ),
      },
      ["Taskfile.yml:4 error prune-swallowed"],
    ],
    // Volumes
    [
      "anonymous volume",
      { ...APP, ...own("build: .", "volumes:", "  - /app/node_modules") },
      ["compose.yaml:5 error volume-over-image"],
    ],
    [
      "volume over collected assets under a custom name",
      {
        Dockerfile: lines(
          "FROM python:3.13",
          "WORKDIR /code",
          "COPY . .",
          "RUN ./manage.py collectstatic --noinput",
        ),
        ".dockerignore": "**/__pycache__\n",
        ...own("build: .", "volumes: [assets:/code/static]"),
      },
      ["compose.yaml:4 error volume-over-image"],
    ],
    [
      "volume over a folder of the repository",
      {
        Dockerfile: lines("FROM php:8-fpm", "WORKDIR /var/www", "COPY . ."),
        "public/index.php": "",
        ...own("build: .", "volumes: [web:/var/www/public]"),
      },
      ["compose.yaml:4 error volume-over-image"],
    ],
    [
      "VOLUME over code",
      { Dockerfile: `${PROVEN}VOLUME ["/app/src"]\n` },
      ["Dockerfile:6 warning volume-over-image"],
    ],
    [
      "mount in a default",
      { ...APP, ...own("build: .", 'volumes: ["${CODE:-./src:/app/src}"]') },
      ["compose.yaml:4 warning mount-over-image"],
    ],
    [
      "volume that an extended service brings",
      {
        ...APP,
        "common.yaml": lines("services:", "  base:", "    build: .", "    volumes: [code:/app/src]"),
        "compose.yaml": lines("services:", "  web:", "    extends: { file: common.yaml, service: base }"),
      },
      ["common.yaml:4 error volume-over-image"],
    ],
    [
      "volume in a second compose file",
      {
        ...APP,
        "docker-compose.yml": BUILT_COMPOSE,
        "docker-compose.prod.yml": lines("services:", "  web:", "    volumes: [code:/app/src]"),
      },
      ["docker-compose.prod.yml:3 error volume-over-image"],
    ],
    // Images
    [
      "tag of a branch",
      { ...APP, ...own("image: ghcr.io/me/app:main") },
      ["compose.yaml:3 warning image-not-pulled"],
    ],
    [
      "tag in a variable",
      { ...own("image: ghcr.io/org/org-server:${RELEASE:-stable}") },
      ["compose.yaml:3 warning image-not-pulled"],
    ],
    [
      "registry of one's own",
      { ...own("image: registry.example.org/team/shop:production") },
      ["compose.yaml:3 warning image-not-pulled"],
    ],
    [
      "pull of another image",
      {
        ...APP,
        ...own("image: ghcr.io/me/app:latest"),
        ...script("docker pull redis:8", "docker compose up -d"),
      },
      ["compose.yaml:3 warning image-not-pulled"],
    ],
    [
      "pull that may fail",
      {
        ...APP,
        ...own("image: ghcr.io/me/app:v1"),
        ...script("docker compose pull || true", "docker compose up -d"),
      },
      ["deploy.sh:3 warning image-not-pulled"],
    ],
    [
      "docker run",
      {
        ...APP,
        ...script("docker stop app", "docker run --rm -d -p 80:80 --name app registry.example.org/app"),
      },
      ["deploy.sh:4 warning image-not-pulled"],
    ],
    [
      "Kubernetes with a branch's tag",
      {
        ...APP,
        "deploy/web.yaml": lines(
          "kind: Deployment",
          "spec:",
          "  template:",
          "    spec:",
          "      containers:",
          "        - image: ghcr.io/me/web-app:main",
        ),
      },
      ["deploy/web.yaml:6 warning image-not-pulled"],
    ],
    [
      "values of a chart",
      {
        ...APP,
        "chart/values.yaml": lines(
          "image:",
          "  repository: ghcr.io/me/web-app",
          "  tag: latest",
          "  pullPolicy: IfNotPresent",
        ),
      },
      ["chart/values.yaml:3 warning image-not-pulled"],
    ],
    [
      "moving base of one's own",
      {
        Dockerfile: PROVEN.replace("node:24", "registry.example.org/base:stable"),
        ...script(
          'docker build --build-arg GIT_COMMIT_HASH="$(git rev-parse HEAD)" -t registry.example.org/app .',
        ),
      },
      ["Dockerfile:1 warning base-not-pulled"],
    ],
    [
      "files of a moving image of one's own",
      {
        Dockerfile: `${PROVEN}COPY --from=registry.example.org/assets:latest /a /a\n`,
      },
      ["Dockerfile:6 warning source-past-context"],
    ],
    // Sources
    [
      "clone in a Dockerfile in lower case",
      {
        "docker/web/dockerfile": lines(
          "FROM node:24",
          "WORKDIR /app",
          "RUN git clone https://github.com/me/app .",
        ),
      },
      ["docker/web/dockerfile:3 warning source-past-context"],
    ],
    [
      "clone by another program",
      {
        Dockerfile: lines(
          "FROM php:8",
          "RUN composer create-project --repository=https://github.com/me/app.git me/app /app",
        ),
      },
      ["Dockerfile:2 warning source-past-context"],
    ],
    [
      "package from a repository",
      { Dockerfile: lines("FROM python:3.13", "RUN pip install git+https://github.com/me/app.git") },
      ["Dockerfile:2 warning source-past-context"],
    ],
    [
      "archive of a branch",
      {
        Dockerfile: lines(
          "FROM node:24",
          "WORKDIR /app",
          "RUN curl -sL https://github.com/me/app/archive/refs/heads/main.tar.gz | tar xz",
        ),
      },
      ["Dockerfile:3 warning source-past-context"],
    ],
    [
      "archive by ADD",
      {
        Dockerfile: lines(
          "FROM node:24",
          "ADD https://github.com/me/app/archive/main.tar.gz /app.tgz",
          "COPY src /src",
        ),
      },
      ["Dockerfile:2 warning source-past-context"],
    ],
    // Output
    [
      "jar of the working tree",
      { Dockerfile: lines("FROM eclipse-temurin:21", "COPY build/libs/*.jar /app.jar") },
      ["Dockerfile:2 warning output-from-outside"],
    ],
    [
      "dist of the working tree",
      {
        Dockerfile: lines("FROM nginx:1.29", "COPY dist/ /usr/share/nginx/html/"),
        ...script("docker build -t x ."),
      },
      ["Dockerfile:2 warning output-from-outside"],
    ],
    [
      "build/ of setuptools",
      {
        Dockerfile: lines("FROM python:3.13", "COPY . /src", "RUN pip install /src"),
        "setup.py": "",
        ".dockerignore": "**/__pycache__\n",
      },
      [".dockerignore:1 warning ignored-too-little"],
    ],
    [
      "output of tsc by a script",
      {
        Dockerfile: lines("FROM node:24", "WORKDIR /app", "COPY . .", "RUN npm ci", "RUN npm run build"),
        "package.json": '{"scripts": {"build": "tsc -p ."}}',
        "tsconfig.json": '{"compilerOptions": {"outDir": "./build"}}',
      },
      ["Dockerfile:3 warning ignored-too-little"],
    ],
    [
      ".next of the working tree",
      {
        Dockerfile: lines("FROM node:24", "WORKDIR /app", "COPY . .", "RUN npm ci && npm run build"),
        "package.json": '{"dependencies": {"next": "16"}}',
        ".dockerignore": "node_modules\n",
      },
      [".dockerignore:1 warning ignored-too-little"],
    ],
    [
      ".next/cache in GitLab",
      {
        ...APP,
        ".gitlab-ci.yml": lines(
          "build:",
          "  cache:",
          "    key: next",
          "    paths: [.next/cache]",
          "  script: [npm run build]",
        ),
      },
      [".gitlab-ci.yml:4 warning build-cache-restored"],
    ],
    [
      ".next/cache in CircleCI",
      {
        ...APP,
        ".circleci/config.yml": lines(
          "jobs:",
          "  b:",
          "    steps:",
          "      - save_cache:",
          "          key: next",
          "          paths:",
          "            - .next/cache",
        ),
      },
      [".circleci/config.yml:6 warning build-cache-restored"],
    ],
    // Browsers
    [
      "vercel.json, routes",
      { "vercel.json": '{"routes": [{"src": "/(.*)",\n"headers": {"cache-control": "max-age=86400"}}]}' },
      ["vercel.json:2 error pages-cached"],
    ],
    [
      "_headers of a page",
      { "public/_headers": lines("/index.html", "  cache-control: max-age=3600") },
      ["public/_headers:2 error pages-cached"],
    ],
    [
      "netlify.toml",
      {
        "netlify.toml": lines(
          "[[headers]]",
          '  for = "/*"',
          "  [headers.values]",
          '    Cache-Control = "public, max-age=604800"',
        ),
      },
      ["netlify.toml:4 error pages-cached"],
    ],
    [
      "firebase.json",
      {
        "firebase.json":
          '{"hosting": {"headers": [{"source": "**/*.html", "headers": [\n{"key": "Cache-Control", "value": "max-age=7200"}]}]}}',
      },
      ["firebase.json:2 error pages-cached"],
    ],
    [
      ".htaccess by Expires",
      { "web/.htaccess": lines("ExpiresActive On", 'ExpiresByType text/html "access plus 1 month"') },
      ["web/.htaccess:2 error pages-cached"],
    ],
    [
      "express",
      { "server.js": 'app.use(express.static("dist", { maxAge: "1y" }));\n' },
      ["server.js:1 error pages-cached"],
    ],
    [
      "express in milliseconds",
      { "src/app.ts": "app.use(express.static(root, { maxAge: 365 * 24 * 60 * 60 * 1000 }));\n" },
      ["src/app.ts:1 error pages-cached"],
    ],
    [
      "express that sends a page",
      {
        "server.mjs": lines(
          'app.get("*", (req, res) => {',
          '  res.set("Cache-Control", "public, max-age=86400");',
          '  res.sendFile("index.html", { root });',
          "});",
        ),
      },
      ["server.mjs:2 error pages-cached"],
    ],
    [
      "vite-plugin-pwa",
      {
        "vite.config.js":
          'import { VitePWA } from "vite-plugin-pwa";\nexport default { plugins: [VitePWA()] };\n',
      },
      ["vite.config.js:2 warning worker-serves-pages"],
    ],
    [
      "serwist",
      { "next.config.mjs": 'import withSerwistInit from "@serwist/next";\n' },
      ["next.config.mjs:1 warning worker-serves-pages"],
    ],
    [
      "Angular's worker",
      { "ngsw-config.json": '{\n"index": "/index.html"}' },
      ["ngsw-config.json:2 warning worker-serves-pages"],
    ],
    [
      "worker's script with a long cache time",
      { _headers: lines("/sw.js", "  Cache-Control: max-age=31536000") },
      ["_headers:2 warning worker-kept"],
    ],
    [
      "copy that keeps deleted files",
      { ...APP, ...script("npm run build", "rsync -av dist/ me@host:/srv/www/") },
      ["deploy.sh:4 warning artifact-kept"],
    ],
  ])("about %s", (_, files, expected) => {
    expect(found(files)).toEqual(expected);
  });
});

describe("no false alarm", () => {
  it.each<[string, Files]>([
    [
      "a hosted machine",
      { Dockerfile: PLAIN, ...workflow("- uses: docker/build-push-action@v6", "  with: { push: true }") },
    ],
    [
      "a hosted machine that prunes to have room",
      { Dockerfile: PLAIN, ...workflow("- run: docker system prune -af || true", "- run: docker build .") },
    ],
    [
      "a commit by another name",
      {
        Dockerfile: PROVEN.replaceAll("GIT_COMMIT_HASH", "VCS_REF"),
        ...script('docker build --build-arg VCS_REF="$(git rev-parse HEAD)" .'),
      },
    ],
    [
      "no-cache of an action",
      {
        Dockerfile: PLAIN,
        ...workflow(
          "- uses: docker/build-push-action@v6",
          "  with: { push: true, no-cache: true, cache-from: type=gha }",
        ),
      },
    ],
    ["no-cache of a script", { Dockerfile: PLAIN, ...script("docker build --no-cache --cache-from x/y .") }],
    [
      "no-cache of a bake file",
      {
        Dockerfile: PLAIN,
        "docker-bake.hcl": lines('target "a" {', "  no-cache = true", '  cache-from = ["type=gha"]', "}"),
      },
    ],
    ["no cache_from in compose", { Dockerfile: PLAIN, ...own("build: { context: ., cache_from: [] }") }],
    [
      "named configuration",
      { Dockerfile: lines("FROM traefik:v3", "COPY traefik.yml /etc/traefik/traefik.yml") },
    ],
    [
      "an entrypoint of one's own",
      {
        Dockerfile: lines(
          "FROM postgres:18",
          "COPY docker-entrypoint.sh /",
          "COPY init.sql /docker-entrypoint-initdb.d/",
        ),
      },
    ],
    [
      "a build that is not pushed",
      {
        Dockerfile: PLAIN,
        ...workflow("- uses: docker/build-push-action@v6", "  with: { push: false, cache-from: type=gha }"),
      },
    ],
    [
      "a workflow for pull requests",
      {
        Dockerfile: PLAIN,
        ".github/workflows/pr.yml": lines(
          "on: pull_request",
          "jobs:",
          "  a:",
          "    runs-on: ubuntu-latest",
          "    steps:",
          "      - run: docker build --cache-from x/y .",
        ),
      },
    ],
    [
      "a fixture",
      { "tests/fixtures/a/Dockerfile": lines("FROM node", "RUN git clone https://github.com/a/b") },
    ],
    ["an example", { "examples/a/compose.yaml": lines("services:", "  web:", "    image: ghcr.io/me/app") }],
    ["a vendored folder", { "third_party/a/deploy.sh": lines("git pull || true", "docker compose build") }],
    [
      "a template",
      {
        "templates/Dockerfile.j2": "FROM {{ base }}\nCOPY . .\n",
        "{{name}}/deploy.sh": "git pull || true\ndocker compose build\n",
      },
    ],
    [
      "a template without its name",
      { Dockerfile: lines("FROM python:{{ version }}", "{% if a %}", "COPY . .", "{% endif %}") },
    ],
    [
      "others' images",
      {
        ...APP,
        "compose.yaml": lines(
          "services:",
          "  a: { image: nginxproxy/acme-companion }",
          "  b: { image: 'linuxserver/transmission:latest' }",
          "  c: { image: 'ghcr.io/goauthentik/server:latest' }",
          "  d: { image: 'mcr.microsoft.com/playwright:latest' }",
          "  e: { image: 'docker.elastic.co/kibana/kibana:latest' }",
          "  f: { image: 'prom/prometheus:main' }",
          "  g: { image: inbucket/inbucket }",
        ),
      },
    ],
    [
      "a folder for development",
      {
        ...APP,
        "docker/dev/compose.yml": lines(
          "services:",
          "  web:",
          "    build: ../..",
          "    volumes: [../..:/app, /app/node_modules]",
        ),
      },
    ],
    ["a profile", { ...APP, ...own("build: .", "profiles: [tools]", "volumes: [.:/app]") }],
    [
      "a server that reloads",
      { ...APP, ...own("build: .", "command: npm run dev", "volumes: [.:/app, /app/node_modules]") },
    ],
    [
      "a stage for development",
      { ...APP, ...own("build: { context: ., target: dev }", "volumes: [.:/app]") },
    ],
    [
      "compose watch",
      {
        ...APP,
        ...own(
          "build: .",
          "develop: { watch: [{ path: ., action: sync, target: /app }] }",
          "volumes: [.:/app]",
        ),
      },
    ],
    [
      "data in a volume",
      {
        ...APP,
        ...own("build: .", "volumes: [uploads:/app/uploads, db:/app/data, ./config.yml:/app/config.yml]"),
      },
    ],
    [
      "a tool by its version",
      {
        Dockerfile: `${PROVEN}COPY --from=ghcr.io/astral-sh/uv:0.9 /uv /bin/uv\nCOPY --from=composer:2 /usr/bin/composer /usr/bin/composer\n`,
      },
    ],
    [
      "a tool under a moving tag",
      { Dockerfile: `${PROVEN}COPY --from=ghcr.io/astral-sh/uv:latest /uv /bin/uv\n` },
    ],
    [
      "a named context",
      {
        Dockerfile: `${PROVEN}COPY --from=shared /a /a\n`,
        ...workflow(
          "- uses: docker/build-push-action@v6",
          "  with:",
          "    push: true",
          "    build-contexts: shared=./shared",
        ),
      },
    ],
    [
      "up after a build",
      {
        ...APP,
        ...own("image: me/app:latest"),
        ...script("docker build -t me/app .", "docker compose up -d"),
      },
    ],
    [
      "up after a build of compose",
      {
        ...APP,
        "compose.yaml": BUILT_COMPOSE,
        ...script("git pull", "docker compose build", "docker compose up -d"),
      },
    ],
    [
      "up with a build",
      { ...APP, "compose.yaml": BUILT_COMPOSE, ...script("git pull", "docker compose up -d --build") },
    ],
    [
      "up of images that are pulled",
      {
        ...APP,
        ...own("image: ghcr.io/me/app:latest"),
        ...script("docker compose pull", "docker compose up -d"),
      },
    ],
    ["a pull by policy", { ...APP, ...own("image: ghcr.io/me/app:latest", "pull_policy: always") }],
    [
      "a watchtower",
      {
        ...APP,
        "compose.yaml": lines(
          "services:",
          "  web: { image: 'ghcr.io/me/app:latest' }",
          "  w: { image: containrrr/watchtower }",
        ),
      },
    ],
    [
      "a restart of mounted code",
      {
        ...APP,
        ...own("build: .", "command: node server.js", "volumes: ['.:/app/src/x.js:ro']"),
        ...script("docker compose up -d --build", "docker compose restart nginx"),
      },
    ],
    [
      "git in a build",
      {
        Dockerfile: lines("FROM golang:1.25", "COPY . .", 'RUN go build -ldflags "-X v=$(git describe)"'),
        "main.go": "",
        ".gitignore": "bin\n",
      },
    ],
    [
      "a clone of a release",
      {
        Dockerfile: lines(
          "FROM node:24",
          "RUN git clone --depth 1 --branch v1.2.3 https://github.com/a/b /app/b",
          "RUN git clone -b $B_VERSION https://github.com/a/c /app/c",
        ),
      },
    ],
    [
      "a clone of a tool",
      { Dockerfile: `${PLAIN}RUN cd /tmp && git clone https://github.com/a/tool && make -C tool install\n` },
    ],
    [
      "an archive of a release",
      {
        Dockerfile: lines(
          "FROM node:24",
          "ADD https://github.com/a/b/releases/download/v1/b.tgz /b.tgz",
          "RUN curl -L https://github.com/a/b/archive/v1.2.tar.gz | tar xz",
          "COPY src /src",
        ),
      },
    ],
    [
      "a jar that the job has just built",
      {
        Dockerfile: lines("FROM eclipse-temurin:21", "COPY target/app.jar /app.jar"),
        ...script("mvn -B clean package", "docker build -t x ."),
      },
    ],
    [
      "output that the repository holds",
      { Dockerfile: lines("FROM nginx:1.29", "COPY dist /usr/share/nginx/html"), "dist/index.html": "" },
    ],
    [
      "npm ci over node_modules",
      { Dockerfile: lines("FROM node:24", "WORKDIR /app", "COPY . .", "RUN npm ci"), "package.json": "{}" },
    ],
    [
      "a build that empties its output",
      {
        Dockerfile: lines("FROM node:24", "WORKDIR /app", "COPY . .", "RUN npm ci && rm -rf dist && npx tsc"),
        "package.json": "{}",
        "tsconfig.json": '{"compilerOptions": {"outDir": "dist"}}',
      },
    ],
    ["a cache of packages", workflow("- uses: actions/cache@v4", "  with: { path: ~/.npm, key: npm }")],
    [
      "a cache under the commit",
      workflow("- uses: actions/cache@v4", "  with:", "    path: dist", "    key: dist-${{ github.sha }}"),
    ],
    [
      "hashed files",
      {
        "vercel.json":
          '{"headers": [{"source": "/assets/(.*)", "headers": [{"key": "Cache-Control", "value": "max-age=31536000"}]}]}',
      },
    ],
    [
      "fonts and scripts",
      {
        ".htaccess": lines(
          '<FilesMatch "\\.(js|css|woff2)$">',
          'Header set Cache-Control "max-age=31536000"',
          "</FilesMatch>",
        ),
      },
    ],
    [
      "pages that are revalidated",
      {
        _headers: lines(
          "/*",
          "  Cache-Control: public, max-age=0, must-revalidate",
          "/assets/*",
          "  Cache-Control: max-age=31536000",
        ),
      },
    ],
    [
      "express with folders of assets",
      {
        "server.js":
          'app.use("/assets", express.static("dist/assets", { maxAge: "1y" }));\napp.use(express.static("dist", { maxAge: "1y", index: false }));\n',
      },
    ],
    [
      "a worker that takes over",
      {
        "vite.config.ts":
          'import { VitePWA } from "vite-plugin-pwa";\nexport default { plugins: [VitePWA({ registerType: "autoUpdate" })] };\n',
      },
    ],
    [
      "Kubernetes with a commit's tag",
      {
        ...APP,
        "k8s/a.yaml": lines(
          "kind: Deployment",
          "spec:",
          "  containers:",
          "    - image: ghcr.io/me/app:1a2b3c4",
        ),
      },
    ],
    [
      "Kubernetes that always pulls",
      {
        ...APP,
        "k8s/a.yaml": lines(
          "kind: Pod",
          "spec:",
          "  containers:",
          "    - image: ghcr.io/me/app:main",
          "      imagePullPolicy: Always",
        ),
      },
    ],
    ["rsync that deletes", { ...APP, ...script("rsync -a --delete dist/ me@host:/srv/") }],
    ["a file of tests", { ...APP, "scripts/test.sh": lines("docker compose up -d --no-recreate") }],
  ])("about %s", (_, files) => {
    expect(found(files)).toEqual([]);
  });
});
