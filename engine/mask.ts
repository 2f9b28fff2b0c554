import { StringDecoder } from "node:string_decoder";

/** Replacement for a secret. */
const MASK = "[secret]";
/**
 * A shorter line of a secret, such as the brace of a JSON document, is masked only if it fills a printed
 * line.
 */
const SHORTEST_PART = 4;
/** A longer text without a line end is passed on in parts. */
const LONGEST_LINE = 64 * 1024;

/**
 * Creates a function that masks secrets in output. Each line of a multi-line secret is masked, also if it is
 * indented or trimmed.
 */
export function maskOf(secrets: readonly string[]): (text: string) => string {
  const whole = secrets.filter((secret) => secret.trim() !== "");
  const lines = whole
    .filter((secret) => /[\r\n]/.test(secret.trim()))
    .flatMap((secret) => secret.split(/\r\n|\r|\n/).map((line) => line.trim()))
    .filter((line) => line !== "");
  const short = new Set(lines.filter((line) => line.length < SHORTEST_PART));
  // Longest first: a secret may be part of another.
  const parts = [...new Set([...whole, ...whole.map((secret) => secret.trim()), ...lines])]
    .filter((part) => !short.has(part))
    .sort((a, b) => b.length - a.length)
    .map((part) => (part.length < SHORTEST_PART ? asWord(part) : part));
  if (parts.length === 0 && short.size === 0) return (text) => text;
  return (text) => {
    const masked = parts.reduce<string>((rest, part) => rest.replaceAll(part, MASK), text);
    if (short.size === 0) return masked;
    return masked.replace(/[^\r\n]+/g, (line) => (short.has(line.trim()) ? MASK : line));
  };
}

/** A secret of a few letters or digits is a part of many words: it is masked as a word of its own. */
function asWord(part: string): RegExp {
  const literal = part.replace(/[\\^$.*+?()[\]{}|/-]/g, "\\$&");
  return new RegExp(`(?<![A-Za-z0-9])${literal}(?![A-Za-z0-9])`, "g");
}

/** Passes output on line by line, masked, so that a secret that spans two chunks is masked too. */
export class MaskedLines {
  private readonly decoder = new StringDecoder("utf8");
  private rest = "";

  /** @param say receives each line without its end */
  constructor(
    private readonly mask: (text: string) => string,
    private readonly say: (line: string) => void,
  ) {}

  write(chunk: Uint8Array): void {
    this.rest += this.decoder.write(Buffer.from(chunk));
    const lines = this.rest.split(/\r?\n/);
    this.rest = lines.pop() ?? "";
    for (const line of lines) this.tell(line);
    if (this.rest.length <= LONGEST_LINE) return;
    this.tell(this.rest);
    this.rest = "";
  }

  end(): void {
    const rest = this.rest + this.decoder.end();
    this.rest = "";
    if (rest !== "") this.tell(rest);
  }

  private tell(line: string): void {
    this.say(this.mask(line));
  }
}

const SHOWN_LINES = 20;
const SHOWN_CHARACTERS = 300;

/**
 * The last lines of a program's output for a message: masked, without terminal control characters, long lines
 * cut.
 */
export function lastLines(output: string, mask: (text: string) => string): string[] {
  const lines = mask(output)
    .split(/\r\n|\r|\n/)
    .map((line) => withoutControls(line).trimEnd())
    .filter((line) => line !== "");
  return lines
    .slice(-SHOWN_LINES)
    .map((line) => (line.length > SHOWN_CHARACTERS ? `${line.slice(0, SHOWN_CHARACTERS)} …` : line));
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: controls are what is removed
const CONTROLS = /\u001b\[[0-?]*[ -/]*[@-~]|[\u0000-\u0008\u000b-\u001f\u007f]/g;

/** A line without what a terminal would act on. */
export function withoutControls(line: string): string {
  return line.replace(CONTROLS, "");
}
