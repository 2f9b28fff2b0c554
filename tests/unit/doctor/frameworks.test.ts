import { describe, expect, it } from "@jest/globals";
import { type Lines, risksIn } from "../../support/doctorCases";

describe("packages/doctor/frameworks.ts", () => {
  it.each<[string, Lines, string[]]>([
    [
      "web.config",
      {
        Dockerfile: ["FROM node:24", "WORKDIR /app", "COPY src ./src", "CMD node src/a.js"],
        "src/a.js": ["x"],
        ".dockerignore": ["**/node_modules", ".git"],
        "web.config": [
          "<configuration><system.webServer><staticContent>",
          '<clientCache cacheControlMode="UseMaxAge" cacheControlMaxAge="7.00:00:00" />',
          "</staticContent></system.webServer></configuration>",
        ],
      },
      ["web.config:2 warning pages-cached"],
    ],
    [
      "gae app.yaml",
      {
        Dockerfile: ["FROM node:24", "WORKDIR /app", "COPY src ./src", "CMD node src/a.js"],
        "src/a.js": ["x"],
        ".dockerignore": ["**/node_modules", ".git"],
        "app.yaml": [
          "runtime: python312",
          'default_expiration: "30d"',
          "handlers:",
          "  - url: /",
          "    static_files: dist/index.html",
          "    upload: dist/index.html",
        ],
      },
      ["app.yaml:2 warning pages-cached"],
    ],
    [
      "flask",
      {
        Dockerfile: ["FROM node:24", "WORKDIR /app", "COPY src ./src", "CMD node src/a.js"],
        "src/a.js": ["x"],
        ".dockerignore": ["**/node_modules", ".git"],
        "app.py": [
          "app = Flask(__name__, static_folder='dist', static_url_path='')",
          "app.config['SEND_FILE_MAX_AGE_DEFAULT'] = 31536000",
        ],
      },
      ["app.py:2 warning pages-cached"],
    ],
    [
      "django cache_page",
      {
        Dockerfile: ["FROM node:24", "WORKDIR /app", "COPY src ./src", "CMD node src/a.js"],
        "src/a.js": ["x"],
        ".dockerignore": ["**/node_modules", ".git"],
        "views.py": [
          "from django.views.decorators.cache import cache_page",
          "@cache_page(60 * 60 * 24)",
          "def index(request): pass",
        ],
      },
      ["views.py:2 warning pages-cached"],
    ],
    [
      "spring",
      {
        Dockerfile: ["FROM node:24", "WORKDIR /app", "COPY src ./src", "CMD node src/a.js"],
        "src/a.js": ["x"],
        ".dockerignore": ["**/node_modules", ".git"],
        "src/main/resources/application.properties": ["spring.web.resources.cache.period=31536000"],
      },
      ["src/main/resources/application.properties:1 warning pages-cached"],
    ],
    [
      "haproxy",
      {
        Dockerfile: ["FROM node:24", "WORKDIR /app", "COPY src ./src", "CMD node src/a.js"],
        "src/a.js": ["x"],
        ".dockerignore": ["**/node_modules", ".git"],
        "haproxy.cfg": ["backend web", '  http-response set-header Cache-Control "public, max-age=3600"'],
      },
      ["haproxy.cfg:2 error pages-cached"],
    ],
    [
      "traefik label",
      {
        Dockerfile: ["FROM node:24", "WORKDIR /app", "COPY src ./src", "CMD node src/a.js"],
        "src/a.js": ["x"],
        ".dockerignore": ["**/node_modules", ".git"],
        "compose.yaml": [
          "services:",
          "  web:",
          "    build: .",
          "    labels:",
          '      - "traefik.http.middlewares.c.headers.customresponseheaders.Cache-Control=public, max-age=86400"',
        ],
      },
      ["compose.yaml:5 warning pages-cached"],
    ],
  ])("reports: %s", (_, files, expected) => {
    expect(risksIn(files)).toEqual(expected);
  });
});
