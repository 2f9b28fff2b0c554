import { type AddressInfo, connect, createServer } from "node:net";
import { expect, it } from "@jest/globals";
import execa from "execa";
import { hexadecimal, WAIT } from "../../engine/drain";

it.each([
  ["172.18.0.4", "040012AC"],
  ["10.0.255.1", "01FF000A"],
])("writes %s as the kernel does: %s", (address, hex) => expect(hexadecimal(address)).toBe(hex));

const wait = (pattern: string) => execa("sh", ["-c", WAIT, "sh", pattern, "1"], { reject: false });

it("counts the connections that are left, none too", async () => {
  const server = createServer().listen(0, "127.0.0.1");
  await new Promise((resolve) => server.once("listening", resolve));
  const { port } = server.address() as AddressInfo;
  const client = connect(port, "127.0.0.1");
  await new Promise((resolve) => client.once("connect", resolve));
  const open = `${hexadecimal("127.0.0.1")}:${port.toString(16).toUpperCase().padStart(4, "0")} 01 `;
  expect(await wait(open)).toMatchObject({ exitCode: 0, stdout: "1" });
  client.destroy();
  await new Promise((resolve) => server.close(resolve));
  expect(await wait(open)).toMatchObject({ exitCode: 0, stdout: "0" });
});

it("does not take a failure to look for nothing left", async () => {
  const { exitCode, stdout, stderr } = await wait("(");
  expect({ exitCode, stdout }).toEqual({ exitCode: 1, stdout: "" });
  expect(stderr).toContain("grep");
});
