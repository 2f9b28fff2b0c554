import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { describe, expect, it, jest } from "@jest/globals";
import { parse } from "yaml";
import { givenByEnvironment, serverKeyVariable } from "../../config/environmentKeys";
import { assertSecrets } from "../../toolchain/env";
import type { ToolchainError } from "../../toolchain/errors";
import { linters } from "../../toolchain/linters";
import { paths } from "../../toolchain/paths";
import { isShellScript, shellScripts } from "../../toolchain/shellScripts";

const PROJECT = resolve(__dirname, "..", "..");
const FOLDER = join(PROJECT, ".github", "workflows");

/** The actions that may run, by the commit of a release. */
const ACTIONS: Readonly<Record<string, string>> = {
  "actions/checkout": "3d3c42e5aac5ba805825da76410c181273ba90b1 # v7.0.1",
  "actions/setup-node": "820762786026740c76f36085b0efc47a31fe5020 # v7.0.0",
  "actions/upload-artifact": "bbbca2ddaa5d8feaa63e36b76fdaad77386f024f # v7.0.0",
  "actions/attest": "1e69f48acb82d1966a394da916b4c1698aa569d6 # v4.2.2",
  "actions/cache": "27d5ce7f107fe9357f9df03efb73ab90386fccae # v5.0.5",
  "actions/github-script": "ed597411d8f924073f98dfc5c65a23a2325f34cd # v8.0.0",
  "pulumi/actions": "8e5e406f4007fca908480587cb9893c07090f58d # v7.0.0",
};

interface Step {
  readonly id?: string;
  readonly uses?: string;
  readonly run?: string;
  readonly if?: string;
  readonly with?: Readonly<Record<string, unknown>>;
  readonly env?: Readonly<Record<string, string>>;
}
interface Job {
  readonly if?: string;
  readonly needs?: string;
  readonly environment?: string;
  readonly permissions?: Readonly<Record<string, string>>;
  readonly concurrency?: { readonly group: string; readonly "cancel-in-progress": boolean };
  readonly "timeout-minutes"?: number;
  readonly steps: readonly Step[];
}
interface Input {
  readonly type: string;
  readonly options?: readonly string[];
  readonly default?: unknown;
}
interface Workflow {
  readonly name: string;
  readonly on: Readonly<Record<string, { readonly inputs?: Readonly<Record<string, Input>> } | null>>;
  readonly permissions?: unknown;
  readonly jobs: Readonly<Record<string, Job>>;
}

const read = (file: string) => readFileSync(join(FOLDER, file), "utf8");
const workflow = (file: string): Workflow => parse(read(file));
const FILES = readdirSync(FOLDER);
const jobs = FILES.flatMap((file) =>
  Object.entries(workflow(file).jobs).map(([name, job]) => ({ file, name, job })),
);
const steps = jobs.flatMap(({ file, name, job }) => job.steps.map((step) => ({ file, name, step })));
const runs = (job: Job) => job.steps.flatMap(({ run }) => run ?? []);
const DEPLOYS = /(npm run -s|npx --no-install fresh-deploy) (up|rollback|clear-caches) /;
const deploying = jobs.filter(({ job }) => runs(job).some((run) => DEPLOYS.test(run)));

