import { expect, it } from "@jest/globals";
import { openTo } from "../../engine/drain";

const TABLE = `  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:07E3 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1234 1
   1: 020012AC:B2C4 040012AC:1F40 01 00000000:00000000 02:00000123 00000000     0        0 1235 2
   2: 020012AC:B2C6 050012AC:0BB8 06 00000000:00000000 03:00000123 00000000     0        0 0 3
  sl  local_address                         remote_address                        st
   0: 0000000000000000FFFF0000020012AC:0050 0000000000000000FFFF0000010012AC:D2F0 01 00000000:00000000
`;

it("reads whom connections are open to: no listener, none that is closing", () => {
  expect(openTo(TABLE)).toEqual(["172.18.0.4", "172.18.0.1"]);
});
