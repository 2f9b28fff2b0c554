import { describe, expect, it } from "@jest/globals";
import { type Lines, NODE_APP, risksIn } from "../../support/doctorCases";

describe("packages/doctor/frameworks.ts", () => {
  it.each<[string, Lines, string[]]>([
    [
      "web.config",
      {
        ...NODE_APP,
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
        ...NODE_APP,
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
        ...NODE_APP,
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
        ...NODE_APP,
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
        ...NODE_APP,
        "src/main/resources/application.properties": ["spring.web.resources.cache.period=31536000"],
      },
      ["src/main/resources/application.properties:1 warning pages-cached"],
    ],
    [
      "haproxy",
      {
        ...NODE_APP,
        "haproxy.cfg": ["backend web", '  http-response set-header Cache-Control "public, max-age=3600"'],
      },
      ["haproxy.cfg:2 error pages-cached"],
    ],
    [
      "traefik label",
      {
        ...NODE_APP,
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
