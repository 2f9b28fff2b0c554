import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import execa from "execa";
import { zip } from "../../freshness/sure";
import { TestApp } from "../../tests/support/app";
import type { App, Flow } from "./results";

const MODULES = 2_000;
const PAGES = 40;
/** The same app in each run: what is made up is made up from this. */
const SEED = 20_260;
/** Tiny, without dependencies of its own; its versions take turns. */
const PACKAGE = { name: "isarray", first: "2.0.5", second: "2.0.4" };

/** An app in a repository of its own that is changed and deployed again and again. */
export class BenchApp {
  private dependencies = 0;

  private constructor(
    readonly kind: App,
    readonly repository: TestApp,
  ) {}

  /**
   * Makes the app for one flow. Its Dockerfiles hold the flow's name: one flow's build must not find in the engine's cache what
   * another's left there.
   */
  static async create(kind: App, flow: Flow): Promise<BenchApp> {
    const from = kind === "fixture" ? undefined : "examples/watch-party";
    const repository = await TestApp.create(from);
    if (kind === "large") writeModules(repository.folder);
    const dockerfiles = ["frontend/Dockerfile", "backend/Dockerfile"].map(
      (path) => [path, repository.read(path).replace(/^FROM .*$/gm, `$&\nENV BENCH_FLOW=${flow}`)] as const,
    );
    await repository.commit(Object.fromEntries(dockerfiles));
    return new BenchApp(kind, repository);
  }

  /** Commits a change of one source file, after which the page has to show the text. */
  async changeSource(text: string): Promise<void> {
    const layout = "frontend/app/layout.tsx";
    const [path, content] =
      this.kind === "fixture"
        ? ["frontend/message.txt", `${text}\n`]
        : this.kind === "large"
          ? ["frontend/modules/m0.ts", moduleText(0, text)]
          : [layout, this.repository.read(layout).replace(/(<\/span>)[^<]*(<\/a>)/, `$1${text}$2`)];
    if (content === this.repository.read(path)) throw new Error(`${path} has nowhere for a text`);
    await this.repository.commit({ [path]: content });
  }

  /** Commits a dependency that is new, and a text as `changeSource` does. */
  async changeDependency(text: string): Promise<void> {
    const version = this.dependencies++ % 2 === 0 ? PACKAGE.first : PACKAGE.second;
    const { stdout: integrity } = await execa("npm", [
      "view",
      `${PACKAGE.name}@${version}`,
      "dist.integrity",
    ]);
    const paths = ["frontend/package.json", "frontend/package-lock.json"] as const;
    const files = paths.map((path) => JSON.parse(this.repository.read(path)));
    const [manifest, lock] = files;
    manifest.dependencies[PACKAGE.name] = version;
    lock.packages[""].dependencies[PACKAGE.name] = version;
    lock.packages[`node_modules/${PACKAGE.name}`] = { version, integrity, license: "MIT" };
    // Two versions take turns: without this the lockfile would come back, and its layer with it.
    for (const at of [manifest, lock, lock.packages[""]]) at.version = `1.0.${this.dependencies}`;
    for (const [path, content] of zip(paths, files))
      writeFileSync(join(this.repository.folder, path), `${JSON.stringify(content, null, 2)}\n`);
    await this.changeSource(text);
  }

  /** The settings of its services, as the example's own stacks have them; the fixture has neither dependencies nor stacks. */
  get services() {
    const each = this.kind === "fixture" ? {} : { dependencyStage: "deps", readOnly: true };
    return { frontend: each, backend: each };
  }

  remove(): void {
    this.repository.remove();
  }
}

/** Pages that import fifty modules each, all of them different, and a first page that imports the first module too. */
function writeModules(folder: string): void {
  const write = (path: string, content: string) => {
    const file = join(folder, "frontend", path);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, content);
  };
  for (let at = 0; at < MODULES; at++) write(`modules/m${at}.ts`, moduleText(at, `module ${at}`));
  const each = MODULES / PAGES;
  for (let page = 0; page < PAGES; page++) {
    const own = Array.from({ length: each }, (_, at) => page * each + at);
    const imports = own.map(
      (at) => `import { text as t${at}, total as n${at} } from "../../modules/m${at}";`,
    );
    const shown = own.map((at) => `      <li>{t${at}} {n${at}(${page})}</li>`);
    write(
      `app/p${page}/page.tsx`,
      `${imports.join("\n")}\n\nexport default function Page() {\n  return (\n    <ul>\n${shown.join("\n")}\n    </ul>\n  );\n}\n`,
    );
  }
  const links = Array.from(
    { length: PAGES },
    (_, page) => `      <li><a href="/p${page}">{text} ${page}</a></li>`,
  );
  write(
    "app/page.tsx",
    `import { text } from "../modules/m0";\n\nexport default function Home() {\n  return (\n    <ul>\n${links.join("\n")}\n    </ul>\n  );\n}\n`,
  );
}

/** Some twenty lines that no build can leave out: what they compute depends on an argument. */
function moduleText(at: number, text: string): string {
  let state = SEED + at;
  const next = () => {
    state = (state * 1_103_515_245 + 12_345) % 2_147_483_648;
    return state % 1_000;
  };
  const rows = Array.from(
    { length: 12 },
    () => `  { weight: ${next()}, limit: ${next()}, step: ${next()} },`,
  );
  return `export const text: string = ${JSON.stringify(text)};

const rows: readonly { weight: number; limit: number; step: number }[] = [
${rows.join("\n")}
];

export function total(from: number): number {
  return rows.reduce((sum, { weight, limit, step }) => sum + (from < limit ? weight : step) * ${next() + 1}, from);
}
`;
}
