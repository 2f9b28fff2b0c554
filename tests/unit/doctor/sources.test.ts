import { describe, expect, it } from "@jest/globals";
import { type Lines, risksIn } from "../../support/doctorCases";

describe("packages/doctor/sources.ts", () => {
  it.each<[string, Lines, string[]]>([
    [
      "degit",
      { Dockerfile: ["FROM node:24", "WORKDIR /app", "RUN npx degit me/app .", "RUN npm i"] },
      ["Dockerfile:3 warning source-past-context"],
    ],
    [
      "svn export",
      { Dockerfile: ["FROM node:24", "RUN svn export https://github.com/me/app/trunk /app"] },
      ["Dockerfile:2 warning source-past-context"],
    ],
    [
      "gh clone",
      { Dockerfile: ["FROM node:24", "WORKDIR /app", "RUN gh repo clone me/app ."] },
      ["Dockerfile:3 warning source-past-context"],
    ],
    [
      "go install latest",
      {
        Dockerfile: [
          "FROM golang:1.24",
          "RUN go install github.com/me/app@latest",
          "FROM alpine",
          "COPY --from=0 /go/bin/app /app",
        ],
      },
      ["Dockerfile:2 warning source-past-context"],
    ],
    [
      "cargo install git",
      { Dockerfile: ["FROM rust:1", "RUN cargo install --git https://github.com/me/app"] },
      ["Dockerfile:2 warning source-past-context"],
    ],
    [
      "releases/latest/download",
      {
        Dockerfile: [
          "FROM debian:12",
          "WORKDIR /app",
          "RUN curl -L https://github.com/me/app/releases/latest/download/app.tar.gz | tar xz",
        ],
      },
      ["Dockerfile:3 warning source-past-context"],
    ],
    [
      "composer create-project / npm i github:",
      { Dockerfile: ["FROM node:24", "WORKDIR /app", "RUN npm install github:me/lib"] },
      ["Dockerfile:3 warning source-past-context"],
    ],
    [
      "wget archive main",
      {
        Dockerfile: [
          "FROM debian:12",
          "WORKDIR /app",
          "RUN wget -qO- https://github.com/me/app/archive/main.tar.gz | tar xz --strip 1",
        ],
      },
      ["Dockerfile:3 warning source-past-context"],
    ],
  ])("reports: %s", (_, files, expected) => {
    expect(risksIn(files)).toEqual(expected);
  });

  it.each<[string, Lines]>([
    [
      "clone tag archive",
      {
        Dockerfile: [
          "FROM debian:12",
          "RUN curl -L https://github.com/x/y/archive/refs/tags/v1.2.tar.gz | tar xz",
          "RUN git clone --branch v1.2.3 --depth 1 https://github.com/x/y /opt/y",
          "RUN pip install git+https://github.com/x/y@0123456789abcdef0123456789abcdef01234567",
          "COPY src /src",
        ],
        "src/a.js": ["x"],
        ".dockerignore": ["**/node_modules", ".git"],
      },
    ],
    [
      "pip extra index",
      {
        Dockerfile: [
          "FROM python:3.12",
          "WORKDIR /app",
          "COPY requirements.txt .",
          "RUN pip install -r requirements.txt",
          "RUN curl -sSL https://install.python-poetry.org | python3 -",
          "COPY src ./src",
        ],
        "src/a.js": ["x"],
        ".dockerignore": ["**/node_modules", ".git"],
      },
    ],
  ])("is silent about: %s", (_, files) => {
    expect(risksIn(files)).toEqual([]);
  });
});
