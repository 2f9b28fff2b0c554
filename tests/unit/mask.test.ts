import { Readable } from "node:stream";
import { describe, expect, it } from "@jest/globals";
import { logText } from "../../engine/containerLog";
import { lastLines, MaskedLines, maskOf } from "../../engine/mask";

const KEY = "-----BEGIN KEY-----\nMIIEpAIBAAKCAQEA\n  indented==\nab\n-----END KEY-----\n";

describe("maskOf", () => {
  const mask = maskOf(["hunter2", KEY, ""]);

  it.each([
    ["a secret of one line anywhere", "password=hunter2;", "password=[secret];"],
    ["a line of a secret", "MIIEpAIBAAKCAQEA", "[secret]"],
    ["a line that is trimmed", "indented==", "[secret]"],
    ["a line that is indented", "\t  MIIEpAIBAAKCAQEA", "\t  [secret]"],
    ["a line within another", "key: 'MIIEpAIBAAKCAQEA'", "key: '[secret]'"],
    ["a line after a carriage return", "MIIEpAIBAAKCAQEA\r\nx", "[secret]\r\nx"],
    ["lines with their ends written out", "MIIEpAIBAAKCAQEA\\n-----END KEY-----", "[secret]\\n[secret]"],
    ["a short line by itself", " ab ", "[secret]"],
    ["the whole secret", `x ${KEY} y`, "x [secret] y"],
  ])("masks %s", (_, text, masked) => expect(mask(text)).toBe(masked));

  it("masks a short secret only as a separate word", () => {
    const short = maskOf(["x", "1.2", "--"]);
    expect(short("PIN=x; x1 exit 1.2 11.2 1x2 a--b -- c")).toBe(
      "PIN=[secret]; x1 exit [secret] 11.2 1x2 a--b [secret] c",
    );
  });

  it("keeps short lines of a secret in longer ones, and all text without secrets", () => {
    expect(mask("a cab\nnothing")).toBe("a cab\nnothing");
    expect(maskOf(["", " \n"])("ab")).toBe("ab");
  });
});

describe("MaskedLines", () => {
  it("masks a secret across chunks, also inside a character, and prints the unfinished last line", () => {
    const bytes = Buffer.from("é MIIEpAIBAAKCAQEA\r\nhunter2 é\nrest hunter2");
    for (let size = 1; size < bytes.length; size++) {
      const said: string[] = [];
      const lines = new MaskedLines(maskOf(["hunter2", KEY]), (line) => said.push(line));
      for (let at = 0; at < bytes.length; at += size) lines.write(bytes.subarray(at, at + size));
      lines.end();
      expect(said).toEqual(["é [secret]", "[secret] é", "rest [secret]"]);
    }
  });
});

describe("lastLines", () => {
  it("shows the last twenty lines, each in readable length, without terminal controls", () => {
    const output = [...Array(30).keys()].map((at) => `\u001b[31mline ${at}\u001b[0m\u0007`).join("\n");
    const lines = lastLines(`${output}\n${"x".repeat(1000)}\n`, (text) => text);
    expect(lines).toHaveLength(20);
    expect(lines[0]).toBe("line 11");
    expect(lines[19]).toBe(`${"x".repeat(300)} …`);
  });
});

describe("a container's log", () => {
  const frame = (stream: number, text: string) => {
    const content = Buffer.from(text);
    const header = Buffer.alloc(8);
    header[0] = stream;
    header.writeUInt32BE(content.length, 4);
    return Buffer.concat([header, content]);
  };

  it("has both streams in order, with any chunks", async () => {
    const bytes = Buffer.concat([frame(1, "out\n"), frame(2, "error\n"), frame(1, "é\n")]);
    const cut = [...bytes].map((byte) => Buffer.from([byte]));
    expect(await logText(Readable.from(cut))).toBe("out\nerror\né\n");
  });

  it("is raw from a container with a terminal", async () => {
    expect(await logText(Readable.from([Buffer.from("out and error\n")]))).toBe("out and error\n");
  });

  it("is its end if it is long", async () => {
    const frames = [...Array(40).keys()].map((at) => frame(1, `${at} ${"x".repeat(16 * 1024)}\n`));
    const said = await logText(Readable.from(frames));
    expect(said.length).toBeLessThan(300 * 1024);
    expect(said).toMatch(/39 x+\n$/);
  });
});
