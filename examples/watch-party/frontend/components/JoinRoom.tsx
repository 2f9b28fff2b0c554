"use client";

import { type FormEvent, useState } from "react";

/** Goes to a room by what somebody sent: its link, or what stands at the link's end. */
export function JoinRoom() {
  const [problem, setProblem] = useState("");

  const join = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    const given = String(new FormData(event.currentTarget).get("link")).trim();
    const id = /^(?:.*\/room\/)?([A-Za-z0-9_-]{1,64})\/?$/.exec(given)?.[1];
    if (id) location.assign(`/room/${id}`);
    else setProblem("This is no link of a room.");
  };

  return (
    <form className="card stack" onSubmit={join}>
      <h2>Join one</h2>
      <label>
        The link you got
        <input name="link" required placeholder="https://…/room/…" autoComplete="off" inputMode="url" />
      </label>
      <button type="submit">Join</button>
      {problem && <p role="alert">{problem}</p>}
    </form>
  );
}
