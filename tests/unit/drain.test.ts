import { expect, it } from "@jest/globals";
import { hexadecimal } from "../../engine/drain";

it.each([
  ["172.18.0.4", "040012AC"],
  ["10.0.255.1", "01FF000A"],
])("writes %s as the kernel does: %s", (address, hex) => expect(hexadecimal(address)).toBe(hex));
