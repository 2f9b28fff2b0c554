import { existsSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import { TestApp } from "../support/app";
import { FULL } from "../support/matrix";
import { TestStack } from "../support/stack";

interface Plain {
  readonly name: string;
  /** Folder → one of tests/shapes/apps. Default: the one of its name. */
  readonly of?: Readonly<Record<string, string>>;
  /** A text of its page. */
  readonly answer: string;
  /** Files without what a deploy needs: path → the lines that are taken out. */
  readonly without: Readonly<Record<string, RegExp>>;
  /** Files that it has besides. */
  readonly with?: Readonly<Record<string, string>>;
  /** What is added besides the lines of the Dockerfile. */
  readonly adds: readonly string[];
}

const APPS: readonly Plain[] = [
  {
    name: "express",
    answer: "hello from Express",
    without: { "index.js": /.*(commit|readFileSync).*\n/g },
    adds: ["index.js"],
  },
  {
    name: "fastapi-uvicorn",
    answer: "hello from FastAPI",
    without: { "app/main.py": /from pathlib[^\n]*\n|\n\n@app\.get\("\/version"[\s\S]*/g },
    adds: ["app/main.py"],
  },
  {
    name: "nginx-debian",
    answer: "a page of nginx",
    without: { "nginx.conf": / {4}location = \/version \{[^}]*\}\n/g },
    adds: [],
  },
  {
    name: "next-start",
    answer: "hello",
    without: { "app/version/route.js": /[\s\S]*/g },
    adds: ["app/version/route.js"],
  },
  {
    name: "flask-gunicorn",
    answer: "hello from Flask",
    without: { "app.py": /\n\n@app\.get\("\/version"\)[\s\S]*/g },
    adds: ["app.py"],
  },
  {
    name: "django",
    answer: "hello from Django",
    without: { "site_config/urls.py": /.*("version"|pathlib).*\n/g },
    with: {
      "compose.yaml":
        "services:\n  web:\n    build: .\n    ports: ['8000:8000']\n    environment:\n      ALLOWED_HOSTS: 127.0.0.1\n      SECRET_KEY: ${SECRET_KEY}\n",
    },
    adds: ["site_config/urls.py"],
  },
  {
    name: "go-scratch",
    answer: "hello from Go",
    without: {
      "main.go":
        /.*encoding\/json.*\n|.*"os"\n|\tcommit, err :=[\s\S]*?\n\t\}\n\thttp\.HandleFunc\("\/version"[\s\S]*?\n\t\}\)\n/g,
    },
    adds: ["main.go"],
  },
  {
    name: "vite-react",
    answer: "/assets/",
    without: {},
    adds: [],
  },
  {
    name: "Vite and FastAPI",
    of: { frontend: "vite-react", backend: "fastapi-uvicorn" },
    answer: "/assets/",
    without: { "backend/app/main.py": /from pathlib[^\n]*\n|\n\n@app\.get\("\/version"\)[\s\S]*/g },
    adds: ["backend/app/main.py"],
  },
  {
    name: "Flask with a worker",
    of: { ".": "flask-gunicorn" },
    answer: "hello from Flask",
    without: { "app.py": /\n\n@app\.get\("\/version"\)[\s\S]*/g },
    with: {
      "worker.py": 'import time\n\nwhile True:\n    print("working", flush=True)\n    time.sleep(5)\n',
      "compose.yaml":
        "services:\n  web:\n    build: .\n    ports: ['8000:8000']\n  worker:\n    build: .\n    command: python worker.py\n",
    },
    adds: ["app.py"],
  },
];
const chosen = FULL ? APPS : APPS.slice(0, 1);

describe.each(chosen)(
  "init --write for $name",
  ({ name, of = { ".": name }, answer, without, with: more = {}, adds }) => {
    let app: TestApp;
    let stack: TestStack;

    beforeAll(async () => {
      const folders = Object.keys(of);
      const sources = Object.entries(of).map(([folder, shape]) => [folder, `tests/shapes/apps/${shape}`]);
      app = await TestApp.create(Object.fromEntries(sources));
      for (const folder of folders) rmSync(join(app.folder, folder, "shape.yaml"));
      const dockerfiles = folders.map((folder) => [
        join(folder, "Dockerfile"),
        /.*(GIT_COMMIT_HASH|COMMIT).*\n/g,
      ]);
      for (const [path, taken] of Object.entries<RegExp>({
        ...without,
        ...Object.fromEntries(dockerfiles),
      })) {
        const left = app.read(path).replace(taken, "");
        if (left === "") rmSync(join(app.folder, path));
        else writeFileSync(join(app.folder, path), left);
      }
      await app.commit(more);
      stack = await TestStack.create({ source: app.folder });
    }, 120_000);
    afterAll(async () => {
      await stack?.remove();
      app?.remove();
    }, 120_000);

    it("changes nothing without the user's consent", async () => {
      const { status, stderr } = await stack.command("init", app.folder, "--write", "--force");
      expect(stderr).toMatch(/^\+ARG GIT_COMMIT_HASH$/m);
      expect(stderr).toContain("accept the changes above with --yes");
      expect(status).toBe(2);
      expect(await app.git("status", "--porcelain")).toBe("");
    });

    it("adds what the app lacks, and the result deploys", async () => {
      const started = performance.now();
      const { status, stdout, stderr } = await stack.command(
        "init",
        app.folder,
        "--write",
        "--yes",
        "--force",
        "--json",
      );
      expect({ status, stderr }).toEqual({ status: 0, stderr: expect.stringContaining("changed  ") });
      for (const path of adds) expect(existsSync(join(app.folder, path))).toBe(true);
      expect(JSON.parse(stdout).decisions).toEqual([]);
      await app.commit({});
      await stack.configure({ listen: `127.0.0.1:${stack.port}` });
      const { ok, said } = await stack.up();
      expect(ok ? "" : said).toBe("");
      const page = await fetch(stack.url);
      expect([page.status, await page.text()]).toEqual([200, expect.stringContaining(answer)]);
      const seconds = ((performance.now() - started) / 1000).toFixed(0);
      const added = await app.git("diff", "--shortstat", "HEAD~1");
      process.stderr.write(`| ${name} | 1 | ${seconds} s | 0 |${added.replace(/.*changed,/, "")} |\n`);
    }, 600_000);
  },
);
