import { randomBytes } from "node:crypto";
import { setTimeout } from "node:timers/promises";

/** What a person sent, when, and how long it took until it came back; undefined: not yet. */
interface Sent {
  readonly at: number;
  milliseconds?: number;
}

/** What became of all that was said in the rooms. */
export interface Count {
  readonly said: number;
  readonly deliveries: number;
  readonly lost: number;
  readonly doubled: number;
}

interface Said {
  readonly type: string;
  readonly messages?: readonly { readonly id: string; readonly seq: number }[];
}

/** A person in a room over a WebSocket, without a browser: comes back when it is put out, and sends again what was not heard. */
class Person {
  /** By message id. */
  readonly sent = new Map<string, Sent>();
  /** How often each message of the room came, whoever sent it. */
  readonly heard = new Map<string, number>();
  /** The codes with which sockets were closed that this person did not close. */
  readonly closed: number[] = [];
  /** How long it was away each time, in milliseconds. */
  readonly away: number[] = [];
  #after = 0;
  #socket: WebSocket | undefined;
  #welcome = false;
  #stopped = false;
  readonly #key = randomBytes(16).toString("hex");
  readonly #living: Promise<void>;

  constructor(
    private readonly url: string,
    readonly room: string,
    private readonly name: string,
  ) {
    this.#living = this.#live();
  }

  say(text: string): void {
    const id = randomBytes(8).toString("hex");
    this.sent.set(id, { at: performance.now() });
    if (this.#welcome) this.#send({ type: "chat", id, text });
  }

  /** Whether all it said came back. */
  get settled(): boolean {
    return [...this.sent.values()].every(({ milliseconds }) => milliseconds !== undefined);
  }

  async leave(): Promise<void> {
    this.#stopped = true;
    this.#socket?.close();
    await this.#living;
  }

  async #live(): Promise<void> {
    let lost: number | undefined;
    while (!this.#stopped) {
      const code = await this.#connect(() => {
        if (lost !== undefined) this.away.push(performance.now() - lost);
        lost = undefined;
      });
      if (this.#stopped) return;
      lost ??= performance.now();
      this.closed.push(code);
      await setTimeout(200 * (0.5 + Math.random()));
    }
  }

  #connect(welcomed: () => void): Promise<number> {
    return new Promise((ended) => {
      const socket = new WebSocket(`${this.url.replace("http", "ws")}/api/rooms/${this.room}/socket`);
      this.#socket = socket;
      socket.onopen = () =>
        this.#send({ type: "hello", key: this.#key, name: this.name, after: this.#after });
      socket.onmessage = ({ data }) => {
        const said = JSON.parse(String(data)) as Said;
        this.#hear(said.messages ?? []);
        if (said.type !== "welcome") return;
        this.#welcome = true;
        welcomed();
        for (const [id, { milliseconds }] of this.sent)
          if (milliseconds === undefined) this.#send({ type: "chat", id, text: "once more" });
      };
      socket.onclose = ({ code }) => {
        this.#welcome = false;
        ended(code);
      };
    });
  }

  #send(frame: object): void {
    if (this.#socket?.readyState === WebSocket.OPEN) this.#socket.send(JSON.stringify(frame));
  }

  #hear(messages: NonNullable<Said["messages"]>): void {
    for (const { id, seq } of messages) {
      this.heard.set(id, (this.heard.get(id) ?? 0) + 1);
      this.#after = Math.max(this.#after, seq);
      const own = this.sent.get(id);
      if (own) own.milliseconds ??= performance.now() - own.at;
    }
  }
}

/** Users who chat in rooms, one message every two seconds each, until they are stopped. */
export class Crowd {
  readonly #people: readonly Person[];
  #talking = true;
  readonly #talk: Promise<void>;

  private constructor(people: readonly Person[]) {
    this.#people = people;
    this.#talk = this.#speak();
  }

  static async gather(url: string, rooms: number, each: number): Promise<Crowd> {
    const people: Person[] = [];
    for (let room = 0; room < rooms; room++) {
      const id = await openRoom(url, `Room ${room}`);
      for (let one = 0; one < each; one++) people.push(new Person(url, id, `Person ${one}`));
    }
    return new Crowd(people);
  }

  async #speak(): Promise<void> {
    const pause = 2_000 / this.#people.length;
    const started = performance.now();
    for (let turn = 0; this.#talking; turn++) {
      this.#people[turn % this.#people.length]!.say(`message ${turn}`);
      await setTimeout(Math.max(0, started + (turn + 1) * pause - performance.now()));
    }
  }

  /** Ends the talk, waits until all that was said came back and was heard by everyone else, or a while, and counts. */
  async count(): Promise<Count> {
    this.#talking = false;
    await this.#talk;
    const due = performance.now() + 20_000;
    while (performance.now() < due && this.#tally().lost > 0) await setTimeout(100);
    return this.#tally();
  }

  /** Messages of a room times people of that room, each of whom has to hear each once. */
  #tally(): Count {
    const tally = { said: 0, deliveries: 0, lost: 0, doubled: 0 };
    for (const { sent, room } of this.#people)
      for (const id of sent.keys()) {
        tally.said += 1;
        for (const hearer of this.#people) {
          if (hearer.room !== room) continue;
          const times = hearer.heard.get(id) ?? 0;
          tally.deliveries += times;
          if (times === 0) tally.lost += 1;
          if (times > 1) tally.doubled += times - 1;
        }
      }
    return tally;
  }

  /** How long messages took that were sent in a span of time, in milliseconds. */
  latencies(from: number, to: number): number[] {
    return this.#people.flatMap(({ sent }) =>
      [...sent.values()]
        .filter(({ at }) => at >= from && at < to)
        .map(({ milliseconds }) => milliseconds ?? Number.POSITIVE_INFINITY),
    );
  }

  /** The codes of all sockets that were closed by the other end. */
  get closed(): number[] {
    return this.#people.flatMap(({ closed }) => closed);
  }

  /** How long each of them was away, each time, in milliseconds. */
  get away(): number[] {
    return this.#people.flatMap(({ away }) => away);
  }

  async leave(): Promise<void> {
    this.#talking = false;
    await this.#talk;
    await Promise.all(this.#people.map((person) => person.leave()));
  }
}

/** Opens a room whose only host is the browser with the given key. */
export async function openRoom(
  url: string,
  name: string,
  key = randomBytes(16).toString("hex"),
): Promise<string> {
  const headers = { "Content-Type": "application/json" };
  const answer = await fetch(`${url}/api/rooms`, {
    method: "POST",
    headers,
    body: JSON.stringify({ name, key }),
  });
  if (answer.status !== 201) throw new Error(`POST /api/rooms: ${answer.status} ${await answer.text()}`);
  return ((await answer.json()) as { id: string }).id;
}
