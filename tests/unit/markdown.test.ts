import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "@jest/globals";
import { buildLogsOf, changesOf, errorsOf } from "../../cli/events";
import {
  certificateMarkdown,
  code,
  failureMarkdown,
  type Proposal,
  proposalMarkdown,
  supersededMarkdown,
  text,
} from "../../cli/markdown";
import { setOutput, summarize } from "../../cli/summary";
import { broken, FreshnessError, type Verdict } from "../../freshness/chain";

const OLD = "0123456789abcdef0123456789abcdef01234567";
const NEW = "89abcdef0123456789abcdef0123456789abcdef";
const finding = broken({
  link: "dockerfile",
  service: "backend",
  wrong: "a COPY comes before any RUN that expands the ARG",
  expected: "a RUN with $GIT_COMMIT_HASH before COPY . .",
  found: "backend/Dockerfile:4 COPY . .",
  evidence: "backend/Dockerfile:4",
  remedy: "Move the COPY below it. See README.",
});

describe("untrusted text", () => {
  it.each([
    ["a | b", "a \\| b"],
    ["one\ntwo\r\n three", "one<br>two<br>three"],
    ["<img src=x> & <!-- -->", "&lt;img src=x&gt; &amp; &lt;!-- --&gt;"],
    [
      "[here](https://x) *now* `rm` __a__ ~b~",
      "\\[here\\](https://x) \\*now\\* \\`rm\\` \\_\\_a\\_\\_ \\~b\\~",
    ],
    ["by @everyone", "by @\u200beveryone"],
    ["deploy@server", "deploy@server"],
    ["back\\slash", "back\\\\slash"],
  ])("%j is escaped in a cell: %j", (words, expected) => expect(text(words)).toBe(expected));

  it.each([
    ["plain", "`plain`"],
    ["a | b", "`a \\| b`"],
    ["two\nlines", "`two lines`"],
    ["a `b` c", "`` a `b` c ``"],
  ])("%j as a name is %j", (words, expected) => expect(code(words)).toBe(expected));
});

describe("the summary of a deploy", () => {
  const link = (status: Verdict["status"], found: string): Verdict => ({
    ...{ link: "served", service: "backend", status, expected: `commit ${OLD}`, found, evidence: "" },
  });
  const certificate = { stack: "prod", commit: OLD, url: "https://app.example.org" };

  it("is the chain as a table, the seconds, the commit and the address", () => {
    const links = [link("proven", "commit a|b\nfrom x")];
    expect(certificateMarkdown({ ...certificate, links }, { images: 9.04, total: 12 })).toBe(
      [
        "### prod: https://app.example.org serves `0123456789ab`",
        "",
        "| link | service | status | expected | found |",
        "| --- | --- | --- | --- | --- |",
        `| served | backend | proven | commit ${OLD} | commit a\\|b<br>from x |`,
        "",
        "| step | seconds |",
        "| --- | --- |",
        "| images | 9.0 |",
        "| total | 12.0 |",
        "",
        `Commit \`${OLD}\``,
        "",
      ].join("\n"),
    );
  });

  it("lists warnings that stop nothing", () => {
    const warned = { ...link("proven", "1"), warning: "a page names <what> is not there" };
    expect(certificateMarkdown({ ...certificate, links: [warned] })).toContain(
      "\n\nWarning: served of backend: a page names &lt;what&gt; is not there\n\n",
    );
  });

  it("does not claim that a commit is served if a link is broken", () => {
    const said = certificateMarkdown({ ...certificate, links: [link("broken", "nothing")] });
    expect(said).toContain("is not proven to serve `0123456789ab`");
    expect(said).toContain("| **broken** |");
  });

  it("of a failed deploy names link, service, expected, found, and the remedy", () => {
    const { message } = new FreshnessError(finding);
    expect(failureMarkdown("prod was not deployed", [`Image backend: ${message}`])).toBe(
      [
        "### prod was not deployed",
        "",
        "**dockerfile of backend: a COPY comes before any RUN that expands the ARG**",
        "",
        "| link | service | expected | found |",
        "| --- | --- | --- | --- |",
        "| dockerfile | backend | a RUN with $GIT\\_COMMIT\\_HASH before COPY . . | backend/Dockerfile:4 COPY . . |",
        "",
        "Remedy: Move the COPY below it. See README.",
        "",
      ].join("\n"),
    );
  });

  it("prints any other failure, and points at the log if there is no message", () => {
    expect(failureMarkdown("Failed", ["no ```\nspace"])).toBe(
      "### Failed\n\n````text\nno ```\nspace\n````\n",
    );
    expect(failureMarkdown("Failed", [])).toBe("### Failed\n\nSee the log.\n");
  });

  it("of a superseded deploy names the newer commit", () => {
    expect(supersededMarkdown("prod", "superseded: a is older than b")).toBe(
      "### prod: nothing to deploy\n\nsuperseded: a is older than b\n",
    );
  });
});

