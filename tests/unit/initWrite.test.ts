import { describe, expect, it } from "@jest/globals";
import { guessLayout } from "../../packages/doctor/init/layout";
import { diffOf } from "../../packages/doctor/init/write/change";
import { writePlan } from "../../packages/doctor/init/write/plan";
import { repositoryOf } from "../support/repositories";

const lines = (...all: string[]) => `${all.join("\n")}\n`;

const PYTHON = lines("FROM python:3.11", "WORKDIR /app", "COPY . .", "EXPOSE 8000", 'CMD ["gunicorn"]');

interface App {
  readonly name: string;
  readonly files: Readonly<Record<string, string>>;
  /** The lines that are added to its sources, without those of its Dockerfile and ignore file. */
  readonly added: readonly string[];
  readonly settings: Readonly<Record<string, string>>;
}

const OF_FLASK = [
  '@app.route("/version")',
  "def freshness_version():",
  '    with open("/app/COMMIT", encoding="utf-8") as file:',
  '        return {"commit": file.read().strip()}',
];

const APPS: readonly App[] = [
  {
    name: "Flask",
    files: {
      Dockerfile: PYTHON,
      "requirements.txt": "flask==3.1.0\n",
      "app.py": lines("from flask import Flask", "", "app = Flask(__name__)"),
    },
    added: ["", "", ...OF_FLASK],
    settings: { health: "/version" },
  },
  {
    name: "Flask in a factory",
    files: {
      Dockerfile: PYTHON,
      "requirements.txt": "flask==3.1.0\n",
      "party/app.py": lines("def create_app():", "    app = Flask(__name__)", "    return app"),
    },
    added: ["", ...OF_FLASK.map((line) => `    ${line}`)],
    settings: { health: "/version" },
  },
  {
    name: "FastAPI, whose names of operations may need tags",
    files: {
      Dockerfile: PYTHON,
      "requirements.txt": "fastapi==0.115.0\n",
      "main.py": lines("app = FastAPI(", "    generate_unique_id_function=by_tag,", ")"),
    },
    added: [
      "",
      "",
      '@app.get("/version", operation_id="freshness_version", include_in_schema=False)',
      ...OF_FLASK.slice(1),
    ],
    settings: { health: "/version" },
  },
  {
    name: "Django: the urls.py that its settings name",
    files: {
      Dockerfile: PYTHON,
      "requirements.txt": "Django==5.2\n",
      "site/settings.py": 'ROOT_URLCONF = "site.urls"\n',
      "pages/urls.py": lines(
        "from django.urls import path",
        "",
        "urlpatterns = [",
        '    path("", home),',
        "]",
      ),
      "site/urls.py": lines(
        '"""',
        "    1. Add an import:  from my_app import views",
        '"""',
        "from django.urls import include, path",
        "",
        "urlpatterns = [",
        '    path("", include("pages.urls")),',
        "]",
      ),
    },
    added: [
      "from django.http import JsonResponse",
      '    path("version", lambda request: JsonResponse({"commit": open("/app/COMMIT").read().strip()})),',
    ],
    settings: { health: "/version" },
  },
  {
    name: "Express as a module",
    files: {
      Dockerfile: lines("FROM node:24", "WORKDIR /app", "COPY . .", "EXPOSE 3000"),
      "package.json": '{ "dependencies": { "express": "5.0.0" } }',
      "index.js": lines('import express from "express";', "const app = express();"),
    },
    added: [
      'import { readFileSync } from "node:fs";',
      'app.get("/version", (_request, response) => {',
      '  response.json({ commit: readFileSync("/app/COMMIT", "utf8").trim() });',
      "});",
    ],
    settings: { health: "/version" },
  },
  {
    name: "Go with a single import",
    files: {
      Dockerfile: lines("FROM golang:1.25", "WORKDIR /app", "COPY . .", "EXPOSE 8080"),
      "go.mod": "module example.org/party\n",
      "main.go": lines(
        "package main",
        "",
        'import "net/http"',
        "",
        "func main() {",
        '\thttp.HandleFunc("/", home)',
        "}",
      ),
    },
    added: [
      'import "fmt"',
      'import "os"',
      '\thttp.HandleFunc("/version", func(w http.ResponseWriter, _ *http.Request) {',
      '\t\tcommit, _ := os.ReadFile("/app/COMMIT")',
      '\t\tw.Header().Set("Content-Type", "application/json")',
      '\t\tfmt.Fprintf(w, "{\\"commit\\": %q}", commit)',
      "\t})",
    ],
    settings: { health: "/version" },
  },
  {
    name: "Go with routers in others: in the outermost one",
    files: {
      Dockerfile: lines("FROM golang:1.25", "WORKDIR /app", "COPY . .", "EXPOSE 8080"),
      "go.mod": "module example.org/party\n",
      "api/api.go": lines("package api", "", 'import "net/http"', "", 'mux.HandleFunc("GET /v1/me", me)'),
      "server/routes.go": lines(
        "package server",
        "",
        "import (",
        '\t"net/http"',
        '\t"strings"',
        "",
        '\t"example.org/party/api"',
        ")",
        "",
        '\tmux.Handle("/", page)',
      ),
    },
    added: [
      '\t"fmt"',
      '\t"os"',
      '\tmux.HandleFunc("/version", func(w http.ResponseWriter, _ *http.Request) {',
      '\t\tcommit, _ := os.ReadFile("/app/COMMIT")',
      '\t\tw.Header().Set("Content-Type", "application/json")',
      '\t\tfmt.Fprintf(w, "{\\"commit\\": %q}", commit)',
      "\t})",
    ],
    settings: { health: "/version" },
  },
  {
    name: "Rails",
    files: {
      Dockerfile: lines("FROM ruby:3.4", "WORKDIR /rails", "COPY . .", "EXPOSE 3000"),
      Gemfile: 'gem "rails"\n',
      "config/routes.rb": lines("Rails.application.routes.draw do", '  root "home#index"', "end"),
    },
    added: [
      '  get "/version", to: proc { [200, { "content-type" => "application/json" }, [{ commit: File.read("/app/COMMIT").strip }.to_json]] }',
    ],
    settings: { health: "/version" },
  },
  {
    name: "nginx: no code",
    files: {
      Dockerfile: lines("FROM nginx:1.27", "COPY html /usr/share/nginx/html"),
      "html/index.html": "<p>hello</p>\n",
    },
    added: [],
    settings: { version: "/version.json", health: "/version.json" },
  },
  {
    name: "a framework that is not known: the container, its image and its bytes prove the commit",
    files: {
      Dockerfile: lines("FROM php:8.4-apache", "COPY . /var/www/app", "EXPOSE 80"),
      "index.php": "<?php echo 1;\n",
    },
    added: [],
    settings: { version: "none" },
  },
];