describe("the workflows", () => {
  it("are two for an app's own repository, checks, previews, deploys, caches, rollbacks and releases", () => {
    expect([...FILES].sort()).toEqual(
      [
        "app.yml",
        "ci.yml",
        "clear-caches.yml",
        "deploy.yml",
        "preview.yml",
        "release.yml",
        "rollback.yml",
        "verify.yml",
      ].sort(),
    );
  });

  it("use only known actions, each by the commit of a release that a comment names", () => {
    const used = FILES.flatMap((file) => [...read(file).matchAll(/uses: (\S+)@(.*)$/gm)]);
    expect(used).toHaveLength(steps.filter(({ step }) => step.uses !== undefined).length);
    for (const [, action, pin] of used) expect([action, pin]).toEqual([action, ACTIONS[action!]]);
  });

  it("grant only the permissions of each job, and only comments, issues and attestations write", () => {
    for (const file of FILES) expect([file, workflow(file).permissions]).toEqual([file, {}]);
    const writing = jobs.filter(({ job }) => Object.values(job.permissions ?? {}).includes("write"));
    const attests = { contents: "read", "id-token": "write", attestations: "write" };
    expect(writing.map(({ name, job }) => [name, job.permissions])).toEqual([
      ["comment", { "pull-requests": "write" }],
      ["staging", attests],
      ["prod", attests],
      ["chosen", attests],
      ["comment", { "pull-requests": "write" }],
      ["publish", attests],
      ["issue", { issues: "write" }],
    ]);
    for (const { job } of jobs) expect(job.permissions).toBeDefined();
  });

  it("attest each certificate before it is kept, and a package before it is published", () => {
    const attesting = jobs.filter(({ job }) => job.permissions?.attestations === "write");
    for (const { name, job } of attesting) {
      const order = job.steps.map(({ uses = "", run = "" }) => uses.replace(/@.*/, "") || run);
      const next = name === "publish" ? ".ci/publish" : "actions/upload-artifact";
      expect([name, order.at(-1)]).toEqual([name, next]);
      expect([name, order.at(-2)]).toEqual([name, "actions/attest"]);
    }
  });

  it("have an action for a job of one's own, which expands no input in a command", () => {
    const file = join(PROJECT, ".github", "actions", "deploy", "action.yml");
    const action: { runs: { steps: Step[] }; inputs: object } = parse(readFileSync(file, "utf8"));
    const [node, deploy] = action.runs.steps;
    expect(`${node?.uses}`).toBe(`actions/setup-node@${ACTIONS["actions/setup-node"]?.split(" ")[0]}`);
    expect(deploy?.run).toBe('"$ACTION/run"');
    const given = Object.values(deploy?.env ?? {}).flatMap(
      (value) => /inputs\.([\w-]+)/.exec(value)?.[1] ?? [],
    );
    expect(given.sort()).toEqual(Object.keys(action.inputs).sort());
  });

  it("leave no token in a checkout, and check out the whole history", () => {
    const checkouts = steps.filter(({ step }) => step.uses?.startsWith("actions/checkout@"));
    expect(checkouts.length).toBeGreaterThan(5);
    for (const { step } of checkouts)
      expect(step.with).toEqual({ "fetch-depth": 0, "persist-credentials": false });
  });

  it("have time limits", () => {
    for (const { file, name, job } of jobs) {
      const minutes = job["timeout-minutes"] ?? 360;
      expect([file, name, minutes <= 90]).toEqual([file, name, true]);
    }
  });

  it("run the project's own scripts, one a step, with values from the environment alone", () => {
    const { scripts } = JSON.parse(readFileSync(join(PROJECT, "package.json"), "utf8"));
    const written = steps.flatMap(({ file, step }) => (step.run === undefined ? [] : [[file, step.run]]));
    expect(written.length).toBeGreaterThan(8);
    for (const [file, run] of written as [string, string][]) {
      expect([file, run]).not.toEqual([file, expect.stringMatching(/\$\{\{|[\n;&|`]|\$\(/)]);
      if (run === "npm ci --ignore-scripts") continue;
      const script = /^(?:npm run -s|npx --no-install fresh-deploy) ([a-z:-]+)( |$)/.exec(run)?.[1];
      const exists = script === undefined ? existsSync(join(PROJECT, run)) : script in scripts;
      expect([file, run, exists]).toEqual([file, run, true]);
      expect([file, run]).toEqual([
        file,
        expect.stringMatching(
          /^(\.ci\/\S+|(npm run -s [a-z-]+( --)?|npx --no-install fresh-deploy [a-z-]+)( ["$A-Z_a-z -]+)?( > "\$CERTIFICATE")?)$/,
        ),
      ]);
    }
  });

  it("never expand an input anywhere but in a variable, a choice or a condition", () => {
    for (const { file, step } of steps) {
      const { env: _, if: __, ...rest } = step;
      const said = JSON.stringify(rest).replace(/deployment-\$\{\{ inputs\.stack \}\}/, "");
      expect([file, said]).not.toEqual([file, expect.stringContaining("inputs.")]);
    }
  });

  it("give a secret only to the step that needs it", () => {
    for (const { name, job } of jobs) {
      const { steps: its, ...rest } = job;
      expect([name, JSON.stringify(rest)]).not.toEqual([name, expect.stringMatching(/secrets\.[A-Z]/)]);
      for (const { uses, env, with: inputs } of its.filter((step) => step.uses !== undefined))
        expect([uses, JSON.stringify([env, inputs])]).not.toEqual([
          uses,
          expect.stringMatching(/secrets\.[A-Z]/),
        ]);
    }
  });
});

describe("a job that changes a stack", () => {
  it.each(deploying.map(({ file, name, job }) => [`${file} ${name}`, job] as const))(
    "%s runs alone in its stack, is never cancelled, and has the stack's environment",
    (_, job) => {
      const deploys = runs(job).find((run) => DEPLOYS.test(run)) ?? "";
      const stack = /--stack ("?)(\S+?)\1( |$)/.exec(deploys)![2]!;
      const named =
        { $STACK: "${{ inputs.stack }}", $PR_STACK: "pr-${{ github.event.pull_request.number }}" }[stack] ??
        stack;
      expect(job.concurrency).toEqual({ group: `stack-${named}`, "cancel-in-progress": false });
      expect(job.environment).toBe(named.replace(/^pr-.*/, "pr"));
    },
  );

  it("is each of seven", () => expect(deploying).toHaveLength(7));

  it("deploys staging, then the images of staging to prod, each proven again", () => {
    const { staging, prod, chosen } = workflow("deploy.yml").jobs;
    expect(runs(staging!)).toEqual([
      "npm run -s up -- --stack staging --only-newer",
      'npm run -s verify -- --stack staging --json > "$CERTIFICATE"',
      'npm run -s report -- --stack staging --out "$REPORT"',
    ]);
    expect(prod!.needs).toBe("staging");
    expect(runs(prod!)).toEqual([
      "npm run -s up -- --stack prod --from-stack staging --only-newer",
      'npm run -s verify -- --stack prod --json > "$CERTIFICATE"',
      'npm run -s report -- --stack prod --out "$REPORT"',
    ]);
    for (const job of [staging, prod, chosen])
      expect(job!.steps.at(-1)!.with).toMatchObject({
        path: "${{ runner.temp }}/certificate.json\n${{ runner.temp }}/report.html\n",
        "if-no-files-found": "error",
      });
  });

  it("has the keys of its own servers, and no other", () => {
    const keys = (file: string, name: string, at: number) => {
      const { env = {} } = workflow(file).jobs[name]!.steps.filter(({ run }) => run !== undefined)[at]!;
      return Object.keys(env).filter((each) => /KEY_(STAGING|PROD)$/.test(each));
    };
    const [staging, prod] = ["staging", "prod"].map(serverKeyVariable) as [string, string];
    expect(keys("deploy.yml", "staging", 0)).toEqual([staging]);
    expect(keys("deploy.yml", "prod", 0)).toEqual([staging, prod]);
    expect(keys("deploy.yml", "prod", 1)).toEqual([prod]);
  });

  it.each(["clear-caches.yml", "deploy.yml", "rollback.yml"])("%s uses an existing stack", (file) => {
    const stack = workflow(file).on.workflow_dispatch!.inputs!.stack!;
    expect(stack.type).toBe("choice");
    for (const name of stack.options!)
      expect([name, existsSync(join(PROJECT, `Pulumi.${name}.yaml`))]).toEqual([name, true]);
  });
});

it("Clear Application Caches clears all, the frontend or the backend", () => {
  const { name, on } = workflow("clear-caches.yml");
  expect(name).toBe("Clear Application Caches");
  expect(on.workflow_dispatch!.inputs!.target).toMatchObject({
    type: "choice",
    default: "all",
    options: ["all", "frontend", "backend"],
  });
});

/** Runs the script of a job's last step against a repository that lists these comments or issues. */
async function runScript(job: Job, listed: readonly object[], env: Readonly<Record<string, string>>) {
  const { script } = job.steps.at(-1)!.with as { script: string };
  const issues = {
    listComments: jest.fn(),
    updateComment: jest.fn(),
    createComment: jest.fn(),
    listForRepo: jest.fn(),
    create: jest.fn(),
    update: jest.fn(),
  };
  const github = { rest: { issues }, paginate: async () => listed };
  const context = {
    repo: { owner: "us", repo: "app" },
    issue: { number: 7 },
    serverUrl: "https://example.org",
    runId: 1,
  };
  const run = new Function("github", "context", "process", `return (async () => {${script}})()`);
  await run(github, context, { env });
  return issues;
}

describe("the environment of a pull request", () => {
  const { preview, environment, closed, comment } = workflow("app.yml").jobs;

  it("is for exactly the pull requests that get secrets, made until they close, and only if asked for", () => {
    const asked = (job: Job | undefined) => (job?.if ?? "").split(" && ").map((each) => each.trim());
    const rules = asked(preview);
    expect(rules).toContain("github.event.pull_request.head.repo.full_name == github.repository");
    expect(rules).toContain("github.event.pull_request.user.login != 'dependabot[bot]'");
    expect(asked(environment).sort()).toEqual([...rules, "inputs.environments > 0"].sort());
    expect(asked(closed).sort()).toEqual(
      asked(environment)
        .map((each) => each.replace("action != 'closed'", "action == 'closed'"))
        .sort(),
    );
  });

  it("is deployed by the stack's own configuration, and destroyed by its number", () => {
    expect(runs(environment!).slice(1)).toEqual([
      'npx --no-install fresh-deploy pr add "$NUMBER" --most "$MOST"',
      'npx --no-install fresh-deploy up --stack "$PR_STACK" --allow-older',
    ]);
    expect(runs(closed!).slice(1)).toEqual(['npx --no-install fresh-deploy pr remove "$NUMBER"']);
    expect(closed!.concurrency).toEqual(environment!.concurrency);
    for (const job of [environment, closed])
      expect(JSON.stringify(job)).not.toMatch(/KEY_(STAGING|PROD)|PASSWORD_(STAGING|PROD)/);
  });

  it.each([
    ["success", "This pull request runs at https://pr-7.example.org, proven."],
    [
      "failure",
      "The environment of this pull request was not deployed: https://example.org/us/app/actions/runs/1",
    ],
    ["skipped", ""],
  ])("is linked in the comment: %s", async (RESULT, line) => {
    const env = { STACK: "staging", MARKDOWN: "### staging", URL: "https://pr-7.example.org", RESULT };
    const { createComment } = await runScript(comment!, [], env);
    const body = ["<!-- preview of staging -->", line, "### staging"]
      .filter((each) => each !== "")
      .join("\n");
    expect(createComment.mock.calls).toEqual([[{ owner: "us", repo: "app", issue_number: 7, body }]]);
  });
});

describe("the scheduled proof", () => {
  const { verify, issue } = workflow("verify.yml").jobs;
  const at = { owner: "us", repo: "app" };
  const log = "https://example.org/us/app/actions/runs/1";
  const marker = "<!-- freshness of prod -->";
  const mine = { number: 3, user: { type: "Bot" }, body: `${marker}\nold` };
  const others = [
    { number: 1, user: { type: "User" }, body: `${marker}\nquoted` },
    { number: 2, user: { type: "Bot" }, body: "<!-- freshness of staging -->\nother" },
  ];
  const run = (listed: readonly object[], RESULT: string, ERROR = "") =>
    runScript(issue!, listed, { STACK: "prod", RESULT, ERROR });

  it("runs the app's program without write permission, and writes without it", () => {
    expect(verify!.permissions).toEqual({ contents: "read" });
    expect(runs(verify!)).toContain('npx --no-install fresh-deploy verify --stack "$STACK"');
    expect(issue!.steps.map(({ uses }) => uses?.split("@")[0])).toEqual(["actions/github-script"]);
    expect(JSON.stringify(issue)).not.toContain("secrets.");
    expect(workflow("app.yml").jobs.deploy!.if).toContain("github.event_name != 'schedule'");
  });

  it("opens one issue with the broken link, and changes that one while it stays", async () => {
    const error = "freshness: served of frontend: …";
    const body = `${marker}\n\`\`\`\n${error}\n\`\`\`\n\nLast run: ${log}`;
    const title = "prod does not serve its commit";
    const first = await run(others, "failure", error);
    expect(first.create.mock.calls).toEqual([[{ ...at, title, body }]]);
    expect(first.update).not.toHaveBeenCalled();
    const second = await run([...others, mine], "failure", error);
    expect(second.create).not.toHaveBeenCalled();
    expect(second.update.mock.calls).toEqual([[{ ...at, issue_number: 3, title, body }]]);
  });

  it("says that it could not verify without a result", async () => {
    const { create } = await run([], "failure");
    expect(create.mock.calls).toMatchObject([[{ title: "prod could not be verified" }]]);
  });

  it("closes the issue when it is proven again, and does nothing otherwise", async () => {
    const closing = await run([...others, mine], "success");
    expect(closing.createComment.mock.calls).toEqual([
      [{ ...at, issue_number: 3, body: `Proven again: ${log}` }],
    ]);
    expect(closing.update.mock.calls).toEqual([[{ ...at, issue_number: 3, state: "closed" }]]);
    const quiet = await run(others, "success");
    for (const call of [quiet.create, quiet.update, quiet.createComment]) expect(call).not.toHaveBeenCalled();
  });
});

describe("the preview of a pull request", () => {
  const { jobs: its, on } = workflow("preview.yml");

  it("has neither a server's key nor access to prod", () => {
    expect(Object.keys(on)).toEqual(["pull_request"]);
    expect(read("preview.yml")).not.toMatch(/server_?key|\bprod\b|pull_request_target/i);
    expect(its.preview!.environment).toBe("preview");
  });

  it("runs the pull request's code without write permission, and writes without its code", () => {
    expect(its.preview!.permissions).toEqual({ contents: "read" });
    expect(its.comment!.steps.map(({ uses }) => uses!.split("@")[0])).toEqual(["actions/github-script"]);
    expect(JSON.stringify(its.comment)).not.toContain("secrets.");
  });

  it("is skipped, with a notice, for exactly the pull requests without secrets", () => {
    const opposite = (its.preview!.if ?? "")
      .replace("==", "!=")
      .replace("&&", "||")
      .replace(/!=(?= 'd)/, "==");
    expect(its.skipped!.if).toBe(opposite);
    expect(its.skipped!.steps[0]!.with!.script).toMatch(/^core\.notice\("/);
  });

  /** Runs the script of the workflow itself against a pull request with these comments. */
  const comment = (markdown: string, comments: readonly object[]) =>
    runScript(its.comment!, comments, { MARKDOWN: markdown });
  const marker = "<!-- watch-party preview -->";
  const bot = { type: "Bot" };

  it("creates a comment if there is none, even if someone quoted one", async () => {
    const { createComment, updateComment } = await comment("### staging", [
      { id: 1, user: { type: "User" }, body: `${marker}\nmine` },
      { id: 2, user: bot, body: "of another bot" },
    ]);
    expect(createComment.mock.calls).toEqual([
      [{ owner: "us", repo: "app", issue_number: 7, body: `${marker}\n### staging` }],
    ]);
    expect(updateComment).not.toHaveBeenCalled();
  });

  it("updates the existing comment, also if the preview could not run", async () => {
    const { createComment, updateComment } = await comment("", [
      { id: 3, user: bot, body: `${marker}\nold` },
    ]);
    expect(updateComment.mock.calls).toEqual([
      [
        {
          owner: "us",
          repo: "app",
          comment_id: 3,
          body: `${marker}\nThe preview could not run: https://example.org/us/app/actions/runs/1`,
        },
      ],
    ]);
    expect(createComment).not.toHaveBeenCalled();
  });
});

describe("the variables of a job", () => {
  it.each([
    ["prod", { WATCH_PARTY_SERVER_KEY_PROD: "k" }, { serverKey: "k" }],
    ["my-app.2", { WATCH_PARTY_SERVER_KEY_MY_APP_2: "k" }, { serverKey: "k" }],
    ["staging", { WATCH_PARTY_SERVER_KEY_PROD: "k" }, {}],
    [
      "pr-7",
      { WATCH_PARTY_SERVER_KEY_PR: "k", WATCH_PARTY_REGISTRY_PASSWORD_PR: "p" },
      { serverKey: "k", registryPassword: "p" },
    ],
    ["prod", { WATCH_PARTY_REGISTRY_PASSWORD_PROD: "p" }, { registryPassword: "p" }],
    ["prod", { WATCH_PARTY_COMMIT: "v1", WATCH_PARTY_SERVER_KEY_PROD: "" }, { commit: "v1" }],
    ["prod", { WATCH_PARTY_COMMIT: "" }, {}],
  ])("for stack %s of %j is %j", (stack, env, expected) => {
    expect(givenByEnvironment(stack, env)).toEqual(expected);
  });

  it.each<[Record<string, string>, RegExp | undefined]>([
    [{ GITHUB_ACTIONS: "true", PULUMI_BACKEND_URL: "" }, /^PULUMI_BACKEND_URL is empty/],
    [
      { GITHUB_ACTIONS: "true", PULUMI_BACKEND_URL: "s3://state", PULUMI_CONFIG_PASSPHRASE: "" },
      /^PULUMI_CONFIG_PASSPHRASE is empty/,
    ],
    [
      { GITHUB_ACTIONS: "true", PULUMI_BACKEND_URL: "https://api.pulumi.com", PULUMI_CONFIG_PASSPHRASE: "" },
      undefined,
    ],
    [{ GITHUB_ACTIONS: "true" }, undefined],
    [{ PULUMI_BACKEND_URL: "" }, undefined],
  ])("with %j a missing secret is not treated as a setting", (env, message) => {
    if (message) expect(() => assertSecrets(env)).toThrow(message);
    else expect(() => assertSecrets(env)).not.toThrow();
  });
});

describe("the linters", () => {
  it("are reported by name, all at once, without Go and Python", async () => {
    const folder = mkdtempSync(join(tmpdir(), "watch-party-linters-"));
    const { PATH } = process.env;
    process.env.PATH = folder;
    const at = { ...paths(), toolchain: folder };
    const said = await linters(at, () => undefined).catch((error: ToolchainError) => error);
    process.env.PATH = PATH;
    rmSync(folder, { recursive: true });
    expect(said).toMatchObject({
      message: expect.stringMatching(/^Go is missing: actionlint .*; Python is missing: zizmor and/),
      remedy: expect.stringMatching(/^Install Go .* Install Python /),
    });
  });
});

describe("shell scripts", () => {
  it.each([
    ["a/b.sh", "", true],
    ["run", "#!/usr/bin/env bash\n", true],
    ["run", "#!/bin/sh -e\n", true],
    ["run", "#!/usr/bin/env node\n", false],
    ["run", "text", false],
    ["notes.md", "#!/bin/sh\n", false],
    [".hook", "#!/bin/sh\n", true],
  ])("%s that begins with %j: %s", (path, head, expected) => {
    expect(isShellScript(path, () => head)).toBe(expected);
  });

  it("of the project are found, including .ci/run", async () => {
    expect(await shellScripts(PROJECT)).toEqual(
      expect.arrayContaining([".ci/run", "tests/support/currentEngine.sh"]),
    );
  });
});
