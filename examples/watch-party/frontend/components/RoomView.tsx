"use client";

import { type FormEvent, useEffect, useMemo, useState, useSyncExternalStore } from "react";
import { RoomConnection } from "../lib/connection";
import { ownKey, ownName, rememberName } from "../lib/identity";
import { Chat } from "./Chat";
import { People } from "./People";
import { Player } from "./Player";

/** A room: first the name, then the party. A browser that has a name goes straight in. */
export function RoomView({ id, title }: { id: string; title: string }) {
  // What a browser keeps is known after the first rendering, which is the server's.
  const [name, setName] = useState<string>();
  useEffect(() => setName(ownName()), []);

  if (name === undefined) return <h1>{title}</h1>;
  if (name === "") return <Door title={title} enter={setName} />;
  return <Party id={id} title={title} name={name} />;
}

function Door({ title, enter }: { title: string; enter: (name: string) => void }) {
  const submit = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    const name = String(new FormData(event.currentTarget).get("name")).trim();
    if (name === "") return;
    rememberName(name);
    enter(name);
  };
  return (
    <form className="card stack door" onSubmit={submit}>
      <h1>{title}</h1>
      <label>
        Your name, for the others
        {/* biome-ignore lint/a11y/noAutofocus: it is all there is to do on this page */}
        <input name="name" required maxLength={40} autoComplete="nickname" autoFocus />
      </label>
      <button type="submit" className="primary">
        Come in
      </button>
    </form>
  );
}

function Party({ id, title, name }: { id: string; title: string; name: string }) {
  const connection = useMemo(() => new RoomConnection(id, ownKey(), name), [id, name]);
  const state = useSyncExternalStore(connection.subscribe, connection.snapshot, connection.snapshot);
  useEffect(() => {
    connection.start();
    return () => connection.stop();
  }, [connection]);

  if (state.status === "gone")
    return (
      <div className="card stack">
        <h1>{title}</h1>
        <p role="alert">{state.problem ?? "This room is gone."}</p>
        <a href="/">To all rooms</a>
      </div>
    );
  return (
    <div className="party" data-status={state.status} data-way={state.polling ? "poll" : "socket"}>
      <div className="stage">
        <div className="title">
          <h1>{state.room?.name ?? title}</h1>
          <Status status={state.status} problem={state.problem} />
        </div>
        <Player connection={connection} state={state} />
        <Invite />
      </div>
      <div className="aside">
        <People state={state} handOver={(member) => connection.handOver(member)} />
        <Chat room={id} state={state} say={(text) => connection.chat(text)} />
      </div>
    </div>
  );
}

function Status({ status, problem }: { status: string; problem?: string }) {
  const text =
    problem ??
    (status === "lost" ? "Connection lost. Coming back…" : status === "connecting" ? "Connecting…" : "");
  return (
    <p className="status" role="status">
      {text}
    </p>
  );
}

function Invite() {
  const [copied, setCopied] = useState(false);
  const link = location.href;

  const copy = async (field: HTMLInputElement) => {
    field.select();
    // The clipboard is there on https alone; the field stays selected for those who copy by hand.
    await navigator.clipboard?.writeText(link).then(
      () => setCopied(true),
      () => undefined,
    );
  };
  return (
    <form
      className="invite"
      onSubmit={(event) => {
        event.preventDefault();
        void copy(event.currentTarget.link);
      }}
    >
      <label>
        Invite others by this link
        <input name="link" readOnly value={link} />
      </label>
      <button type="submit">Copy</button>
      <span role="status">{copied ? "Copied" : ""}</span>
    </form>
  );
}
