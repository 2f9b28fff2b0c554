import { createServer as createHttpServer } from "node:http";
import { type AddressInfo, connect, createServer } from "node:net";
import { expect, it } from "@jest/globals";
import execa from "execa";
import { hexadecimal, WAIT } from "../../edge/drain";

it.each([
  ["172.18.0.4", "040012AC"],
  ["10.0.255.1", "01FF000A"],
])("writes %s as the kernel does: %s", (address, hex) => expect(hexadecimal(address)).toBe(hex));

const wait = (pattern: string, ...followers: string[]) =>
  execa("sh", ["-c", WAIT, "sh", pattern, "1", "r2", ...followers], { reject: false });

it("counts the remaining connections, also zero", async () => {
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

it("counts a follower's connections, at least one while it serves another release", async () => {
  const told: string[] = [];
  const server = createHttpServer((_, answer) => answer.end(told.length > 1 ? told.shift() : told[0]));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const follower = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
  const line = "   1: 0100007F:0BB8 040012AC:0BB8 01 ";
  const left = async (...texts: string[]) => {
    told.splice(0, told.length, ...texts);
    return (await wait("040012AC:0BB8 01 ", follower)).stdout;
  };
  expect(await left("r1\n")).toBe("1");
  expect(await left(`r2\n${line}\n${line}\n`)).toBe("2");
  expect(await left("r1\n", "r2\n")).toBe("0");
  await new Promise((resolve) => server.close(resolve));
  expect(await left("r2\n")).toBe("1");
});

it("does not treat a failed check as zero connections", async () => {
  const { exitCode, stdout, stderr } = await wait("(");
  expect({ exitCode, stdout }).toEqual({ exitCode: 1, stdout: "" });
  expect(stderr).toContain("grep");
});
