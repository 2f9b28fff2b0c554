import { closeSync, existsSync, openSync, readSync } from "node:fs";
import type { EngineEvent } from "@pulumi/pulumi/automation";

const POLL_MS = 50;

/**
 * Reads the event log of the Pulumi CLI while the CLI writes it.
 *
 * @param hear receives each event but debug messages
 * @returns a function that reads the rest and ends
 */
export function followEvents(file: string, hear: (event: EngineEvent) => void): () => void {
  let descriptor: number | undefined;
  let rest = Buffer.alloc(0);
  const chunk = Buffer.alloc(256 * 1024);
  const read = () => {
    descriptor ??= existsSync(file) ? openSync(file, "r") : undefined;
    if (descriptor === undefined) return;
    for (let count = readSync(descriptor, chunk); count > 0; count = readSync(descriptor, chunk)) {
      const bytes = Buffer.concat([rest, chunk.subarray(0, count)]);
      const end = bytes.lastIndexOf("\n") + 1;
      rest = Buffer.from(bytes.subarray(end));
      const lines = bytes.subarray(0, end).toString("utf8").split("\n");
      for (const line of lines) if (line !== "" && !line.endsWith(DEBUG)) hear(JSON.parse(line));
    }
  };
  const polling = setInterval(read, POLL_MS);
  return () => {
    clearInterval(polling);
    read();
    if (descriptor !== undefined) closeSync(descriptor);
  };
}

/** The end of a line with a debug message: most of the log. */
const DEBUG = '"severity":"debug"}}';
