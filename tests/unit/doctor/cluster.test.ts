import { describe, expect, it } from "@jest/globals";
import { DEPLOY_JOB, type Lines, NODE_APP, risksIn } from "../../support/doctorCases";

describe("packages/doctor/cluster.ts", () => {
  it.each<[string, Lines, string[]]>([
    [
      "kubectl apply latest without rollout",
      {
        ...NODE_APP,
        "k8s/a.yaml": [
          "apiVersion: apps/v1",
          "kind: Deployment",
          "spec:",
          "  template:",
          "    spec:",
          "      containers:",
          "        - name: a",
          "          image: ghcr.io/me/app:latest",
        ],
        ".github/workflows/deploy.yml": [
          ...DEPLOY_JOB,
          "      - run: docker build -t ghcr.io/me/app:latest . && docker push ghcr.io/me/app:latest",
          "      - run: kubectl apply -f k8s/",
        ],
      },
      ["k8s/a.yaml:8 warning image-not-pulled"],
    ],
    [
      "kamal gha",
      {
        ...NODE_APP,
        "config/deploy.yml": ["service: a", "image: me/a", "builder:", "  cache:", "    type: gha"],
      },
      ["config/deploy.yml:4 error cache-from"],
    ],
    [
      "helm values pull IfNotPresent latest",
      {
        ...NODE_APP,
        "charts/a/values.yaml": [
          "image:",
          "  repository: ghcr.io/me/app",
          "  tag: latest",
          "  pullPolicy: IfNotPresent",
        ],
      },
      ["charts/a/values.yaml:3 warning image-not-pulled"],
    ],
  ])("reports: %s", (_, files, expected) => {
    expect(risksIn(files)).toEqual(expected);
  });

  it.each<[string, Lines]>([
    [
      "k8s versioned/sha",
      {
        ...NODE_APP,
        "k8s/a.yaml": [
          "apiVersion: apps/v1",
          "kind: Deployment",
          "spec:",
          "  template:",
          "    spec:",
          "      containers:",
          "        - name: a",
          "          image: ghcr.io/me/app:1.4.2",
          "          imagePullPolicy: IfNotPresent",
          "        - name: b",
          "          image: ghcr.io/me/app:${TAG}",
          "        - name: c",
          "          image: ghcr.io/me/app:latest",
        ],
      },
    ],
    [
      "k8s dev overlay",
      {
        ...NODE_APP,
        "k8s/overlays/dev/a.yaml": [
          "apiVersion: apps/v1",
          "kind: Deployment",
          "spec:",
          "  template:",
          "    spec:",
          "      containers:",
          "        - name: a",
          "          image: me/app:dev",
          "          imagePullPolicy: Never",
        ],
      },
    ],
  ])("is silent about: %s", (_, files) => {
    expect(risksIn(files)).toEqual([]);
  });
});
