import { randomText, read, write } from "./identity";
import type { Frame, Member, Message, Playback, Room, Said } from "./protocol";

/** What was written and has not come back from the backend yet. */
export interface Unsent {
  readonly id: string;
  readonly text: string;
}

/** All that a room's page shows. */
export interface RoomState {
  readonly status: "connecting" | "live" | "lost" | "gone";
  /** Whether it is asked by HTTP, because no socket comes through. */
  readonly polling: boolean;
  readonly you?: string;
  readonly room?: Room;
  readonly members: readonly Member[];
  readonly messages: readonly Message[];
  readonly unsent: readonly Unsent[];
  readonly playback?: Playback;
  /** What went wrong last, for people. */
  readonly problem?: string;
}

/** The page hears of it when the backend is there again: it may be a newer one. */
export const CONNECTED = "watch-party:connected";

const SHOWN = 1000;
const PING_MS = 5_000;
/** No word for so long: the connection is dead although nobody said so. */
const SILENCE_MS = 12_000;
/** A deploy closes all sockets at once: they come back spread over the first wait, not all in the same moment. */
const WAITS_MS = [200, 500, 1_000, 2_000, 4_000];
const AGAIN_MS = 2_000;
const POLL_MS = 1_000;
/** So many sockets that fail before anything was heard: this network lets none through. */
const FAILURES = 3;
const SOCKET_AGAIN_MS = 60_000;
/** Messages on the way at once: the backend takes bursts, not floods. */
const ON_THE_WAY = 5;
/** Codes of a socket that is not to come back: refused for good, an unknown room. */
const FOR_GOOD = [1008, 4404];

/**
 * A room, as the backend has it. A connection that ends is made again, what was missed is asked for, and what was written
 * meanwhile is sent until it comes back; its id tells the backend what it has already.
 */
export class RoomConnection {
  #state: RoomState;
  readonly #listeners = new Set<() => void>();
  #socket?: WebSocket;
  readonly #timers = new Set<ReturnType<typeof setTimeout>>();
  #pings?: ReturnType<typeof setInterval>;
  #failures = 0;
  #heard = 0;
  #lostAt?: number;
  #stopped = false;
  readonly #onTheWay = new Set<string>();
  /** What the host did and the backend has not said back yet. */
  #wanted?: { playing: boolean; position: number; at: number; above: number };
  #confirmed?: Playback;
  /** The backend's clock less this one, in seconds, by the quickest answer so far. */
  #offset = 0;
  #quickest = Number.POSITIVE_INFINITY;

  constructor(
    private readonly id: string,
    private readonly key: string,
    private readonly name: string,
  ) {
    this.#state = { status: "connecting", polling: false, members: [], messages: [], unsent: this.#kept() };
  }

  readonly snapshot = (): RoomState => this.#state;

