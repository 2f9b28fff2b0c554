import { expect, it } from "@jest/globals";
import { within } from "../../engine/until";

const never = new Promise<string>(() => undefined);

it.each<[string, Promise<string>, string]>([
  ["a result in time", Promise.resolve("in time"), "in time"],
  ["the fallback without a result", never, "otherwise"],
])("within returns %s", async (_, work, expected) => {
  expect(await within(0.05, work, () => "otherwise")).toBe(expected);
});

it("within throws the error of the work, and of its fallback", async () => {
  await expect(within(1, Promise.reject(new Error("its own")), () => "otherwise")).rejects.toThrow("its own");
  const late = () => {
    throw new Error("late");
  };
  await expect(within(0.01, never, late)).rejects.toThrow("late");
});

it("within handles a later failure", async () => {
  let fail = (_: Error) => {};
  const work = new Promise<string>((_, reject) => {
    fail = reject;
  });
  expect(await within(0.01, work, () => "otherwise")).toBe("otherwise");
  fail(new Error("too late"));
  await new Promise(setImmediate);
});
