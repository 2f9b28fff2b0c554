export interface Room {
  id: string;
  name: string;
  film: string;
  viewers: number;
}

export type Rooms = { ok: true; rooms: Room[] } | { ok: false };

const TIMEOUT_MS = 2_000;

/** The rooms as the backend knows them now. A backend that fails is a state of the page, not a crash. */
export async function fetchRooms(): Promise<Rooms> {
  try {
    const response = await fetch(new URL("/api/rooms", process.env.BACKEND_URL ?? "http://localhost:8000"), {
      cache: "no-store",
      signal: AbortSignal.timeout(TIMEOUT_MS),
    });
    if (!response.ok) throw new Error(`the backend answered ${response.status}`);
    const rooms: unknown = await response.json();
    if (!Array.isArray(rooms) || !rooms.every(isRoom)) throw new Error("the backend answered something else");
    return { ok: true, rooms };
  } catch (error) {
    console.error("Rooms could not be loaded:", error);
    return { ok: false };
  }
}

function isRoom(value: unknown): value is Room {
  const room = value as Partial<Room> | null;
  return (
    typeof room?.id === "string" &&
    typeof room.name === "string" &&
    typeof room.film === "string" &&
    typeof room.viewers === "number"
  );
}
