/** What the backend says: see its protocol.py. Times are seconds since 1970 by its clock. */
export interface Room {
  readonly id: string;
  readonly name: string;
  readonly viewers: number;
}

export interface Message {
  readonly seq: number;
  readonly id: string;
  readonly member: string;
  readonly name: string;
  readonly text: string;
  readonly at: number;
}

export interface Member {
  readonly id: string;
  readonly name: string;
}

/** The film was at `position` at the time `at`, and has gone on since if it is `playing`. */
export interface Playback {
  readonly playing: boolean;
  readonly position: number;
  readonly at: number;
  readonly host: string | null;
  readonly revision: number;
}

export type Said =
  | {
      readonly type: "welcome";
      readonly you: string;
      readonly room: Room;
      readonly now: number;
      readonly messages: readonly Message[];
      readonly members: readonly Member[];
      readonly playback: Playback;
    }
  | { readonly type: "messages"; readonly messages: readonly Message[] }
  | { readonly type: "members"; readonly members: readonly Member[] }
  | { readonly type: "playback"; readonly playback: Playback }
  | { readonly type: "pong"; readonly sent: number; readonly now: number }
  | { readonly type: "error"; readonly code: string; readonly text: string; readonly id: string | null };

export type Frame =
  | { readonly type: "chat"; readonly id: string; readonly text: string }
  | { readonly type: "playback"; readonly playing: boolean; readonly position: number }
  | { readonly type: "host"; readonly member: string }
  | { readonly type: "ping"; readonly sent: number };

export function isRoom(value: unknown): value is Room {
  const room = value as Partial<Room> | null;
  return typeof room?.id === "string" && typeof room.name === "string" && typeof room.viewers === "number";
}
