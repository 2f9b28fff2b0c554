import { describe, expect, it } from "@jest/globals";
import { type Starts, startsInit } from "../../freshness/container/initProgram";

const image = (entrypoint: string[], command: string[] = []): Starts => ({ entrypoint, command });

describe("docker-init is process 1", () => {
  it.each([
    ["a server", image([], ["node", "server.js"])],
    ["an entrypoint script", image(["docker-entrypoint.sh"], ["init"])],
    ["a shell", image([], ["/bin/sh", "-c", "python init.py"])],
    ["a script that begins a database", image(["/usr/local/bin/init-db.sh"])],
    ["nothing that is known", undefined],
  ])("of %s", (_title, starts) => expect(startsInit(starts)).toBe(false));
});

describe("docker-init is not process 1", () => {
  it.each([
    ["s6-overlay", image(["/init"], ["python", "main.py"])],
    ["tini", image(["/usr/bin/tini", "--"], ["node", "server.js"])],
    ["dumb-init in a CMD", image([], ["dumb-init", "node", "server.js"])],
    ["phusion's init", image([], ["/sbin/my_init"])],
    ["systemd", image([], ["/lib/systemd/systemd"])],
    ["a script by that name", image([], ["/app/src/init.sh"])],
    ["a CMD in shell form", image([], ["/bin/sh", "-c", "exec /init --quiet"])],
    ["env before it", image(["/usr/bin/env", "A=b"], ["tini", "--", "x"])],
  ])("of %s", (_title, starts) => expect(startsInit(starts)).toBe(true));
});

it("depends on the service's command instead of the image's", () => {
  expect(startsInit(image([], ["/init"]), { command: ["python", "work.py"] })).toBe(false);
  expect(startsInit(image(["/init"], ["x"]), { command: ["python", "work.py"] })).toBe(true);
  expect(startsInit(image(["/init"], ["x"]), { entrypoint: ["python"] })).toBe(false);
  expect(startsInit(image([], ["x"]), { entrypoint: ["tini"] })).toBe(true);
});
