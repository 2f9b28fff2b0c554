import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import { LinkedStack } from "../../packages/bench/links";
import { isOfficial } from "../support/plugins";

/**
 * What a second of round trip adds to a command. The bounds are those of a machine with other work beside; alone it counts some
 * fewer: see docs/bench.md.
 */
describe("round trips that wait for one another, to a server by ssh", () => {
  let linked: LinkedStack;

  beforeAll(async () => {
    linked = await LinkedStack.start();
  }, 300_000);
  afterAll(async () => linked?.remove(), 120_000);

  it("are few for an up that changes nothing", async () => {
    const { rounds, logins, requests } = await linked.rounds("nothing");
    expect(rounds).toBeLessThanOrEqual(NOTHING);
    expect(logins).toBe(1);
    expect(requests).toBeLessThanOrEqual(45);
  });

  it("are bounded for a deploy, most of them the plugin's", async () => {
    const { rounds, logins } = await linked.rounds("deploy");
    // The official plugin asks the server in its own way.
    if (!isOfficial()) expect(rounds).toBeLessThanOrEqual(DEPLOY);
    // This program's, the plugin's, the prune's, and one that finds no free session.
    expect(logins).toBeLessThanOrEqual(5);
  });
});

const NOTHING = 28;
const DEPLOY = 160;
