import { describe, expect, it } from "@jest/globals";
import { DEPLOY_JOB, type Lines, NODE_APP, risksIn } from "../../support/doctorCases";

/** A service with a volume over its build output, whose entrypoint runs one command before it starts. */
const startingWith = (command: string): Lines => ({
  "entrypoint.sh": ["#!/bin/sh", "set -e", command, "exec node src/a.js"],
  "compose.yaml": [
    "services:",
    "  web:",
    "    build: .",
    "    entrypoint: ./entrypoint.sh",
    "    volumes: ['out:/app/dist']",
  ],
});

describe("packages/doctor/compose.ts", () => {
  it.each<[string, Lines, string[]]>([
    [
      "shared static volume",
      {
        Dockerfile: [
          "FROM node:24 AS b",
          "WORKDIR /app",
          "COPY src ./src",
          "RUN npm run build",
          "FROM nginx:1.27",
          "COPY --from=b /app/dist /usr/share/nginx/html",
        ],
        "src/a": [""],
        "compose.yaml": [
          "services:",
          "  web:",
          "    build: .",
          "    volumes:",
          "      - html:/usr/share/nginx/html",
          "  proxy:",
          "    image: nginx:1.27",
          "    volumes:",
          "      - html:/usr/share/nginx/html:ro",
        ],
      },
      ["compose.yaml:5 error volume-over-image"],
    ],
    [
      "collectstatic at build, volume",
      {
        Dockerfile: [
          "FROM python:3.12",
          "WORKDIR /code",
          "COPY src .",
          "RUN python manage.py collectstatic --noinput",
        ],
        "src/a.js": ["x"],
        ".dockerignore": ["**/node_modules", ".git"],
        "compose.yaml": [
          "services:",
          "  web:",
          "    build: .",
          "    volumes:",
          "      - static_volume:/code/static",
        ],
      },
      ["compose.yaml:5 error volume-over-image"],
    ],
    [
      "anon .next long form",
      {
        ...NODE_APP,
        "compose.yaml": [
          "services:",
          "  web:",
          "    build: .",
          "    volumes:",
          "      - type: volume",
          "        target: /app/.next",
        ],
      },
      ["compose.yaml:5 error volume-over-image"],
    ],
    [
      "volume over node_modules prod",
      {
        ...NODE_APP,
        "compose.yaml": [
          "services:",
          "  web:",
          "    build: .",
          "    volumes:",
          "      - node_modules:/app/node_modules",
        ],
      },
      ["compose.yaml:5 error volume-over-image"],
    ],
    [
      "app volume named",
      {
        ...NODE_APP,
        "compose.yaml": ["services:", "  web:", "    build: .", "    volumes:", "      - app:/app"],
      },
      ["compose.yaml:5 error volume-over-image"],
    ],
    [
      "external image own + volume over code",
      {
        ...NODE_APP,
        "compose.yaml": [
          "services:",
          "  web:",
          "    image: ghcr.io/me/app:1.0",
          "    volumes:",
          "      - code:/app",
          "  nginx:",
          "    image: nginx",
          "    volumes:",
          "      - code:/app:ro",
        ],
        ".github/workflows/deploy.yml": [
          ...DEPLOY_JOB,
          "      - run: docker build -t ghcr.io/me/app:1.0 . && docker push ghcr.io/me/app:1.0",
        ],
      },
      ["compose.yaml:5 error volume-over-image"],
    ],
    [
      "anchors",
      {
        ...NODE_APP,
        "compose.yaml": [
          "x-build: &b",
          "  context: .",
          "  cache_from: [me/app]",
          "services:",
          "  web:",
          "    build:",
          "      <<: *b",
        ],
      },
      ["compose.yaml:3 error cache-from"],
    ],
    [
      "VOLUME over code that compose starts",
      {
        Dockerfile: ["FROM node:24", "WORKDIR /app", "COPY src ./src", "VOLUME /app"],
        "src/a.js": ["x"],
        "compose.yaml": ["services:", "  web:", "    build: ."],
        "deploy.sh": ["set -e", "git pull", "docker compose up -d --build"],
      },
      ["Dockerfile:4 error volume-over-image"],
    ],
    [
      "VOLUME over code that nothing here starts",
      {
        Dockerfile: ["FROM node:24", "WORKDIR /app", "COPY src ./src", "VOLUME /app"],
        "src/a.js": ["x"],
      },
      ["Dockerfile:4 warning volume-over-image"],
    ],
    [
      "static volume that the start does not fill",
      {
        ...NODE_APP,
        ...startingWith("mkdir -p /app/dist"),
      },
      ["compose.yaml:5 error volume-over-image"],
    ],
  ])("reports: %s", (_, files, expected) => {
    expect(risksIn(files)).toEqual(expected);
  });

  it.each<[string, Lines]>([
    [
      "no_cache compose with cache_from",
      {
        ...NODE_APP,
        "compose.yaml": [
          "services:",
          "  web:",
          "    build:",
          "      context: .",
          "      no_cache: true",
          "      cache_from: [me/app]",
        ],
      },
    ],
    [
      "volume data",
      {
        ...NODE_APP,
        "compose.yaml": [
          "services:",
          "  web:",
          "    build: .",
          "    volumes:",
          "      - data:/data",
          "      - uploads:/app/uploads",
          "      - ./nginx.conf:/etc/nginx/nginx.conf:ro",
          "      - ./certs:/app/certs:ro",
        ],
      },
    ],
    [
      "third party images",
      {
        ...NODE_APP,
        "compose.yaml": [
          "services:",
          "  web:",
          "    build: .",
          "  npm:",
          "    image: jc21/nginx-proxy-manager:latest",
          "  tri:",
          "    image: zadam/trilium:latest",
          "  pg:",
          "    image: dpage/pgadmin4",
          "  s3:",
          "    image: quay.io/minio/minio",
          "  mail:",
          "    image: axllent/mailpit:latest",
          "  api:",
          "    image: ghcr.io/open-webui/open-webui:main",
          "  auth:",
          "    image: ghcr.io/goauthentik/server:latest",
          "  w:",
          "    image: containrrr/watchtower",
        ],
      },
    ],
    [
      "third-party roles",
      {
        ...NODE_APP,
        "compose.yaml": [
          "services:",
          "  web:",
          "    build: .",
          "  auth:",
          "    image: supertokens/supertokens-postgresql:latest",
          "  proxy:",
          "    image: tecnativa/docker-socket-proxy:latest",
          "  ui:",
          "    image: provectuslabs/kafka-ui:latest",
          "  adm:",
          "    image: mongo-express:latest",
          "  red:",
          "    image: rediscommander/redis-commander:latest",
          "  lt:",
          "    image: localstack/localstack:latest",
        ],
      },
    ],
    [
      "image var tag",
      {
        ...NODE_APP,
        "compose.yaml": [
          "services:",
          "  web:",
          "    image: ${REGISTRY}/app:${TAG}",
          "  api:",
          "    image: registry.me.org/api:${TAG:?set it}",
        ],
      },
    ],
    [
      "override mount",
      {
        ...NODE_APP,
        "compose.yaml": ["services:", "  web:", "    build: ."],
        "compose.override.yaml": [
          "services:",
          "  web:",
          "    volumes:",
          "      - .:/app",
          "    command: npm run dev",
        ],
      },
    ],
    [
      "profile + debug mounts",
      {
        ...NODE_APP,
        "compose.yaml": [
          "services:",
          "  web:",
          "    build: .",
          "  dev:",
          "    profiles: [development]",
          "    build: .",
          "    volumes: ['.:/app']",
          "  dbg:",
          "    profiles: ['debug']",
          "    build: .",
          "    volumes: ['/app/node_modules']",
        ],
      },
    ],
    [
      "service called dev",
      {
        ...NODE_APP,
        "compose.yaml": [
          "services:",
          "  web:",
          "    build: .",
          "  web-dev:",
          "    build: .",
          "    volumes: ['.:/app', '/app/node_modules']",
        ],
      },
    ],
    [
      "entrypoint collectstatic volume",
      {
        Dockerfile: ["FROM python:3.12", "WORKDIR /app", "COPY src ./src", 'ENTRYPOINT ["./entrypoint.sh"]'],
        "src/a.js": ["x"],
        ".dockerignore": ["**/node_modules", ".git"],
        "entrypoint.sh": [
          "#!/bin/sh",
          "set -e",
          "python manage.py collectstatic --noinput",
          "exec gunicorn x",
        ],
        "compose.yaml": ["services:", "  web:", "    build: .", "    volumes:", "      - static:/app/static"],
      },
    ],
    [
      "VOLUME over code whose container is removed before each start",
      {
        Dockerfile: ["FROM node:24", "WORKDIR /app", "COPY src ./src", "VOLUME /app"],
        "src/a.js": ["x"],
        "compose.yaml": ["services:", "  web:", "    build: .", "    volumes: [/app/src]"],
        "deploy.sh": ["set -e", "git pull", "docker compose down", "docker compose up -d --build"],
      },
    ],
    [
      "static volume that the start builds, read by a proxy that has nothing there",
      {
        Dockerfile: [
          "FROM python:3.12",
          "ARG KIND",
          "WORKDIR /home/app/web",
          "COPY deploy/entrypoint.$KIND.sh ./entrypoint.sh",
          "COPY src .",
          'ENTRYPOINT ["/home/app/web/entrypoint.sh"]',
        ],
        "src/a.js": ["x"],
        "deploy/entrypoint.prod.sh": [
          "set -e",
          "npm run build",
          "python manage.py collectstatic --noinput",
          'exec "$@"',
        ],
        "proxy/Dockerfile": ["FROM nginx:1.27", "COPY nginx.conf /etc/nginx/conf.d/"],
        "proxy/nginx.conf": ["server {}"],
        ".dockerignore": ["**/node_modules"],
        "compose.yaml": [
          "services:",
          "  web:",
          "    build: { context: ., args: { KIND: prod } }",
          "    volumes: ['static:/home/app/web/public/static']",
          "  proxy:",
          "    build: proxy",
          "    volumes: ['static:/home/app/web/public/static']",
        ],
      },
    ],
    [
      "volume that the entrypoint copies the image's files into",
      {
        ...NODE_APP,
        ...startingWith("cp -a /built/. /app/dist/"),
      },
    ],
    [
      "official image of which the own registry has a copy",
      {
        ...NODE_APP,
        "mirror.sh": ["set -e", "docker tag nginx localhost:5000/nginx", "docker push localhost:5000/nginx"],
        "compose.yaml": ["services:", "  web:", "    build: .", "  proxy:", "    image: nginx"],
      },
    ],
    [
      "volume that another service of the same image fills when it starts",
      {
        ...NODE_APP,
        "entrypoint.sh": [
          "#!/bin/sh",
          "set -e",
          "rsync -a --delete /app/dist-image/ /app/dist/",
          'exec "$@"',
        ],
        Dockerfile: [
          "FROM node:24",
          "WORKDIR /app",
          "COPY src ./src",
          "COPY entrypoint.sh /entrypoint.sh",
          'ENTRYPOINT ["/entrypoint.sh"]',
        ],
        "compose.yaml": [
          "services:",
          "  web:",
          "    build: .",
          "    image: app:latest",
          "    volumes: ['dist:/app/dist']",
          "  worker:",
          "    image: app:latest",
          "    command: node src/a.js",
          "    volumes: ['dist:/app/dist']",
        ],
      },
    ],
  ])("is silent about: %s", (_, files) => {
    expect(risksIn(files)).toEqual([]);
  });
});
