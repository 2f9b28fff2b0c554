import { describe, expect, it } from "@jest/globals";
import { DEPLOY_JOB, type Lines, NODE_APP, risksIn } from "../../support/doctorCases";

describe("packages/doctor/infrastructure.ts", () => {
  it.each<[string, Lines, string[]]>([
    [
      "quadlet",
      {
        ...NODE_APP,
        "app.container": ["[Container]", "Image=ghcr.io/me/app:latest", "PublishPort=80:80"],
        ".github/workflows/deploy.yml": [
          ...DEPLOY_JOB,
          "      - run: docker build -t ghcr.io/me/app:latest . && docker push ghcr.io/me/app:latest",
        ],
      },
      ["app.container:2 warning image-not-pulled"],
    ],
    [
      "terraform docker_image",
      {
        ...NODE_APP,
        "main.tf": ['resource "docker_image" "app" {', '  name = "ghcr.io/me/app:latest"', "}"],
        ".github/workflows/deploy.yml": [
          ...DEPLOY_JOB,
          "      - run: docker build -t ghcr.io/me/app:latest . && docker push ghcr.io/me/app:latest",
        ],
      },
      ["main.tf:1 warning image-not-pulled"],
    ],
    [
      "nomad",
      {
        ...NODE_APP,
        "app.nomad": [
          'job "a" {',
          '  task "t" {',
          '    driver = "docker"',
          "    config {",
          '      image = "ghcr.io/me/app:latest"',
          "    }",
          "  }",
          "}",
        ],
        ".github/workflows/deploy.yml": [
          ...DEPLOY_JOB,
          "      - run: docker build -t ghcr.io/me/app:latest . && docker push ghcr.io/me/app:latest",
        ],
      },
      ["app.nomad:5 warning image-not-pulled"],
    ],
  ])("reports: %s", (_, files, expected) => {
    expect(risksIn(files)).toEqual(expected);
  });
});
