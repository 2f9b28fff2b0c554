import type { Playback } from "./protocol";

/** Beyond this many seconds the film jumps; below it runs a little faster or slower until it is right. */
const JUMP = 1;
/** What nobody sees. */
const FINE = 0.06;
const NUDGE = 0.1;

/** Where the film should be now, in seconds. It begins again when it is over. */
export function positionAt(playback: Playback, now: number, duration: number): number {
  const passed = playback.playing ? Math.max(0, now - playback.at) : 0;
  const position = playback.position + passed;
  return duration > 0 ? position % duration : position;
}

/** How far `is` has to go to be where it should be, the shorter way round: -0.5 is half a second too far. */
export function distance(is: number, should: number, duration: number): number {
  const apart = should - is;
  if (!(duration > 0)) return apart;
  return apart - Math.round(apart / duration) * duration;
}

/** What to do about a distance: jump, or play at a speed. */
export function correction(apart: number): { jump: true } | { jump: false; speed: number } {
  if (Math.abs(apart) > JUMP) return { jump: true };
  if (Math.abs(apart) < FINE) return { jump: false, speed: 1 };
  return { jump: false, speed: 1 + Math.sign(apart) * NUDGE };
}

/** `1:05`. */
export function clock(seconds: number): string {
  const whole = Math.floor(seconds);
  return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, "0")}`;
}
