/** Who this browser is to the backend, in every room and after every reload. */
const KEY = "watch-party:key";
const NAME = "watch-party:name";

/** A text that nobody guesses. `crypto.randomUUID` would need https; a party on the home network has none. */
export function randomText(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** Made on first use. It is the proof of being this member, and is sent to the backend alone. */
export function ownKey(): string {
  const known = read(localStorage, KEY);
  if (known) return known;
  const key = randomText();
  write(localStorage, KEY, key);
  return key;
}

export function ownName(): string {
  return read(localStorage, NAME) ?? "";
}

export function rememberName(name: string): void {
  write(localStorage, NAME, name);
}

/** A browser that keeps nothing, or has no space left, is no reason to stop. */
export function read(storage: Storage, name: string): string | undefined {
  try {
    return storage.getItem(name) ?? undefined;
  } catch {
    return undefined;
  }
}

export function write(storage: Storage, name: string, value: string): void {
  try {
    storage.setItem(name, value);
  } catch {
    // Kept for as long as the page is open.
  }
}
