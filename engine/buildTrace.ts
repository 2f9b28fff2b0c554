import { BinaryReader } from "google-protobuf";

/** A step of a build, with its output. */
interface Step {
  name: string;
  error: string;
  output: string;
}

/** Reads BuildKit's trace of a build. */
export class BuildTrace {
  private readonly steps = new Map<string, Step>();
  /** Why the build failed; empty for a successful build. */
  failure = "";

  /** Reads one line of the engine's answer to a build. */
  hear(line: string): void {
    const { id, aux, error } = JSON.parse(line) as Message;
    if (error !== undefined) this.failure = error;
    if (id === "moby.buildkit.trace" && typeof aux === "string") this.take(Buffer.from(aux, "base64"));
  }

  /** Returns the output of the failed steps; of all steps if the engine names no failed one. */
  output(): string {
    const all = [...this.steps.values()].filter(({ output }) => output !== "");
    const failed = all.filter(({ error }) => error !== "" && !/context canceled/.test(error));
    return (failed.length > 0 ? failed : all).map(({ name, output }) => `${name}\n${output}`).join("\n");
  }

  /** Reads a StatusResponse of BuildKit's control API: fields 1 and 3 are the steps and their logs. */
  private take(bytes: Uint8Array): void {
    fields(bytes, (status, field) => {
      if (field === 1) {
        const vertex = { digest: "", name: "", error: "" };
        fields(status.readBytes() as Uint8Array, (of, part) => {
          if (part === 1) vertex.digest = of.readString();
          else if (part === 3) vertex.name = of.readString();
          else if (part === 7) vertex.error = of.readString();
          else of.skipField();
        });
        Object.assign(this.step(vertex.digest), { name: vertex.name, error: vertex.error });
      } else if (field === 3) {
        let digest = "";
        fields(status.readBytes() as Uint8Array, (of, part) => {
          if (part === 1) digest = of.readString();
          else if (part === 4)
            this.step(digest).output += Buffer.from(of.readBytes() as Uint8Array).toString();
          else of.skipField();
        });
      } else status.skipField();
    });
  }

  private step(digest: string): Step {
    const known = this.steps.get(digest) ?? { name: "", error: "", output: "" };
    this.steps.set(digest, known);
    return known;
  }
}

/** One line of the engine's answer. */
interface Message {
  readonly id?: string;
  readonly aux?: unknown;
  readonly error?: string;
}

/** Calls `take` with each field of a message and the field's number. */
function fields(bytes: Uint8Array, take: (reader: BinaryReader, field: number) => void): void {
  const reader = new BinaryReader(bytes);
  while (reader.nextField() && !reader.isEndGroup()) take(reader, reader.getFieldNumber());
}
