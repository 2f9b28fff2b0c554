import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import { TestApp } from "../support/app";
import { TestStack } from "../support/stack";

/** Set for the full form: it takes minutes. */
const TIMES = process.env.WATCH_PARTY_FULL === "1" ? 100 : 10;
/** Deploys of the other stack while verify runs, at least. */
const DEPLOYS = 2;
const MINUTES = TIMES / 4 + 5;

describe("verify of a healthy deployment", () => {
  const apps: TestApp[] = [];
  const stacks: TestStack[] = [];

  beforeAll(async () => {
    for (const services of [
      // A volume, a tmpfs and a worker: all that a proof has to look at.
      {
        frontend: { readOnly: true },
        backend: { volumes: { data: "/srv/watch" } },
        worker: { context: "backend" },
      },
      { frontend: {}, backend: {} },
    ]) {
      const app = await TestApp.create();
      apps.push(app);
      const stack = await TestStack.create({ source: app.folder, services });
      stacks.push(stack);
      const outcome = await stack.up();
      if (!outcome.ok) throw new Error(outcome.said);
    }
  });
  afterAll(async () => {
    for (const stack of stacks) await stack.remove();
    for (const app of apps) app.remove();
  });

  it(
    `passes ${TIMES} times in a row while another stack deploys`,
    async () => {
      const [stack, other] = stacks as [TestStack, TestStack];
      const said: string[] = [];
      const seconds: number[] = [];
      let deploys = 0;
      let verified = false;
      const verifying = async () => {
        for (let time = 0; time < TIMES; time++) {
          const began = performance.now();
          const { status, stderr } = await stack.verify();
          seconds.push((performance.now() - began) / 1000);
          if (status !== 0 || stderr !== "") said.push(`${status}: ${stderr}`);
        }
        verified = true;
      };
      const deploying = async () => {
        while (deploys < DEPLOYS || !verified) {
          await apps[1]!.commit({ "backend/message.txt": `hello ${deploys}\n` });
          const outcome = await other.up();
          if (!outcome.ok) said.push(outcome.said);
          deploys += 1;
        }
      };
      await Promise.all([verifying(), deploying()]);
      const sorted = seconds.sort((a, b) => a - b);
      const [shortest, median, longest] = [0, Math.floor(TIMES / 2), TIMES - 1].map((at) =>
        sorted[at]!.toFixed(1),
      );
      process.stderr.write(
        `verify: ${TIMES} times beside ${deploys} deploys, ${shortest} to ${longest} s each, median ${median} s\n`,
      );
      expect(said).toEqual([]);
    },
    MINUTES * 60_000,
  );
});