  readonly subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  };

  /** The backend's time, in seconds. */
  now(): number {
    return Date.now() / 1000 + this.#offset;
  }

  start(): void {
    this.#stopped = false;
    window.addEventListener("online", this.#atOnce);
    this.#open();
  }

  stop(): void {
    this.#stopped = true;
    window.removeEventListener("online", this.#atOnce);
    this.#clear();
    this.#socket?.close();
    this.#socket = undefined;
  }

  chat(text: string): void {
    this.#set({ unsent: [...this.#state.unsent, { id: randomText(), text }] });
    this.#keep();
    this.#send();
  }

  /** Shown at once; the others see it when the backend has it. */
  play(playing: boolean, position: number): void {
    const { playback } = this.#state;
    if (!playback) return;
    this.#wanted = { playing, position, at: this.now(), above: playback.revision };
    this.#set({ playback: { ...playback, playing, position, at: this.#wanted.at } });
    this.#want();
  }

  handOver(member: string): void {
    this.#say({ type: "host", member });
  }

  #open(): void {
    this.#clear();
    const url = new URL(`/api/rooms/${encodeURIComponent(this.id)}/socket`, location.href);
    url.protocol = url.protocol.replace("http", "ws");
    const socket = new WebSocket(url);
    this.#socket = socket;
    this.#heard = Date.now();
    this.#pings = setInterval(() => this.#ping(), PING_MS);
    socket.addEventListener("open", () => {
      const after = this.#state.messages.at(-1)?.seq ?? 0;
      socket.send(JSON.stringify({ type: "hello", key: this.key, name: this.name, after }));
    });
    socket.addEventListener("message", ({ data }) => {
      this.#heard = Date.now();
      this.#hear(JSON.parse(data));
    });
    socket.addEventListener("close", ({ code }) => {
      if (this.#socket === socket) this.#lost(code);
    });
  }

  #lost(code: number): void {
    this.#clear();
    this.#socket = undefined;
    this.#onTheWay.clear();
    if (this.#stopped) return;
    if (FOR_GOOD.includes(code)) {
      this.#set({ status: "gone" });
      return;
    }
    if (this.#state.status === "live") this.#lostAt = performance.now();
    this.#set({ status: this.#state.you ? "lost" : "connecting" });
    if (++this.#failures >= FAILURES) void this.#poll(Date.now() + SOCKET_AGAIN_MS);
    else this.#later(this.#wait(), () => this.#open());
  }

  #wait(): number {
    return WAITS_MS[Math.min(this.#failures - 1, WAITS_MS.length - 1)]! * (0.5 + Math.random());
  }

  /** The way without a socket. A socket is tried again after a while. */
  async #poll(until: number): Promise<void> {
    const sent = Date.now() / 1000;
    const chats = this.#state.unsent
      .slice(0, ON_THE_WAY)
      .map(({ id, text }): Frame => ({ type: "chat", id, text }));
    const wanted = this.#wantedFrame();
    const after = this.#state.messages.at(-1)?.seq ?? 0;
    const frames: Frame[] = [...chats, ...(wanted ? [wanted] : []), { type: "ping", sent }];
    const said = await this.#ask({ key: this.key, name: this.name, after, frames });
    if (this.#stopped || this.#state.status === "gone") return;
    if (said) {
      this.#set({ polling: true });
      for (const each of said) this.#hear(each);
    } else {
      if (this.#state.status === "live") this.#lostAt = performance.now();
      this.#set({ status: this.#state.you ? "lost" : "connecting" });
    }
    // Where not even that comes through, it is no matter of sockets.
    if (said && Date.now() < until) this.#later(POLL_MS, () => void this.#poll(until));
    else this.#later(this.#wait(), () => this.#open());
  }

  async #ask(body: object): Promise<readonly Said[] | undefined> {
    try {
      const response = await fetch(`/api/rooms/${encodeURIComponent(this.id)}/poll`, {
        method: "POST",
        headers: { "Content-Type": "application/json" },
        body: JSON.stringify(body),
        signal: AbortSignal.timeout(SILENCE_MS),
      });
      if (response.status === 404) this.#set({ status: "gone" });
      return response.ok ? ((await response.json()) as Said[]) : undefined;
    } catch {
      return undefined;
    }
  }

  #hear(said: Said): void {
    switch (said.type) {
      case "welcome": {
        const { you, room, members, messages, playback } = said;
        // Good until the first answer to a ping says it better.
        if (this.#quickest === Number.POSITIVE_INFINITY) this.#offset = said.now - Date.now() / 1000;
        const live = this.#state.status === "live";
        this.#set({ status: "live", you, room, members, problem: undefined });
        this.#add(messages);
        this.#follow(playback);
        if (this.#socket) {
          this.#failures = 0;
          this.#set({ polling: false });
          this.#ping();
        }
        if (live) return;
        if (this.#lostAt !== undefined) performance.measure("watch-party:away", { start: this.#lostAt });
        this.#lostAt = undefined;
        window.dispatchEvent(new Event(CONNECTED));
        this.#send();
        this.#want();
        return;
      }
      case "messages":
        this.#add(said.messages);
        return;
      case "members":
        this.#set({ members: said.members });
        return;
      case "playback":
        this.#follow(said.playback);
        return;
      case "pong": {
        const now = Date.now() / 1000;
        const took = now - said.sent;
        if (took > this.#quickest) return;
        this.#quickest = took;
        this.#offset = said.now - (said.sent + now) / 2;
        return;
      }
      case "error":
        if (said.code === "not_host") {
          this.#wanted = undefined;
          this.#set({ playback: this.#confirmed });
        }
        this.#set({ problem: said.text });
        this.#later(AGAIN_MS, () => {
          if (said.id !== null) this.#onTheWay.delete(said.id);
          this.#send();
          this.#want();
        });
    }
  }

  #add(messages: readonly Message[]): void {
    const last = this.#state.messages.at(-1)?.seq ?? 0;
    const added = messages.filter(({ seq }) => seq > last);
    if (added.length === 0) return;
    const own = new Set(added.filter(({ member }) => member === this.#state.you).map(({ id }) => id));
    for (const id of own) this.#onTheWay.delete(id);
    this.#set({
      messages: [...this.#state.messages, ...added].slice(-SHOWN),
      unsent: this.#state.unsent.filter(({ id }) => !own.has(id)),
      ...(own.size > 0 ? { problem: undefined } : {}),
    });
    this.#keep();
    this.#send();
  }

  #follow(playback: Playback): void {
    this.#confirmed = playback;
    if (this.#wanted && playback.revision > this.#wanted.above) this.#wanted = undefined;
    // What the host wants is shown until the backend has heard of it.
    if (!this.#wanted) this.#set({ playback });
  }

  /** Sends what is not on its way yet. */
  #send(): void {
    for (const { id, text } of this.#state.unsent) {
      if (this.#onTheWay.size >= ON_THE_WAY) return;
      if (this.#onTheWay.has(id) || !this.#say({ type: "chat", id, text })) continue;
      this.#onTheWay.add(id);
    }
  }

  #want(): void {
    const frame = this.#wantedFrame();
    if (frame) this.#say(frame);
  }

  #wantedFrame(): Frame | undefined {
    if (!this.#wanted) return undefined;
    const { playing, position, at } = this.#wanted;
    return { type: "playback", playing, position: playing ? position + this.now() - at : position };
  }

  #say(frame: Frame): boolean {
    if (this.#state.status !== "live" || this.#socket?.readyState !== WebSocket.OPEN) return false;
    this.#socket.send(JSON.stringify(frame));
    return true;
  }

  #ping(): void {
    if (Date.now() - this.#heard > SILENCE_MS) {
      const dead = this.#socket;
      this.#lost(1006);
      dead?.close();
      return;
    }
    this.#say({ type: "ping", sent: Date.now() / 1000 });
  }

  readonly #atOnce = () => {
    if (this.#state.status !== "lost" || this.#socket) return;
    this.#failures = 0;
    this.#open();
  };

  #set(change: Partial<RoomState>): void {
    this.#state = { ...this.#state, ...change };
    for (const listener of this.#listeners) listener();
  }

  /** What is not sent yet outlives a reload. */
  #keep(): void {
    write(sessionStorage, `watch-party:unsent:${this.id}`, JSON.stringify(this.#state.unsent));
  }

  #kept(): Unsent[] {
    return JSON.parse(read(sessionStorage, `watch-party:unsent:${this.id}`) ?? "[]");
  }

  #later(ms: number, work: () => void): void {
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      work();
    }, ms);
    this.#timers.add(timer);
  }

  #clear(): void {
    clearInterval(this.#pings);
    for (const timer of this.#timers) clearTimeout(timer);
    this.#timers.clear();
  }
}
