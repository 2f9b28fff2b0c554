"use client";

import { type FormEvent, useState } from "react";
import { ownKey } from "../lib/identity";

/** Opens a room and goes there as its host. */
export function CreateRoom() {
  const [problem, setProblem] = useState("");
  const [busy, setBusy] = useState(false);

  const create = async (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    const form = new FormData(event.currentTarget);
    setBusy(true);
    setProblem("");
    try {
      const answer = await fetch("/api/rooms", {
        method: "POST",
        headers: { "Content-Type": "application/json" },
        body: JSON.stringify({ name: form.get("name"), listed: form.get("listed") === "on", key: ownKey() }),
      });
      const said: { id?: string; detail?: string } = await answer.json();
      if (!answer.ok) throw new Error(said.detail);
      // A whole page, not a navigation within this one: it is always that of the version that is served now.
      location.assign(`/room/${said.id}`);
    } catch (error) {
      setBusy(false);
      setProblem(`The room could not be opened. ${(error as Error).message}`);
    }
  };

  return (
    <form className="card stack" onSubmit={create}>
      <h2>Start a party</h2>
      <label>
        Name of the room
        <input name="name" required maxLength={60} placeholder="Friday night" autoComplete="off" />
      </label>
      <label className="check">
        <input type="checkbox" name="listed" /> Show it on this page, for everyone
      </label>
      <button type="submit" className="primary" disabled={busy}>
        {busy ? "Opening…" : "Open the room"}
      </button>
      {problem && <p role="alert">{problem}</p>}
    </form>
  );
}
