import { isRoom, type Room } from "./protocol";

export type Rooms = { ok: true; rooms: Room[] } | { ok: false };

const TIMEOUT_MS = 2_000;

/** The rooms as the backend knows them now. A backend that fails is a state of the page, not a crash. */
export async function fetchRooms(): Promise<Rooms> {
  try {
    const rooms: unknown = await (await ask("/api/rooms")).json();
    if (!Array.isArray(rooms) || !rooms.every(isRoom)) throw new Error("the backend answered something else");
    return { ok: true, rooms };
  } catch (error) {
    console.error("Rooms could not be loaded:", error);
    return { ok: false };
  }
}

/** A room, or why there is none: the page of a room that cannot be asked for now still opens, and tries again itself. */
export async function fetchRoom(id: string): Promise<Room | "unknown" | "unreachable"> {
  try {
    const response = await ask(`/api/rooms/${encodeURIComponent(id)}`, 404);
    if (response.status === 404) return "unknown";
    const room: unknown = await response.json();
    return isRoom(room) ? room : "unreachable";
  } catch (error) {
    console.error("The room could not be loaded:", error);
    return "unreachable";
  }
}

/** @param fine a status that is an answer too */
async function ask(path: string, fine?: number): Promise<Response> {
  const response = await fetch(new URL(path, process.env.BACKEND_URL ?? "http://localhost:8000"), {
    cache: "no-store",
    signal: AbortSignal.timeout(TIMEOUT_MS),
  });
  if (!response.ok && response.status !== fine) throw new Error(`the backend answered ${response.status}`);
  return response;
}
