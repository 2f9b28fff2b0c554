import { describe, expect, it } from "@jest/globals";
import { assertUnbroken, broken, FreshnessError } from "../../freshness/chain";
import { containerVerdict } from "../../freshness/container";
import { commitOf, versionVerdict } from "../../freshness/served";

const answer = (status: number, body: string, error = "") => ({
  url: "http://edge/.freshness/backend",
  status,
  body,
  error,
});
const good = answer(200, '{"commit":"abc"}');

describe("versionVerdict", () => {
  it("is proven when every answer names the commit", () => {
    expect(versionVerdict("served", "backend", "abc", [good, good])).toMatchObject({
      status: "proven",
      found: "commit abc",
    });
  });

  it.each([
    ["an older commit", [good, answer(200, '{"commit":"old"}')], "commit old"],
    ["an error page", [answer(502, "<html>Bad\nGateway")], 'status 502, "<html>Bad Gateway"'],
    ["a page of another app", [answer(200, "<html>")], 'status 200, "<html>"'],
    ["a commit that is no text", [answer(200, '{"commit":1}')], 'status 200, "{"commit":1}"'],
    ["no answer", [answer(0, "", "connection refused")], "no answer (connection refused)"],
    ["nothing asked", [], "no answer"],
  ])("is broken by %s", (_, answers, found) => {
    expect(versionVerdict("served", "backend", "abc", answers)).toMatchObject({
      status: "broken",
      expected: "commit abc",
      found,
    });
  });
});

it.each([
  ['{"commit":"abc"}', "abc"],
  ["{}", undefined],
  ["null", undefined],
  ["", undefined],
])("commitOf(%j)", (body, commit) => expect(commitOf({ body })).toBe(commit));

describe("containerVerdict", () => {
  const image = `sha256:${"1".repeat(64)}`;
  it("is proven by a running container of the image", () => {
    expect(containerVerdict("backend", image, { name: "b-1", running: true, image }).status).toBe("proven");
  });
  it.each([
    ["gone", undefined, "no such container"],
    ["stopped", { name: "b-1", running: false, image }, "a container that does not run"],
    [
      "of another image",
      { name: "b-1", running: true, image: `sha256:${"2".repeat(64)}` },
      `a running container of sha256:${"2".repeat(12)}`,
    ],
  ])("is broken by a container that is %s", (_, container, found) => {
    expect(containerVerdict("backend", image, container)).toMatchObject({ status: "broken", found });
  });
});

describe("assertUnbroken", () => {
  const of = (link: "served" | "container") =>
    broken({
      link,
      service: "backend",
      wrong: "it is old",
      expected: "X",
      found: "Y",
      evidence: "",
      remedy: "Do Z.",
    });

  it("passes what is proven", () => {
    expect(() => assertUnbroken([versionVerdict("served", "backend", "abc", [good])])).not.toThrow();
  });

  it("names the first broken link of the chain, whatever order they come in", () => {
    expect(() => assertUnbroken([of("served"), of("container")])).toThrow(
      new FreshnessError(of("container")).message,
    );
    expect(new FreshnessError(of("served")).message).toBe(
      "freshness: served of backend: it is old; expected X, found Y. Do Z.",
    );
  });
});
