import { describe, expect, it } from "@jest/globals";
import { DEPLOY_JOB, type Lines, risksIn } from "../../support/doctorCases";

describe("packages/doctor/outputs.ts", () => {
  it.each<[string, Lines, string[]]>([
    [
      "go build in Makefile then COPY bin",
      {
        Dockerfile: ["FROM alpine", "COPY bin/app /app"],
        "main.go": [""],
        ".gitignore": ["bin/"],
        Makefile: ["docker:", "\tdocker build -t app ."],
      },
      ["Dockerfile:2 warning output-from-outside"],
    ],
    [
      "java gradle libs",
      { Dockerfile: ["FROM eclipse-temurin:21", "COPY build/libs/*.jar app.jar"], "build.gradle": [""] },
      ["Dockerfile:2 warning output-from-outside"],
    ],
    [
      "dotnet publish",
      {
        Dockerfile: ["FROM mcr.microsoft.com/dotnet/aspnet:8.0", "COPY bin/Release/net8.0/publish/ /app"],
        "a.csproj": [""],
      },
      ["Dockerfile:2 warning output-from-outside"],
    ],
    [
      "Dockerfile COPY . with .next",
      {
        Dockerfile: ["FROM node:24", "WORKDIR /app", "COPY . .", "RUN npm ci && npm run build"],
        "package.json": ['{"dependencies":{"next":"15"}}'],
        "next.config.js": ["module.exports={}"],
      },
      ["Dockerfile:3 warning ignored-too-little"],
    ],
    [
      "remix/vite build server",
      {
        Dockerfile: ["FROM node:24", "WORKDIR /app", "COPY build ./build", "CMD node build/server.js"],
        "package.json": ["{}"],
      },
      ["Dockerfile:3 warning output-from-outside"],
    ],
  ])("reports: %s", (_, files, expected) => {
    expect(risksIn(files)).toEqual(expected);
  });

  it.each<[string, Lines]>([
    [
      "dockerignore *.pyc",
      { Dockerfile: ["FROM python:3.12", "COPY . /app"], "a.py": ["x"], ".dockerignore": ["**/*.pyc"] },
    ],
    [
      "PYTHONDONTWRITE + rm",
      {
        Dockerfile: ["FROM python:3.12", "COPY . /app", "RUN find /app -name '*.pyc' -delete"],
        "a.py": ["x"],
        ".dockerignore": ["**/*.py[cod]"],
      },
    ],
    [
      "dockerignore star",
      {
        Dockerfile: ["FROM node:24", "WORKDIR /app", "COPY . .", "RUN npm install"],
        "package.json": ["{}"],
        "src/a.js": [""],
        ".dockerignore": ["*", "!src", "!package.json"],
      },
    ],
    [
      "COPY artifacts built by workflow, called script",
      {
        Dockerfile: ["FROM nginx:1.27", "COPY dist /usr/share/nginx/html"],
        "src/a.js": ["x"],
        ".dockerignore": ["**/node_modules", ".git"],
        ".github/workflows/deploy.yml": [
          ...DEPLOY_JOB,
          "      - run: npm ci",
          "      - run: npm run build",
          "      - uses: docker/build-push-action@v6",
          "        with:",
          "          context: .",
          "          push: true",
        ],
      },
    ],
    [
      "COPY bin from tracked",
      {
        Dockerfile: ["FROM alpine:3", "COPY bin/start /start", "COPY out.txt /x"],
        "src/a.js": ["x"],
        ".dockerignore": ["**/node_modules", ".git"],
        "bin/start": ["x"],
      },
    ],
  ])("is silent about: %s", (_, files) => {
    expect(risksIn(files)).toEqual([]);
  });
});
