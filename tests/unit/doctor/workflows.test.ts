import { describe, expect, it } from "@jest/globals";
import { DEPLOY_JOB, type Lines, NODE_APP, risksIn } from "../../support/doctorCases";

describe("packages/doctor/workflows.ts", () => {
  it.each<[string, Lines, string[]]>([
    [
      "jenkins",
      {
        ...NODE_APP,
        "compose.yaml": ["services:", "  web:", "    build: ."],
        Jenkinsfile: [
          "pipeline { agent any",
          "stages { stage('d') { steps {",
          "sh 'git pull || true'",
          "sh 'docker-compose up -d --build'",
          "} } } }",
        ],
      },
      ["Jenkinsfile:3 error pull-swallowed"],
    ],
    [
      "jenkins multi docker.build cacheFrom",
      {
        ...NODE_APP,
        Jenkinsfile: [
          "node {",
          "  def img = docker.build('me/app', '--cache-from me/app:latest .')",
          "  img.push()",
          "}",
        ],
      },
      ["Jenkinsfile:2 error cache-from"],
    ],
    [
      "drone plugin",
      {
        ...NODE_APP,
        ".drone.yml": [
          "kind: pipeline",
          "steps:",
          "  - name: b",
          "    image: plugins/docker",
          "    settings:",
          "      repo: me/app",
          "      cache_from: me/app:latest",
        ],
      },
      [".drone.yml:7 warning cache-from"],
    ],
    [
      "woodpecker buildx",
      {
        ...NODE_APP,
        ".woodpecker.yml": [
          "steps:",
          "  b:",
          "    image: woodpeckerci/plugin-docker-buildx",
          "    settings:",
          "      repo: me/app",
          "      cache_images: [me/app:cache]",
        ],
      },
      [".woodpecker.yml:6 warning cache-from"],
    ],
    [
      "codebuild",
      {
        ...NODE_APP,
        "buildspec.yml": [
          "version: 0.2",
          "phases:",
          "  build:",
          "    commands:",
          "      - docker pull $REPO:latest || true",
          "      - docker build --cache-from $REPO:latest -t $REPO:latest .",
        ],
      },
      ["buildspec.yml:6 warning cache-from"],
    ],
    [
      "cloudbuild args",
      {
        ...NODE_APP,
        "cloudbuild.yaml": [
          "steps:",
          "  - name: gcr.io/cloud-builders/docker",
          "    args: ['build', '--cache-from', 'gcr.io/$PROJECT_ID/app:latest', '-t', 'gcr.io/$PROJECT_ID/app:latest', '.']",
        ],
      },
      ["cloudbuild.yaml:3 warning cache-from"],
    ],
    [
      "cloudbuild kaniko",
      {
        ...NODE_APP,
        "cloudbuild.yaml": [
          "steps:",
          "  - name: gcr.io/kaniko-project/executor:latest",
          "    args:",
          "      - --destination=gcr.io/$PROJECT_ID/app",
          "      - --cache=true",
          "      - --cache-ttl=336h",
        ],
      },
      ["cloudbuild.yaml:4 warning cache-from"],
    ],
    [
      "azure Docker@2",
      {
        ...NODE_APP,
        "azure-pipelines.yml": [
          "steps:",
          "  - task: Docker@2",
          "    inputs:",
          "      command: build",
          "      arguments: --cache-from me/app:latest",
        ],
      },
      ["azure-pipelines.yml:5 warning cache-from"],
    ],
    [
      "azure Cache task next",
      {
        ...NODE_APP,
        "azure-pipelines.yml": [
          "steps:",
          "  - task: Cache@2",
          "    inputs:",
          "      key: next",
          "      path: $(System.DefaultWorkingDirectory)/.next/cache",
          "  - script: npm run build",
        ],
      },
      ["azure-pipelines.yml:5 warning build-cache-restored"],
    ],
    [
      "circle restore .next/cache",
      {
        ...NODE_APP,
        ".circleci/config.yml": [
          "version: 2.1",
          "jobs:",
          "  b:",
          "    steps:",
          "      - restore_cache:",
          "          keys: [next-]",
          "      - run: npm run build",
          "      - save_cache:",
          "          key: next-{{ .Revision }}",
          "          paths: [.next/cache]",
        ],
      },
      [".circleci/config.yml:10 warning build-cache-restored"],
    ],
    [
      "gitlab cache dist",
      {
        ...NODE_APP,
        ".gitlab-ci.yml": [
          "build:",
          "  cache:",
          "    key: x",
          "    paths: [.next/cache/, dist/]",
          "  script: [npm run build]",
        ],
      },
      [".gitlab-ci.yml:4 warning build-cache-restored"],
    ],
    [
      "actions cache dist",
      {
        ...NODE_APP,
        ".github/workflows/deploy.yml": [
          ...DEPLOY_JOB,
          "      - uses: actions/cache@v4",
          "        with:",
          "          path: dist",
          "          key: dist-${{ hashFiles('package-lock.json') }}",
          "      - run: npm run build",
          "      - run: rsync -az --delete dist/ me@h:/srv",
        ],
      },
      [".github/workflows/deploy.yml:8 warning build-cache-restored"],
    ],
    [
      "setup-node turbo cache",
      {
        ...NODE_APP,
        ".github/workflows/deploy.yml": [
          ...DEPLOY_JOB,
          "      - uses: actions/cache@v4",
          "        with:",
          "          path: apps/web/.next/cache",
          "          key: ${{ github.sha }}",
          "          restore-keys: next-",
          "      - run: npm run build",
        ],
      },
      [".github/workflows/deploy.yml:8 warning build-cache-restored"],
    ],
  ])("reports: %s", (_, files, expected) => {
    expect(risksIn(files)).toEqual(expected);
  });

  it.each<[string, Lines]>([
    [
      "action without push/load with cache",
      {
        ...NODE_APP,
        ".github/workflows/deploy.yml": [
          ...DEPLOY_JOB,
          "      - uses: docker/build-push-action@v6",
          "        with:",
          "          context: .",
          "          cache-from: type=gha",
          "          cache-to: type=gha",
          "      - run: npm test",
        ],
      },
    ],
    [
      "action load + tests only",
      {
        ...NODE_APP,
        ".github/workflows/deploy.yml": [
          ...DEPLOY_JOB,
          "      - uses: docker/build-push-action@v6",
          "        with:",
          "          context: .",
          "          load: true",
          "          tags: t",
          "          cache-from: type=gha",
          "      - run: docker run --rm t npm test",
        ],
      },
    ],
    [
      "cache deps only",
      {
        ...NODE_APP,
        ".github/workflows/deploy.yml": [
          ...DEPLOY_JOB,
          "      - uses: actions/cache@v4",
          "        with:",
          "          path: |",
          "            ~/.npm",
          "            node_modules",
          "            .venv",
          "          key: ${{ hashFiles('package-lock.json') }}",
          "      - run: docker build -t x .",
        ],
      },
    ],
    [
      "bitbucket node cache",
      {
        ...NODE_APP,
        "bitbucket-pipelines.yml": [
          "pipelines:",
          "  default:",
          "    - step:",
          "        caches: [node]",
          "        script: [npm ci, npm test]",
        ],
      },
    ],
    [
      "gitlab cache deps",
      {
        ...NODE_APP,
        ".gitlab-ci.yml": [
          "cache:",
          "  paths: [node_modules/, .npm/]",
          "build:",
          "  image: docker",
          "  services: [docker:dind]",
          "  script:",
          "    - docker build -t $CI_REGISTRY_IMAGE:$CI_COMMIT_SHA .",
          "    - docker push $CI_REGISTRY_IMAGE:$CI_COMMIT_SHA",
        ],
      },
    ],
  ])("is silent about: %s", (_, files) => {
    expect(risksIn(files)).toEqual([]);
  });
});
