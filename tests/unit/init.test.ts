import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterAll, describe, expect, it } from "@jest/globals";
import execa from "execa";
import { parse } from "yaml";
import { parseConfig } from "../../config";
import { guessLayout, type Layout } from "../../packages/doctor/init/layout";
import { repositoryOf } from "../support/repositories";

const lines = (...all: string[]) => `${all.join("\n")}\n`;

/** Guesses, and has the configuration judge what was guessed. */
function guess(files: Readonly<Record<string, string>>, name = "party"): Layout {
  const layout = guessLayout(repositoryOf(files), name, undefined, (variable) => `made-for-${variable}`);
  parseConfig({ source: "../party", services: layout.services, accessories: layout.accessories });
  return layout;
}

const NODE = (...more: string[]) => lines("FROM node:24", "WORKDIR /app", "COPY . .", ...more);
const PYTHON = (...more: string[]) => lines("FROM python:3.11", "WORKDIR /app", "COPY . .", ...more);

describe("the layout of an app", () => {
  it("is one service for one Dockerfile at the root", () => {
    const { services, guesses, decisions } = guess({
      Dockerfile: NODE(
        "ENV PORT=8123",
        "HEALTHCHECK CMD curl -f http://localhost:8123/health || exit 1",
        'CMD ["node", "server.js"]',
      ),
      "package.json": lines("{", '  "dependencies": { "express": "5.0.0" }', "}"),
      "server.js": 'app.get("/version", version);\n',
    });
    expect(services).toEqual({ party: { context: ".", port: 8123, route: "/", health: "/health" } });
    expect(guesses).toEqual([
      "party: built from . (Dockerfile:1)",
      "party: written with Express or the like (package.json:2)",
      "party: listens on 8123 (Dockerfile:4)",
      "party: healthy where /health answers 200 (Dockerfile:5)",
      "party: answers at /, the only one with a port (Dockerfile:1)",
    ]);
    expect(decisions).toEqual([]);
  });

  it("takes a mounted folder that a start only makes for no cache: it may hold data", () => {
    const { services, decisions } = guess({
      Dockerfile: NODE("EXPOSE 3000", 'CMD ["/app/start.sh"]'),
      "start.sh": lines("#!/bin/sh", "mkdir -p data", "exec node server.js"),
      "compose.yaml": lines("services:", "  web:", "    build: .", "    volumes: ['./data:/app/data']"),
    });
    expect(services.web).not.toHaveProperty("caches");
    expect(decisions.join()).toContain("./data:/app/data is left out");
  });

  it("reads a health path with variables", () => {
    const { services } = guess({
      Dockerfile: lines(
        "FROM debian:12",
        "COPY . /app",
        "EXPOSE 9090",
        "HEALTHCHECK CMD curl -f http://localhost:${APP_PORT:-9090}/${APP_PATH}health || exit 1",
      ),
      "main.py": "x",
    });
    expect(services.party?.health).toBe("/health");
  });

  it("takes the compose service that runs an image of the repository's owner for its one Dockerfile", () => {
    const files = {
      Dockerfile: NODE("EXPOSE 3000"),
      "docker-compose.yml": lines(
        "services:",
        "  metrics:",
        "    image: ghcr.io/some-owner/metrics:latest",
        "    ports: ['3000:3000']",
        "  helper:",
        "    image: ghcr.io/some-owner/metrics-helper:latest",
        "  db:",
        "    image: postgres:15-alpine",
        "    volumes: ['data:/var/lib/postgresql/data']",
      ),
    };
    const repository = { ...repositoryOf(files), owners: ["some-owner"] };
    const { services, accessories } = guessLayout(repository, "checkout", undefined, () => "made");
    expect([Object.keys(services), Object.keys(accessories)]).toEqual([["metrics"], ["db"]]);
  });

  it("names the stage that installs from a lockfile, but none with source or unpinned versions", () => {
    const dockerfile = (...install: string[]) =>
      lines("FROM node:24 AS deps", ...install, "FROM deps", "ARG GIT_COMMIT_HASH", "RUN true", "COPY . .");
    const files = { "web/package.json": "{}", "web/package-lock.json": "{}", "web/server.js": "" };
    const stageOf = (...install: string[]) =>
      guess({ ...files, "web/Dockerfile": dockerfile(...install) }).services.web!.dependencyStage;
    expect(stageOf("COPY package*.json ./", "RUN npm ci")).toBe("deps");
    expect(stageOf("COPY package.json ./", "RUN npm install")).toBeUndefined();
    expect(stageOf("COPY . .", "RUN npm ci")).toBeUndefined();
    expect(
      guess({ ...files, "web/Dockerfile": dockerfile("COPY package*.json ./", "RUN npm ci") }).guesses,
    ).toContain("web: deps installs what a lockfile says, and outlives the prune (web/Dockerfile:1)");
  });

  it("is a service for each folder of a monorepo, built from the root if only that has the copied files", () => {
    const { services } = guess({
      "package.json": "{}",
      "packages/shared/index.ts": "",
      "apps/web/Dockerfile": lines(
        "FROM node:24",
        "WORKDIR /app",
        "COPY packages/shared packages/shared",
        "COPY apps/web apps/web",
        "EXPOSE 3000",
      ),
      "apps/web/package.json": '{ "dependencies": { "next": "16.0.0" } }',
      "apps/web/app/version/route.ts": "",
      "apps/api/Dockerfile": PYTHON('CMD ["uvicorn", "main:app", "--host", "0.0.0.0", "--port", "9000"]'),
      "apps/api/requirements.txt": "uvicorn==0.32.0\nfastapi==0.115.0\n",
      "apps/api/main.py": '@app.get("/api/health")\n@app.get("/version")\n',
      "apps/api/Dockerfile.dev": PYTHON(),
    });
    expect(services).toEqual({
      api: { context: "apps/api", port: 9000, route: "/api", health: "/api/health" },
      web: { context: ".", dockerfile: "apps/web/Dockerfile", port: 3000, route: "/" },
    });
  });

  it("has the services that the compose file builds, its worker, and its databases as accessories", () => {
    const { services, accessories, secrets, guesses, decisions, left } = guess({
      "docker-compose.yml": lines(
        "services:",
        "  web:",
        "    build:",
        "      context: .",
        "      target: prod",
        "      args:",
        "        NODE_ENV: production",
        "        GIT_COMMIT_HASH: ${GIT_COMMIT_HASH}",
        "        REGION: ${REGION}",
        '    ports: ["8080:3000"]',
        "    environment:",
        "      LOG_LEVEL: ${LOG_LEVEL:-info}",
        "      SESSION_SECRET: ${SESSION_SECRET}",
        "      DATABASE_URL: postgres://app:app@db/app",
        "    healthcheck:",
        '      test: ["CMD", "wget", "-qO-", "http://localhost:3000/healthz"]',
        "    volumes:",
        "      - uploads:/data/uploads",
        "      - .:/app",
        "  worker:",
        "    build: { context: ., target: prod }",
        "    command: node worker.js",
        "  db:",
        "    image: postgres:16",
        "    ports: ['5432:5432']",
        "    environment:",
        "      POSTGRES_PASSWORD: ${DB_PASSWORD}",
        "      POSTGRES_DB: app",
        "    volumes: ['data:/var/lib/postgresql/data']",
        "    mem_limit: 512m",
        "    privileged: true",
        "  cache: { image: 'redis:8', volumes: ['data:/data'] }",
      ),
      Dockerfile: lines("FROM node:24 AS prod", "WORKDIR /app", "COPY . .", "EXPOSE 3000"),
      "package.json": '{ "dependencies": { "express": "5.0.0" } }',
    });
    expect(services).toEqual({
      web: {
        context: ".",
        target: "prod",
        port: 3000,
        route: "/",
        health: "/healthz",
        args: { NODE_ENV: "production" },
        env: { LOG_LEVEL: "info" },
        secretEnv: { SESSION_SECRET: { env: "SESSION_SECRET" }, DATABASE_URL: { env: "DATABASE_URL" } },
        volumes: { uploads: "/data/uploads" },
      },
      worker: { context: ".", target: "prod" },
    });
    expect(accessories).toEqual({
      db: {
        image: "postgres:16",
        env: { POSTGRES_DB: "app" },
        secretEnv: { POSTGRES_PASSWORD: { env: "POSTGRES_PASSWORD" } },
        volumes: { data: "/var/lib/postgresql/data" },
        memoryMb: 512,
      },
      cache: { image: "redis:8" },
    });
    expect(Object.fromEntries(secrets)).toEqual({
      SESSION_SECRET: "made-for-SESSION_SECRET",
      DATABASE_URL: "postgres://app:app@db/app",
      POSTGRES_PASSWORD: "made-for-DB_PASSWORD",
    });
    expect(left).toContain(
      "db: its ports are not published, services reach it by its name (docker-compose.yml:23)",
    );
    expect(guesses).toContain("worker: a worker: no port, no route (docker-compose.yml:22)");
    expect(decisions).toEqual([
      "web: build arg REGION has no value here; set services.web.args.REGION (docker-compose.yml:9)",
      "web: .:/app is left out, it would hide what the image holds (docker-compose.yml:19)",
      'worker: the command "node worker.js" is not taken over; make it the CMD of a stage and set services.worker.target (docker-compose.yml:22)',
      "db: privileged is left out: the configuration has nothing like it (docker-compose.yml:31)",
      "cache: data:/data is left out, another one uses that volume (docker-compose.yml:32)",
      'web: has to answer /version with {"commit": "<the text of /app/COMMIT>"} (README, "Your own app"), or set services.web.version and commitFile',
    ]);
  });

  it("has nginx in front of Django", () => {
    const { services, guesses } = guess({
      "compose.yaml": lines(
        "services:",
        "  nginx:",
        "    build: ./nginx",
        '    ports: ["80:80"]',
        "    depends_on: [django]",
        "  django:",
        "    build: ./app",
        "    expose: [8000]",
      ),
      "nginx/Dockerfile": lines("FROM nginx:1.27", "COPY default.conf /etc/nginx/conf.d/default.conf"),
      "nginx/default.conf": lines(
        "server {",
        "  location / {",
        "    proxy_pass http://django:8000;",
        "  }",
        "}",
      ),
      "app/Dockerfile": PYTHON('CMD ["gunicorn", "party.wsgi", "-b", "0.0.0.0:8000"]'),
      "app/requirements.txt": "Django==5.1\ngunicorn==23.0\n",
    });
    expect(services).toEqual({
      nginx: {
        context: "nginx",
        port: 80,
        route: "/",
        capabilities: ["CHOWN", "NET_BIND_SERVICE", "SETGID", "SETUID"],
      },
      django: { context: "app", port: 8000 },
    });
    expect(guesses).toContain("django: no route, it is reached through nginx (nginx/default.conf:3)");
    expect(guesses).toContain("django: written with Django (app/requirements.txt:1)");
  });

  it("asks Django at once for the path that it would redirect to", () => {
    const { services } = guess({
      "compose.yaml": lines(
        "services:",
        "  web:",
        "    build: .",
        "    healthcheck: { test: '${CHECK:-curl localhost:8000/up}' }",
      ),
      Dockerfile: PYTHON(),
      "requirements.txt": "Django==5.1\n",
      "site/urls.py": 'urlpatterns = [path("up/", include("up.urls"))]\n',
    });
    expect(services.web).toMatchObject({ port: 8000, health: "/up/" });
  });

  it("is a Go service with the production stage as target", () => {
    const { services } = guess(
      {
        "go.mod": "module example.org/party\n",
        "main.go": 'mux.HandleFunc("GET /healthz", ok)\n',
        Dockerfile: lines(
          "FROM golang:1.25 AS build",
          "WORKDIR /src",
          "COPY . .",
          "RUN go build -o /party .",
          "FROM scratch AS prod",
          "COPY --from=build /party /party",
          'ENTRYPOINT ["/party"]',
          "FROM build AS test",
          "RUN go test ./...",
        ),
      },
      "Go Party!",
    );
    expect(services).toEqual({
      "go-party": { context: ".", target: "prod", port: 8080, route: "/", health: "/healthz" },
    });
  });

  it("is a static Vite app and a Flask API, by their file names", () => {
    const { services } = guess({
      "web.Dockerfile": lines(
        "FROM node:24 AS build",
        "COPY . .",
        "RUN npm run build",
        "FROM nginx:1.27-alpine",
        "COPY --from=build /dist /usr/share/nginx/html",
      ),
      "api.Dockerfile": PYTHON('CMD ["flask", "run"]'),
      "package.json": '{ "devDependencies": { "vite": "7.0.0" } }',
      "pyproject.toml": '[project]\ndependencies = ["flask>=3"]\n',
    });
    expect(services).toEqual({
      api: { context: ".", dockerfile: "api.Dockerfile", port: 5000, route: "/api" },
      web: {
        context: ".",
        dockerfile: "web.Dockerfile",
        port: 80,
        route: "/",
        capabilities: ["CHOWN", "NET_BIND_SERVICE", "SETGID", "SETUID"],
      },
    });
  });

  it.each<[string, Record<string, string>]>([
    ["nothing", {}],
    ["a compose file that builds nothing", { "compose.yaml": "services: { db: { image: postgres } }\n" }],
    ["an image of third-party content", { Dockerfile: "FROM postgres:16\nRUN true\n" }],
  ])("is empty for %s", (_, files) => {
    expect(guess(files).services).toEqual({});
  });

  it.each<[string, string]>([
    ["context outside of the repository", "build: ../elsewhere"],
    ["context of another repository", "build: https://example.org/x.git"],
    ["Dockerfile outside of its context", "build: { context: a, dockerfile: ../Dockerfile }"],
  ])("omits a service with a %s, and reports it", (_, build) => {
    const { services, decisions } = guess({
      "compose.yaml": lines("services:", "  a:", `    ${build}`, "  b:", "    build: b"),
      "b/Dockerfile": NODE("EXPOSE 1234"),
    });
    expect(services).toEqual({ b: { context: "b", port: 1234, route: "/" } });
    expect(decisions[0]).toMatch(/^a (is built from|has its Dockerfile).* \(compose\.yaml:3\)$/);
  });
});