describe("what init --write adds", () => {
  it("copies the commit's file into a last stage that runs other programs, from the stage that writes it", () => {
    const dockerfile = lines(
      "FROM golang:1.25 AS deps",
      "COPY go.mod ./",
      "RUN go mod download",
      "FROM deps AS build",
      "COPY . .",
      "RUN go build -o /party",
      "FROM alpine:3.24",
      "RUN apk --no-cache add tzdata && ./prepare",
      "COPY --from=build /party /usr/bin/party",
      'CMD ["party"]',
    );
    const repository = repositoryOf({ Dockerfile: dockerfile, "go.mod": "module party\n", "main.go": "" });
    const { writable } = guessLayout(repository, "party");
    const after = writePlan(repository, writable).changes.find(({ path }) => path === "Dockerfile")?.after;
    expect(after?.split("\n").slice(-4)).toEqual([
      "COPY --from=build /party /usr/bin/party",
      "COPY --from=build /app/COMMIT /app/COMMIT",
      'CMD ["party"]',
      "",
    ]);
  });

  it.each(APPS)("to $name", ({ files, added, settings }) => {
    const repository = repositoryOf(files);
    const plan = writePlan(repository, guessLayout(repository, "party").writable);
    const sources = plan.changes.filter(({ path }) => !/ockerfile|ignore$/.test(path));
    const written = diffOf(sources)
      .split("\n")
      .filter((line) => line.startsWith("+") && !line.startsWith("+++"));
    expect(written.map((line) => line.slice(1))).toEqual(added);
    expect(plan.settings.party).toEqual(settings);
    const dockerfile = plan.changes.find(({ path }) => path === "Dockerfile")?.after;
    expect(dockerfile).toMatch(/^ARG GIT_COMMIT_HASH$/m);
  });
});
