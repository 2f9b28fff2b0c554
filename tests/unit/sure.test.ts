import { describe, expect, it } from "@jest/globals";
import { must, textBefore, zip } from "../../freshness/sure";
import { ifReadable } from "../../source/readable";

describe("a value that must exist", () => {
  it("is returned, also if it is empty", () => {
    expect(must("", "name")).toBe("");
    expect(must(0, "number")).toBe(0);
  });

  it.each([undefined, null])("is named by the error if it is %s", (value) => {
    expect(() => must(value, "stage 3 in the Dockerfile")).toThrow("there is no stage 3 in the Dockerfile");
  });
});

describe("two lists", () => {
  it("pair by position", () => {
    expect(zip(["a", "b"], [1, 2])).toEqual([
      ["a", 1],
      ["b", 2],
    ]);
    expect(zip([], [])).toEqual([]);
  });

  it("do not pair with different lengths", () => {
    expect(() => zip(["a"], [])).toThrow("lists of 1 and 0 elements do not pair");
  });
});

it.each([
  ["NAME=a=b", "=", "NAME"],
  ["NAME", "=", "NAME"],
  ["=b", "=", ""],
])("the text before the first mark of %j", (text, mark, expected) => {
  expect(textBefore(text, mark)).toBe(expected);
});

describe("a file that need not exist", () => {
  it("is undefined if the file system refuses it", async () => {
    const refused = Object.assign(new Error("ENOENT"), { code: "ENOENT", syscall: "open" });
    await expect(ifReadable(Promise.reject(refused))).resolves.toBeUndefined();
  });

  it("fails for any other reason", async () => {
    await expect(ifReadable(Promise.reject(new TypeError("a mistake")))).rejects.toThrow("a mistake");
  });
});
