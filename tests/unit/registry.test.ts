import { expect, it } from "@jest/globals";
import { registryProblem } from "../../engine/registry";

it.each([
  ["unauthorized: authentication required", "refuses ci for app:1; set watch-party:registry"],
  ["no basic auth credentials", "refuses ci for app:1; set watch-party:registry"],
  ["denied: requested access to the resource is denied", "refuses ci for app:1; set watch-party:registry"],
  [
    "Get http://r:5000/v2/: dial tcp 10.0.0.1:5000: connect: connection refused",
    "does not answer to the engine",
  ],
  ["lookup r on 10.0.0.1:53: no such host", "does not answer to the engine"],
  ["http: server gave HTTP response to HTTPS client", "has no certificate that the engine trusts"],
  ["x509: certificate signed by unknown authority", "has no certificate that the engine trusts"],
  ["manifest unknown: manifest unknown", "no longer has app:1"],
  ["no space left on device", "the registry r:5000 failed with app:1"],
])("has a remedy for %j, with the engine's message", (words, expected) => {
  const said = registryProblem({ address: "r:5000", user: "ci" }, "app:1", words);
  expect(said).toContain(expected);
  expect(said).toContain(words);
});
