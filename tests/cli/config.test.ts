import { readFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import { TestApp } from "../support/app";
import { freePort, leftovers } from "../support/stack";
import { Clone } from "./clone";

/** The same without a command of the project's own: the pulumi CLI and configuration keys. */
describe("the pulumi CLI in the project's environment", () => {
  let clone: Clone;
  let app: TestApp;
  const stack = `c${Math.random().toString(36).slice(2, 8)}`;
  const pulumi = (...args: string[]) => clone.good(clone.run("pulumi", args));

  beforeAll(async () => {
    clone = await Clone.create();
    app = await TestApp.create();
  });
  afterAll(async () => {
    await clone?.remove([stack]);
    app?.remove();
  });

  it("deploys another checkout by configuration keys only, and removes it again", async () => {
    const port = await freePort();
    await clone.good(clone.npm("pulumi", ["stack", "init", stack, "--no-select"]));
    await pulumi("config", "set", "source", app.folder, "--stack", stack);
    await pulumi("config", "set", "listen", `127.0.0.1:${port}`, "--stack", stack);
    await pulumi("config", "set", "--path", "services.frontend.startSeconds", "10", "--stack", stack);
    await pulumi("config", "set", "--path", "services.backend.startSeconds", "10", "--stack", stack);
    await pulumi("up", "--yes", "--stack", stack);

    const outputs = JSON.parse((await pulumi("stack", "output", "--json", "--stack", stack)).stdout);
    const commit = await app.git("rev-parse", "HEAD");
    expect(outputs).toMatchObject({ url: `http://127.0.0.1:${port}`, commit, freshness: { commit, stack } });
    for (const service of ["frontend", "backend"]) {
      const response = await fetch(`${outputs.url}/.freshness/${service}`);
      expect(await response.json()).toEqual({ commit });
    }

    await pulumi("destroy", "--yes", "--stack", stack);
    await pulumi("stack", "rm", "--yes", "--stack", stack);
    expect(await leftovers(stack)).toEqual([]);
  });

  it("leaves tracked stack files unchanged, without the salt that the CLI writes", async () => {
    const before = readFileSync(clone.stackFile("dev"), "utf8");
    await clone.good(clone.npm("preview", []));
    expect(clone.resources("dev")).toBeDefined();
    await pulumi("config", "--stack", "dev");
    expect(await clone.changed()).toEqual([]);
    expect(readFileSync(clone.stackFile("dev"), "utf8")).toBe(before);
  });

  it("keeps the salt if a secret in the file needs it", async () => {
    await pulumi("config", "set", "--secret", "serverKey", "k3y", "--stack", "dev");
    const file = readFileSync(clone.stackFile("dev"), "utf8");
    expect(file).toMatch(/^encryptionsalt: /m);
    expect(file).not.toContain("k3y");
    expect((await pulumi("config", "get", "serverKey", "--stack", "dev")).stdout).toBe("k3y");
  });
});
