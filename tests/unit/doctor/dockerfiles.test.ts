import { describe, expect, it } from "@jest/globals";
import { type Lines, risksIn } from "../../support/doctorCases";

describe("packages/doctor/dockerfiles.ts", () => {
  it.each<[string, Lines, string[]]>([
    [
      "VOLUME html",
      {
        Dockerfile: ["FROM nginx:1.27", "COPY dist /usr/share/nginx/html", "VOLUME /usr/share/nginx/html"],
        "dist/index.html": [""],
      },
      ["Dockerfile:3 warning volume-over-image"],
    ],
    [
      "next cache mount",
      {
        Dockerfile: [
          "FROM node:24",
          "WORKDIR /app",
          "COPY src ./src",
          "RUN --mount=type=cache,target=/app/.next/cache npm run build",
        ],
      },
      ["Dockerfile:4 error cache-mount"],
    ],
    [
      "cache mount of cargo, which compares times",
      {
        ".dockerignore": ["target"],
        Dockerfile: [
          "FROM rust:1.90",
          "WORKDIR /app",
          "COPY . .",
          "RUN --mount=type=cache,target=/app/target cargo build --release && cp target/release/x /usr/local/bin/x",
        ],
        "src/main.rs": ["x"],
      },
      ["Dockerfile:4 warning cache-mount"],
    ],
    [
      "cache mount of a bundler's own cache",
      {
        ".dockerignore": ["**/node_modules"],
        Dockerfile: [
          "FROM node:24",
          "WORKDIR /app",
          "COPY src ./src",
          "RUN --mount=type=cache,target=/app/node_modules/.cache/webpack yarn build",
        ],
        "src/a.js": ["x"],
      },
      ["Dockerfile:4 warning cache-mount"],
    ],
    [
      "cache mount of maven's output",
      {
        ".dockerignore": ["target"],
        Dockerfile: [
          "FROM maven:3",
          "WORKDIR /app",
          "COPY src ./src",
          "RUN --mount=type=cache,target=/app/target mvn package && cp target/app.jar /app.jar",
        ],
        "src/a.java": ["x"],
      },
      ["Dockerfile:4 error cache-mount"],
    ],
  ])("reports: %s", (_, files, expected) => {
    expect(risksIn(files)).toEqual(expected);
  });

  it.each<[string, Lines]>([
    [
      "cache mount npm pip go",
      {
        ".dockerignore": ["**/node_modules"],
        Dockerfile: [
          "FROM node:24",
          "WORKDIR /app",
          "COPY package*.json ./",
          "RUN --mount=type=cache,target=/root/.npm npm ci",
          "COPY src ./src",
        ],
      },
    ],
    [
      "cache mount apt uv",
      {
        Dockerfile: [
          "FROM python:3.12",
          "RUN --mount=type=cache,target=/var/cache/apt,sharing=locked apt-get update",
          "RUN --mount=type=cache,target=/root/.cache/uv --mount=type=bind,source=uv.lock,target=uv.lock uv sync --locked --no-install-project",
          "COPY src ./src",
        ],
      },
    ],
    [
      "cache mount pnpm store id",
      {
        Dockerfile: [
          "FROM node:24",
          "ENV PNPM_HOME=/pnpm",
          "COPY package.json pnpm-lock.yaml ./",
          "RUN --mount=type=cache,id=pnpm,target=/pnpm/store pnpm install --frozen-lockfile",
          "COPY src ./src",
        ],
      },
    ],
    [
      "cache mount gobuild",
      {
        Dockerfile: [
          "FROM golang:1.24",
          "WORKDIR /src",
          "COPY go.* ./",
          "RUN go mod download",
          "COPY src ./src",
          "RUN --mount=type=cache,target=/root/.cache/go-build --mount=type=cache,target=/go/pkg/mod go build -o /app ./src",
        ],
      },
    ],
    [
      "or true on optional",
      {
        Dockerfile: [
          "FROM debian:12",
          "RUN rm -rf /var/lib/apt/lists/* || true",
          "RUN useradd app || true",
          "COPY src /src",
        ],
      },
    ],
    [
      "cache mount that cargo does not write to",
      {
        ".dockerignore": ["target"],
        Dockerfile: [
          "FROM rust:1.90",
          "WORKDIR /app",
          "COPY . .",
          "RUN --mount=type=cache,target=/app/target cargo build --release --target-dir /app/out",
        ],
        "src/main.rs": ["x"],
      },
    ],
  ])("is silent about: %s", (_, files) => {
    expect(risksIn(files)).toEqual([]);
  });
});