describe("the summary of a pull request", () => {
  const commit = (index: number) => ({ id: `${index}`.padStart(40, "0"), subject: `Change ${index}` });
  const proposal: Proposal = {
    ...{ stack: "staging", proposed: NEW, findings: [], errors: [] },
    running: { commit: OLD, time: "2026-01-02T03:04:05.678Z", by: "@ann" },
    commits: [{ id: NEW, subject: "Fix | the @page" }],
    changes: [
      { op: "replace", type: "docker Image", name: "backend" },
      { op: "create", type: "docker Container", name: "backend" },
    ],
  };

  it("has the running and the new release, the commits between, and the changes", () => {
    expect(proposalMarkdown(proposal)).toBe(
      [
        "### staging: `0123456789ab` → `89abcdef0123`",
        "",
        "`0123456789ab` runs since 2026-01-02T03:04:05.678Z, deployed by @\u200bann.",
        "",
        "**1 commit:**",
        "",
        "- `89abcde` Fix \\| the @\u200bpage",
        "",
        "| change | resource | name |",
        "| --- | --- | --- |",
        "| replace | docker Image | `backend` |",
        "| create | docker Container | `backend` |",
        "",
      ].join("\n"),
    );
  });

  it("lists twenty commits and counts the others", () => {
    const commits = Array.from({ length: 23 }, (_, index) => commit(index));
    const said = proposalMarkdown({ ...proposal, commits });
    expect(said.match(/^- `/gm)).toHaveLength(20);
    expect(said).toContain("**23 commits:**");
    expect(said).toContain("- and 3 more");
  });

  it.each<[string, Partial<Proposal>, string]>([
    ["nothing runs yet", { running: undefined, commits: undefined }, "### staging: nothing → `89abcdef0123`"],
    ["the running commit is not here", { commits: undefined }, "not in this checkout"],
    ["no commit is between them", { commits: [] }, "No commits between"],
    ["nothing would change", { changes: [] }, "No resource changes."],
  ])("reports that %s", (_, part, expected) => {
    expect(proposalMarkdown({ ...proposal, ...part })).toContain(expected);
  });

  it("shows the full refusal of a Dockerfile, and no changes", () => {
    const said = proposalMarkdown({ ...proposal, findings: [finding], changes: [] });
    expect(said).toMatch(/^### staging: .* → .*: would fail$/m);
    expect(said).toContain("**dockerfile of backend: a COPY comes before any RUN that expands the ARG**");
    expect(said).toMatch(
      /\| dockerfile \| backend \| a RUN with .* \| backend\/Dockerfile:4 COPY \. \. \|$/m,
    );
    expect(said).toContain("Remedy: Move the COPY below it. See README.");
    expect(said).not.toContain("No resource changes.");
  });

  it("shows lines for a Dockerfile verbatim", () => {
    const lines = { ...finding, remedy: "Add:\nARG GIT_COMMIT_HASH\nRUN test -n x" };
    const said = proposalMarkdown({ ...proposal, findings: [finding, lines] });
    expect(said).toContain("Remedy:\n\n```text\nAdd:\nARG GIT_COMMIT_HASH\nRUN test -n x\n```");
    expect(said.match(/^\*\*dockerfile of backend/gm)).toHaveLength(2);
  });

  it("prints any other failure, also without a cause", () => {
    const said = proposalMarkdown({ stack: "staging", changes: [], findings: [], errors: ["no backend"] });
    expect(said).toBe("### staging: nothing → unknown: would fail\n\n```text\nno backend\n```\n");
  });
});

describe("an event log", () => {
  const pre = (op: string, type: string, name: string) =>
    JSON.stringify({
      resourcePreEvent: { metadata: { op, type, urn: `urn:pulumi:prod::watch-party::${type}::${name}` } },
    });
  const diagnostic = (message: string, urn?: string) =>
    JSON.stringify({ diagnosticEvent: { urn, message, severity: "error" } });

  it("lists the changes, a replacement once, without components and providers", () => {
    const events = [
      pre("create-replacement", "docker:index/image:Image", "backend"),
      pre("replace", "docker:index/image:Image", "backend"),
      pre("delete-replaced", "docker:index/image:Image", "backend"),
      pre("same", "docker:index/network:Network", "edge"),
      pre("update", "pulumi:providers:docker", "engine"),
      pre("create", "watch-party:index:Edge", "edge"),
      pre("delete", "docker:index/container:Container", "worker"),
    ];
    expect(changesOf(events.join("\n"))).toEqual([
      { op: "replace", type: "docker Image", name: "backend" },
      { op: "delete", type: "docker Container", name: "worker" },
    ]);
  });

  it("gives the cause of a failure", () => {
    const urn = "urn:pulumi:prod::watch-party::docker:index/image:Image::backend";
    expect(errorsOf([diagnostic("update failed"), diagnostic("no space", urn)].join("\n"))).toEqual([
      "Image backend: no space",
    ]);
  });

  it("has the output of a failed build's steps, without the values of its args", () => {
    const urn = "urn:pulumi:prod::watch-party::docker:index/image:Image::backend";
    const status = (message: string, of = urn) =>
      JSON.stringify({ diagnosticEvent: { urn: of, message, severity: "info", ephemeral: true } });
    const inputs = { build: { args: { API_TOKEN: "hunter2" } } };
    const begun = JSON.stringify({ resourcePreEvent: { metadata: { urn, new: { urn, inputs } } } });
    const step = "digest: sha256:0123\n[2/3] RUN make\n";
    const events = [begun, status(step), status("main.c:3: expected ; near hunter2\n"), status(step)];
    events.push(
      status("[1/1] RUN other", urn.replace("backend", "frontend")),
      diagnostic("exit code: 2", urn),
    );
    expect(buildLogsOf(events.join("\n"))).toEqual([
      "the build of backend failed:\n[2/3] RUN make\nmain.c:3: expected ; near [build arg API_TOKEN]",
    ]);
    expect(buildLogsOf([...events, diagnostic("the build of backend failed: …")].join("\n"))).toEqual([]);
  });
});

describe("a CI job", () => {
  it("appends summaries, and writes outputs safe from injected delimiters", () => {
    const folder = mkdtempSync(join(tmpdir(), "watch-party-summary-"));
    const env = { GITHUB_STEP_SUMMARY: join(folder, "summary"), GITHUB_OUTPUT: join(folder, "output") };
    summarize("one\n", env);
    summarize("two\n", env);
    setOutput("markdown", "a\nEOF\nb", env);
    expect(readFileSync(env.GITHUB_STEP_SUMMARY, "utf8")).toBe("one\n\ntwo\n\n");
    expect(readFileSync(env.GITHUB_OUTPUT, "utf8")).toMatch(/^markdown<<(\S{36})\na\nEOF\nb\n\1\n$/);
    rmSync(folder, { recursive: true });
  });

  it("is absent outside CI", () => {
    expect(() => summarize("one", {})).not.toThrow();
    expect(() => setOutput("markdown", "one", { GITHUB_OUTPUT: "" })).not.toThrow();
  });
});
