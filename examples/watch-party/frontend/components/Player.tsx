import { type FormEvent, useEffect, useRef, useState } from "react";
import type { RoomConnection, RoomState } from "../lib/connection";
import { clock, correction, distance, positionAt } from "../lib/playback";

const FILM = "/film.mp4";
const LOOK_MS = 250;
/** A finger on the slider moves the film for itself; the others follow when it rests. */
const REST_MS = 200;

/** The film, where it is for everyone. It follows the room's playback, the host's own too. */
export function Player({ connection, state }: { connection: RoomConnection; state: RoomState }) {
  const { playback, you, members } = state;
  const video = useRef<HTMLVideoElement>(null);
  const rest = useRef<ReturnType<typeof setTimeout>>(undefined);
  const [scrub, setScrub] = useState<number>();
  const [time, setTime] = useState(0);
  const [duration, setDuration] = useState(0);
  const [blocked, setBlocked] = useState(false);
  const leads = you !== undefined && playback?.host === you;
  const host = members.find(({ id }) => id === playback?.host)?.name;
  const shown = scrub ?? time;

  useEffect(() => {
    if (!playback || scrub !== undefined) return;
    const follow = () => {
      const film = video.current;
      if (!film || !(film.duration > 0)) return;
      const should = positionAt(playback, connection.now(), film.duration);
      const apart = distance(film.currentTime, should, film.duration);
      setTime(film.currentTime);
      if (!playback.playing) {
        film.pause();
        if (Math.abs(apart) > 0.01 && !film.seeking) film.currentTime = should;
        return;
      }
      if (film.paused)
        film.play().then(
          () => setBlocked(false),
          (error: Error) => setBlocked(error.name === "NotAllowedError"),
        );
      const todo = correction(apart);
      // While it looks for a place, another one would only make it begin anew.
      if (todo.jump && !film.seeking) film.currentTime = should;
      film.playbackRate = todo.jump ? 1 : todo.speed;
    };
    follow();
    const timer = setInterval(follow, LOOK_MS);
    return () => clearInterval(timer);
  }, [connection, playback, scrub]);

  const toggle = () => {
    if (playback) connection.play(!playback.playing, video.current?.currentTime ?? 0);
  };
  const seek = (event: FormEvent<HTMLInputElement>) => {
    const to = Number(event.currentTarget.value);
    setScrub(to);
    if (video.current) video.current.currentTime = to;
    clearTimeout(rest.current);
    rest.current = setTimeout(() => {
      setScrub(undefined);
      if (playback) connection.play(playback.playing, to);
    }, REST_MS);
  };

  return (
    <section className="player" aria-label="Film">
      <div className="screen">
        <video
          ref={video}
          src={FILM}
          muted
          loop
          playsInline
          preload="auto"
          aria-label="A colour that wanders, and the seconds that have passed"
          onLoadedMetadata={({ currentTarget }) => setDuration(currentTarget.duration)}
          onDurationChange={({ currentTarget }) => setDuration(currentTarget.duration)}
        />
        {blocked && (
          <button type="button" className="primary tap" onClick={() => video.current?.play()}>
            Watch along
          </button>
        )}
      </div>
      <div className="controls">
        <button type="button" className="primary" disabled={!leads} onClick={toggle}>
          {playback?.playing ? "Pause" : "Play"}
        </button>
        <input
          type="range"
          aria-label="Position"
          aria-valuetext={`${clock(shown)} of ${clock(duration)}`}
          min={0}
          max={duration || 1}
          step={1}
          value={Math.min(shown, duration || 1)}
          disabled={!leads}
          onChange={seek}
        />
        <span className="time" aria-hidden="true">
          {clock(shown)} / {clock(duration)}
        </span>
        <button type="button" onClick={() => video.current?.requestFullscreen?.()}>
          Full screen
        </button>
      </div>
      <p className="muted">
        {leads ? "You lead: what you do, all see." : host ? `${host} leads.` : "\u00a0"}
      </p>
    </section>
  );
}
