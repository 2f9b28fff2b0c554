import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import { assertForward } from "../../source/forward";
import { TestApp } from "../support/app";

describe("a deploy's direction", () => {
  let app: TestApp;
  let first: string;
  let second: string;
  let aside: string;
  beforeAll(async () => {
    app = await TestApp.create();
    first = await app.git("rev-parse", "HEAD");
    second = await app.commit({ "frontend/message.txt": "two\n" });
    await app.git("checkout", "--quiet", "-b", "aside", first);
    aside = await app.commit({ "frontend/message.txt": "aside\n" });
  });
  afterAll(() => app.remove());

  const judge = (commit: string, running: string) =>
    assertForward({ root: app.folder, commit }, { commit: running, time: "2026-03-01T10:00:00Z" });

  it("is refused backwards, with the running commit and its time", async () => {
    await expect(judge(first, second)).rejects.toThrow(
      `superseded: ${first.slice(0, 12)} is older than ${second.slice(0, 12)}, which runs since 2026-03-01T10:00:00Z`,
    );
    await expect(judge(first, `${second}-dirty-0123456`)).rejects.toThrow("superseded: ");
  });

  it("is allowed forwards, to the same commit, to a sibling branch, and from an unknown commit", async () => {
    await judge(second, first);
    await judge(first, first);
    await judge(first, `${first}-dirty-0123456`);
    await judge(aside, second);
    await judge(first, "0".repeat(40));
  });
});