/** As init asks: what the configuration takes. */
const KEYS = new Set([
  "health",
  "memoryMb",
  "capabilities",
  "readOnly",
  "startSeconds",
  "command",
  "user",
  "stopSeconds",
]);

describe("a compose file", () => {
  const app = (compose: string, more: Readonly<Record<string, string>> = {}) =>
    guessLayout(
      repositoryOf({
        Dockerfile: NODE("EXPOSE 3000", 'CMD ["node", "server.js"]'),
        "package.json": "{}",
        ...(compose === "" ? {} : { "compose.yaml": compose }),
        ...more,
      }),
      "party",
      (key) => KEYS.has(key),
    );
  const web = (...more: string[]) =>
    lines("services:", "  web:", "    build: .", ...more.map((line) => `    ${line}`));

  it("loses no key silently", () => {
    const keys = [
      "entrypoint: [/bin/start]",
      "init: true",
      "cap_add: [NET_ADMIN]",
      "cap_drop: [ALL]",
      'extra_hosts: ["a:10.0.0.1"]',
      "read_only: true",
      "tmpfs: [/run]",
      "shm_size: 256m",
      "stop_signal: SIGINT",
      "pids_limit: 100",
      "privileged: true",
      "devices: [/dev/fuse]",
      "ulimits: { nofile: 1024 }",
      "sysctls: { a: 1 }",
      "security_opt: [no-new-privileges]",
      "network_mode: host",
      "dns: [1.1.1.1]",
      "restart: always",
      "container_name: web",
      "networks: [back]",
      "depends_on: [db]",
      "secrets: [token]",
      "configs: [nginx]",
      "labels: { a: b }",
      "logging: { driver: none }",
      "env_file: [.env]",
    ];
    const { guesses, decisions, left } = app(web(...keys));
    const said = [...guesses, ...decisions, ...left].join("\n");
    for (const key of keys) expect(said).toContain(key.split(":")[0]);
  });

  it("is converted to configuration keys", () => {
    const { services, decisions } = app(
      web(
        "command: node worker.js",
        'user: "1000"',
        "stop_grace_period: 1m30s",
        "deploy: { resources: { limits: { memory: 1.5G, cpus: '0.5' } }, replicas: 2 }",
        "healthcheck: { test: curl -f http://localhost:3000/ready, start_period: 2m }",
      ),
    );
    expect(services.web).toMatchObject({
      command: "node worker.js",
      user: "1000",
      stopSeconds: 90,
      memoryMb: 1536,
      startSeconds: 120,
      health: "/ready",
    });
    expect(decisions.join("\n")).toMatch(
      /deploy\.resources\.limits\.cpus .*\n.*deploy\.replicas \(2\) is not taken over/,
    );
  });

  it.each<[string, string, number | undefined, string | undefined]>([
    ["a list", 'test: ["CMD", "wget", "-q", "http://127.0.0.1:8080/up"]', 8080, "/up"],
    ["a shell", 'test: ["CMD-SHELL", "curl -sf http://localhost:9000/ping || exit 1"]', 9000, "/ping"],
    ["a text", "test: curl -f http://localhost:9001", 9001, "/"],
    ["another program", 'test: ["CMD", "pg_isready"]', 3000, undefined],
    ["nothing", "disable: true", 3000, undefined],
  ])("has a health check that is %s", (_, check, port, health) => {
    const { services } = app(web(`healthcheck: { ${check} }`));
    expect([services.web?.port, services.web?.health]).toEqual([port, health]);
  });

  it("names the variables of an env_file", () => {
    const { services, secrets } = app(web("env_file: app.env", "environment: { A: 2 }"), {
      "app.env": "# all\nA=1\nexport B='two'\nAPI_TOKEN=x\n",
    });
    expect(services.web?.env).toEqual({ A: "2", B: "two" });
    expect(services.web?.secretEnv).toEqual({ API_TOKEN: { env: "API_TOKEN" } });
    expect([...secrets]).toEqual([["API_TOKEN", "x"]]);
  });

  it("takes the variables of an example for an env_file that git does not track, but not what switches to development", () => {
    const { services, accessories, secrets, left } = guess({
      "compose.yaml": lines(
        "services:",
        "  web:",
        "    build: { context: ., args: ['DEBUG=${DEBUG:-false}'] }",
        "    env_file: .env",
        '    ports: ["${WEB_PORT:-3000}:3000"]',
        "    environment:",
        "      DATABASE_URL: postgres://${DB_USER:?}:${DB_PASSWORD}@db/app",
        "      MAIL_TOKEN: ${MAIL_TOKEN:-}",
        "  db:",
        "    image: postgres:17",
        "    environment:",
        "      - POSTGRES_USER=${DB_USER}",
        "      - POSTGRES_PASSWORD=${DB_PASSWORD:?set it}",
        "    volumes: ['data:/var/lib/postgresql/data']",
      ),
      ".env.example": lines(
        "# copied to .env",
        "export COMPOSE_PROJECT_NAME=party",
        "DEBUG=true",
        "NODE_ENV=development",
        "GREETING='hello there' # for all",
        "DB_USER=party",
        "DB_PASSWORD=changeme",
        "SECRET_KEY=insecure",
        "STRIPE_API_KEY=sk_test_1",
      ),
      Dockerfile: NODE("EXPOSE 3000"),
    });
    expect(services.web).toEqual({
      context: ".",
      port: 3000,
      route: "/",
      args: { DEBUG: "false" },
      env: { MAIL_TOKEN: "", GREETING: "hello there", DB_USER: "party" },
      secretEnv: {
        DATABASE_URL: { env: "DATABASE_URL" },
        DB_PASSWORD: { env: "DB_PASSWORD" },
        SECRET_KEY: { env: "SECRET_KEY" },
        STRIPE_API_KEY: { env: "STRIPE_API_KEY" },
      },
    });
    expect(accessories.db).toMatchObject({
      env: { POSTGRES_USER: "party" },
      secretEnv: { POSTGRES_PASSWORD: { env: "POSTGRES_PASSWORD" } },
    });
    expect(Object.fromEntries(secrets)).toEqual({
      DATABASE_URL: "postgres://party:made-for-DB_PASSWORD@db/app",
      DB_PASSWORD: "made-for-DB_PASSWORD",
      POSTGRES_PASSWORD: "made-for-DB_PASSWORD",
      SECRET_KEY: "made-for-SECRET_KEY",
      STRIPE_API_KEY: "sk_test_1",
    });
    expect(left).toContain(
      "web: COMPOSE_PROJECT_NAME, DEBUG, NODE_ENV of .env.example are left out: they are for development, or compose's own (.env.example:1)",
    );
  });

  it("has a folder that the start fills as a cache, and the secrets that an example leaves open", () => {
    const services = guessLayout(
      repositoryOf({
        "compose.yaml": lines(
          "services:",
          "  web:",
          "    build: .",
          "    ports: ['3000']",
          "    volumes: ['./public:/app/public', './uploads:/app/uploads']",
        ),
        ".env.example": "JWT_SECRET=\nDB_PASSWORD=\nSITE_NAME=Party\nCLIENT_SECRET=\n",
        Dockerfile: lines("FROM node:24", "WORKDIR /srv", "COPY . .", 'ENTRYPOINT ["bin/start"]'),
        "bin/start": '#!/bin/sh\ncp -r /public /app\nexec "$@"\n',
        "routes.js": 'router.use("/health", health)\n',
      }),
      "party",
      (key) => KEYS.has(key) || key === "caches",
      (name) => `made-for-${name}`,
    );
    expect(services.services.web).toEqual({
      context: ".",
      port: 3000,
      route: "/",
      secretEnv: { JWT_SECRET: { env: "JWT_SECRET" } },
      caches: ["/app/public"],
    });
    expect([...services.secrets]).toEqual([["JWT_SECRET", "made-for-JWT_SECRET"]]);
    expect(services.decisions.join("\n")).toContain("./uploads:/app/uploads is left out");
  });

  it("has a database that is built from its image as an accessory, and says what that lacks", () => {
    const { services, accessories, decisions } = guess({
      "compose.yaml": lines(
        "services:",
        "  web: { build: ., ports: ['8000'], depends_on: [db] }",
        "  db: { build: ./db, expose: [5432], environment: { POSTGRES_USER: party } }",
      ),
      Dockerfile: PYTHON(),
      "db/Dockerfile": lines("FROM postgres:16", "ADD create.sql /docker-entrypoint-initdb.d"),
      "db/create.sql": "CREATE DATABASE party;\n",
    });
    expect(Object.keys(services)).toEqual(["web"]);
    expect(accessories.db).toMatchObject({
      image: "postgres:16",
      env: { POSTGRES_USER: "party" },
      volumes: { "db-data": "/var/lib/postgresql/data" },
    });
    expect(decisions[0]).toBe(
      "db: db/Dockerfile adds to postgres:16, which runs without it: make an image of it and name that in accessories.db.image, or do by hand what it prepares (compose.yaml:3)",
    );
  });

  it("is the app's image among Dockerfiles that differ in their base or make packages, with the compose file that runs it", () => {
    const { services, accessories, decisions } = guess({
      "go.mod": "module example.org/party\n",
      "main.go": 'http.HandleFunc("/healthz", health)\n',
      "packaging/debian/Dockerfile": lines(
        "FROM debian:13",
        "RUN apt-get install -y debhelper",
        "ADD . /src",
      ),
      "packaging/debian/build.sh": "dpkg-buildpackage\n",
      "packaging/rpm/Dockerfile": lines("FROM golang:1", "ADD . /src", "RUN dnf install -y rpm-build"),
      "packaging/docker/alpine/Dockerfile": lines("FROM golang:1", "ADD . /src", "EXPOSE 8080"),
      "packaging/docker/distroless/Dockerfile": lines("FROM golang:1", "ADD . /src", "EXPOSE 8080"),
      "contrib/docker-compose/basic.yml": lines(
        "services:",
        "  app: { image: '${IMAGE:-party/party:latest}', ports: ['80:8080'] }",
        "  db: { image: 'postgres:17' }",
      ),
    });
    expect(services).toEqual({
      app: {
        context: ".",
        dockerfile: "packaging/docker/alpine/Dockerfile",
        port: 8080,
        route: "/",
        health: "/healthz",
      },
    });
    expect(Object.keys(accessories)).toEqual(["db"]);
    expect(decisions).toEqual([
      expect.stringContaining("is taken for the one of packaging/docker/alpine/Dockerfile"),
      expect.stringContaining('app: has to answer /version with {"commit"'),
    ]);
  });

  it("is one service of a Dockerfile that others repeat on another base", () => {
    const file = lines("FROM node:24", "WORKDIR /app", "COPY . .", "EXPOSE 3000");
    const { services, decisions } = guess({
      "docker/Dockerfile": file,
      "docker/Dockerfile.alpine": file,
      "docker/Dockerfile.debian": file,
      "package.json": "{}",
    });
    expect(Object.values(services)).toEqual([
      { context: ".", dockerfile: "docker/Dockerfile", port: 3000, route: "/" },
    ]);
    expect(decisions).toEqual(
      expect.arrayContaining([
        "docker/Dockerfile.alpine builds the app of docker/Dockerfile on another base and is left out (docker/Dockerfile.alpine:1)",
      ]),
    );
  });

  it.each([
    ["True", "False"],
    ['env.bool("SSL_REDIRECT", default=True)', "False"],
    ['os.environ.get("SSL_REDIRECT", "True").lower() == "true"', "False"],
    ['bool(int(os.environ.get("SSL_REDIRECT", "1")))', "0"],
    ['env.bool("SSL_REDIRECT", default=False)', undefined],
    ['os.environ.get("SSL_REDIRECT", "no") == "yes"', undefined],
  ])("has Django's redirect to HTTPS off by its variable, if it is on by default: %s", (value, off) => {
    const { services } = guess({
      Dockerfile: PYTHON("EXPOSE 8000"),
      "requirements/base.txt": "Django>=6.0,<6.1\n",
      "party/settings/production.py": `SECURE_SSL_REDIRECT = ${value}\n`,
    });
    expect(services.party?.env).toEqual(
      off === undefined || value === "True" ? undefined : { SSL_REDIRECT: off },
    );
  });

  it("has a volume for the data of a database, and no secret in a switch", () => {
    const { accessories, services } = guess({
      Dockerfile: NODE("EXPOSE 3000"),
      "compose.yaml": lines(
        "services:",
        "  web: { build: ., environment: { ALLOW_PRIVATE_IPS: 'False', PRIVATE_KEY: abc } }",
        "  old: { image: 'postgres:16-alpine' }",
        "  new: { image: 'postgres:18.1' }",
        "  latest: { image: postgres }",
        "  kept: { image: 'postgres:18', volumes: ['pg:/var/lib/postgresql'] }",
        "  other: { image: 'bitnami/postgresql:17' }",
        "  cache: { image: 'redis:8' }",
      ),
    });
    expect(Object.entries(accessories).map(([name, { volumes }]) => [name, volumes])).toEqual([
      ["old", { "old-data": "/var/lib/postgresql/data" }],
      ["new", { "new-data": "/var/lib/postgresql" }],
      ["latest", { "latest-data": "/var/lib/postgresql" }],
      ["kept", { pg: "/var/lib/postgresql" }],
      ["other", undefined],
      ["cache", undefined],
    ]);
    expect(services.web?.env).toEqual({ ALLOW_PRIVATE_IPS: "False" });
  });

  it("keeps the image's settings where compose has those of development", () => {
    const { services, left } = guess({
      "compose.yaml": lines(
        "services:",
        "  web:",
        "    build: .",
        "    ports: ['8000']",
        "    environment: { SETTINGS: party.settings.dev, MODE: dev, DJANGO_ALLOWED_HOSTS: localhost }",
      ),
      Dockerfile: PYTHON("ENV SETTINGS=party.settings.production"),
    });
    expect(services.web?.env).toEqual({ MODE: "dev", DJANGO_ALLOWED_HOSTS: "localhost,127.0.0.1" });
    expect(left).toContain(
      'web: SETTINGS is left out: "party.settings.dev" is for development, the image has "party.settings.production" (compose.yaml:5)',
    );
  });

  it("has the image's own command in place of one for development, and other services by their names here", () => {
    const { services, secrets, left } = guess({
      "compose.yaml": lines(
        "services:",
        "  web:",
        "    build: .",
        "    ports: ['8000:80']",
        "    volumes: ['.:/app']",
        "    command: python manage.py runserver 0.0.0.0:80",
        "    env_file: .env-local",
        "  database_default: { image: postgres:17, volumes: ['data:/var/lib/postgresql/data'] }",
      ),
      ".env-local": "DATABASE_URL=postgres://a:b@database_default:5432/db\nDB_HOST=database_default\n",
      Dockerfile: PYTHON('CMD ["uwsgi", "--http=0.0.0.0:80"]'),
    });
    expect(services.web).toEqual({
      context: ".",
      port: 80,
      route: "/",
      env: { DB_HOST: "database-default" },
      secretEnv: { DATABASE_URL: { env: "DATABASE_URL" } },
    });
    expect(secrets.get("DATABASE_URL")).toBe("postgres://a:b@database-default:5432/db");
    expect(left.join("\n")).toContain('command "python manage.py runserver 0.0.0.0:80" is left out');
  });

  it("has the command for development without what watches sources, if the image has none of its own", () => {
    const files = {
      "compose.yaml": lines(
        "services:",
        "  web:",
        "    build: .",
        "    ports: ['8000']",
        "    volumes: ['.:/app']",
        "    command: uvicorn main:app --reload --workers 1",
      ),
      Dockerfile: PYTHON('ENTRYPOINT ["/app/entrypoint.sh"]'),
    };
    const { services } = guessLayout(repositoryOf(files), "party", () => true);
    expect(services.web).toMatchObject({ command: "uvicorn main:app --workers 1" });
  });

  it("keeps apart secrets of one name with two values", () => {
    const { services, secrets } = guess({
      "compose.yaml": lines(
        "services:",
        "  a: { build: ., ports: ['1000'], environment: { KEY: one } }",
        "  b: { build: ., ports: ['2000'], environment: { KEY: two } }",
      ),
      Dockerfile: NODE(),
    });
    expect([services.a?.secretEnv, services.b?.secretEnv]).toEqual([
      { KEY: { env: "KEY" } },
      { KEY: { env: "B_KEY" } },
    ]);
    expect(Object.fromEntries(secrets)).toEqual({ KEY: "one", B_KEY: "two" });
  });

  it("has the services whose profile has their own name, if no other is built", () => {
    const { services, left } = guess({
      "compose.yaml": lines(
        "services:",
        "  web: { build: ., ports: ['3000'], profiles: [web] }",
        "  css: { build: ., command: watch css, profiles: [assets] }",
      ),
      Dockerfile: NODE(),
    });
    expect(Object.keys(services)).toEqual(["web"]);
    expect(left).toEqual(["css is left out: it starts with the profile assets only (compose.yaml:3)"]);
  });

  const migrated = (compose: readonly string[], more: Readonly<Record<string, string>>) =>
    guessLayout(
      repositoryOf({
        "compose.yaml": lines("services:", "  db: { image: postgres:17 }", ...compose),
        ...more,
      }),
      "party",
      (key) => KEYS.has(key) || key === "releaseCommand",
    ).services;

  it("has a service that ends before others start as the command before a release", () => {
    const services = migrated(
      [
        "  web:",
        "    build: .",
        "    ports: ['8000']",
        "    depends_on: { migrate: { condition: service_completed_successfully } }",
        "  migrate: { build: ., command: [./run, migrate] }",
      ],
      { Dockerfile: PYTHON() },
    );
    expect(services).toEqual({
      web: { context: ".", port: 8000, route: "/", releaseCommand: ["./run", "migrate"] },
    });
  });

  it.each<[string, string[], Record<string, string>, string | undefined]>([
    ["Django's", [], {}, "python manage.py migrate --noinput"],
    [
      "Django's, below the folder that it works in",
      ["WORKDIR /app/src"],
      {},
      "python manage.py migrate --noinput",
    ],
    [
      "a script of that name",
      ["WORKDIR /app/src"],
      {
        "src/manage.py": "",
        "src/scripts/prestart.sh": "alembic upgrade head\n",
        "requirements.txt": "fastapi==0.115.0\n",
      },
      "bash scripts/prestart.sh",
    ],
    ["none if the image starts with it", ['ENTRYPOINT ["/app/start.sh"]'], {}, undefined],
    [
      "Django's, if the image starts with it under a condition",
      ['ENTRYPOINT ["/app/start.sh"]'],
      {
        "start.sh": '#!/bin/sh\nif [ "$1" = gunicorn ]; then\n  python manage.py migrate\nfi\nexec "$@"\n',
      },
      "python manage.py migrate --noinput",
    ],
    [
      "Alembic's",
      [],
      { "requirements.txt": "flask==3.1.0\n", "alembic.ini": "[alembic]\n" },
      "alembic upgrade head",
    ],
  ])("has a framework's migration as the command before a release: %s", (_, dockerfile, more, expected) => {
    const at = dockerfile[0]?.endsWith("src") ? "src/manage.py" : "manage.py";
    const services = migrated(["  web: { build: ., ports: ['8000'] }"], {
      Dockerfile: PYTHON(...dockerfile),
      "requirements.txt": "Django==5.2\n",
      [at]: "",
      "start.sh": 'python manage.py migrate && exec "$@"\n',
      ...more,
    });
    const settings: Readonly<Record<string, unknown>> = { ...services.web };
    expect(settings.releaseCommand).toBe(expected);
  });

  it("may extend, include and be laid under one for production", () => {
    const { services, left } = app(
      lines(
        "include: [more.yaml]",
        "services:",
        "  web:",
        "    extends: { file: common.yaml, service: base }",
        "    environment: [B=2]",
      ),
      {
        "common.yaml": lines("services:", "  base:", "    build: .", "    environment: { A: 1 }"),
        "more.yaml": lines("services:", "  jobs:", "    build: .", "    command: celery worker"),
        "compose.prod.yaml": lines("services:", "  web:", "    environment: { C: 3 }"),
        "compose.override.yaml": lines("services:", "  web:", "    volumes: [.:/app]"),
      },
    );
    expect(services.web?.env).toEqual({ A: "1", B: "2", C: "3" });
    expect(services.jobs).toEqual({ image: "web", command: "celery worker" });
    expect(left.join("\n")).toMatch(
      /compose\.prod\.yaml is laid over compose\.yaml.*\n.*compose\.override\.yaml is not read/,
    );
  });

  it("with only images yields the Dockerfile's service, and names its databases", () => {
    const { services, accessories, decisions, left } = app(
      lines(
        "services:",
        "  proxy: { image: 'traefik:3.6' }",
        "  shop: { image: 'ghcr.io/me/shop-app', ports: ['80:4000'] }",
        "  db: { image: 'mariadb:11' }",
        "  adminer: { image: adminer }",
      ),
    );
    expect(services).toEqual({ shop: { context: ".", port: 4000, route: "/" } });
    expect(accessories).toEqual({ db: { image: "mariadb:11", volumes: { "db-data": "/var/lib/mysql" } } });
    expect(decisions).toEqual(
      expect.arrayContaining([
        "adminer runs an image of others (adminer) and is left out: add it to accessories, or run it beside the app (compose.yaml:5)",
      ]),
    );
    expect(left).toContain("proxy (traefik:3.6) is left out: the edge routes requests (compose.yaml:2)");
  });

  it("with a development profile omits that service", () => {
    const { services, left } = app(`${web()}  watch:\n    build: .\n    profiles: [dev]\n`);
    expect(Object.keys(services)).toEqual(["web"]);
    expect(left).toEqual(["watch is left out: it starts with the profile dev only (compose.yaml:4)"]);
  });

  it("with a server of several processes is not a worker", () => {
    const { services } = app(`${web("command: gunicorn app:app --workers 4")}`);
    expect(services.web?.port).toBe(3000);
  });
});

describe("init PATH", () => {
  const PROJECT = join(__dirname, "../..");
  const folder = mkdtempSync(join(tmpdir(), "watch-party-init-"));
  const stack = `init-${Math.random().toString(36).slice(2, 8)}`;
  const app = join(folder, stack);
  const file = join(PROJECT, `Pulumi.${stack}.yaml`);
  afterAll(() => {
    rmSync(folder, { recursive: true, force: true });
    rmSync(file, { force: true });
  });

  const init = (...args: string[]) =>
    execa(process.execPath, ["-r", "@swc-node/register", "cli/init.ts", ...args], {
      cwd: PROJECT,
      env: { INIT_CWD: folder },
      reject: false,
    });
  const write = (path: string, text: string) => {
    mkdirSync(dirname(join(app, path)), { recursive: true });
    writeFileSync(join(app, path), text);
  };

  it("writes the configuration, gives the reason for each guess, and the next steps", async () => {
    write("Dockerfile", NODE("EXPOSE 4000"));
    const { exitCode, stdout, stderr } = await init(stack, "--json");
    expect(exitCode).toBe(0);
    const { config } = parse(readFileSync(file, "utf8"));
    expect(config).toEqual({
      "watch-party:source": app,
      "watch-party:listen": expect.stringMatching(/^127\.0\.0\.1:\d+$/),
      "watch-party:services": { [stack]: { context: ".", port: 4000, route: "/" } },
    });
    expect(JSON.parse(stdout)).toMatchObject({ stack, file, config, doctor: { errors: 0, notes: 1 } });
    expect(stderr).toContain(`guessed  ${stack}: listens on 4000 (Dockerfile:4)\n`);
    expect(stderr).toContain("decide   a deploy needs a commit: run git init here, and commit\n");
    expect(stderr).toMatch(/\ndoctor {3}0 errors, \d warnings?, 1 note\nnext {5}npm run -s doctor -- \S+$/);
  });

  it("overwrites nothing without --force", async () => {
    const before = readFileSync(file, "utf8");
    write("Dockerfile", NODE("EXPOSE 5000"));
    const refused = await init(stack);
    expect(refused.exitCode).toBe(2);
    expect(refused.stderr).toContain(`error: ${file} exists; choose another stack with --stack`);
    expect(readFileSync(file, "utf8")).toBe(before);
    expect((await init(stack, "--force")).exitCode).toBe(0);
    expect(readFileSync(file, "utf8")).toContain("port: 5000");
  });

  it("exits with 2 for a missing folder, and with 1 without anything to deploy", async () => {
    const missing = await init("no-such-folder");
    expect([missing.exitCode, missing.stderr]).toEqual([
      2,
      'error: "no-such-folder" is not a folder; give the path of the app\'s repository',
    ]);
    const name = `${stack}-empty`;
    mkdirSync(join(folder, name));
    const empty = await init(name);
    expect(empty.exitCode).toBe(1);
    expect(empty.stderr).toMatch(/^error: nothing to deploy below /);
    expect(existsSync(join(PROJECT, `Pulumi.${name}.yaml`))).toBe(false);
  });
});
