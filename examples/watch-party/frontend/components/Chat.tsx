import { type FormEvent, useEffect, useLayoutEffect, useRef, useState } from "react";
import type { RoomState } from "../lib/connection";
import { read, write } from "../lib/identity";

const TIME = new Intl.DateTimeFormat("en", { hour: "2-digit", minute: "2-digit", hourCycle: "h23" });

/** What is being written outlives a reload, as what is not sent yet does. */
export function Chat({ room, state, say }: { room: string; state: RoomState; say: (text: string) => void }) {
  const { messages, unsent, you } = state;
  const kept = `watch-party:draft:${room}`;
  const [draft, setDraft] = useState(() => read(sessionStorage, kept) ?? "");
  const log = useRef<HTMLOListElement>(null);
  const atEnd = useRef(true);

  useEffect(() => write(sessionStorage, kept, draft), [kept, draft]);
  // Who reads above is not pulled down by what comes.
  // biome-ignore lint/correctness/useExhaustiveDependencies: it is new messages that make the log longer
  useLayoutEffect(() => {
    if (atEnd.current) log.current?.scrollTo({ top: log.current.scrollHeight });
  }, [messages, unsent]);

  const submit = (event: FormEvent) => {
    event.preventDefault();
    const text = draft.trim();
    if (text === "") return;
    say(text);
    setDraft("");
    atEnd.current = true;
  };
  return (
    <section className="card chat" aria-labelledby="chat">
      <h2 id="chat">Chat</h2>
      <ol
        ref={log}
        role="log"
        aria-label="Messages"
        // biome-ignore lint/a11y/noNoninteractiveTabindex: a list that scrolls has to be reached by keyboard
        tabIndex={0}
        onScroll={({ currentTarget: { scrollTop, scrollHeight, clientHeight } }) => {
          atEnd.current = scrollHeight - scrollTop - clientHeight < 40;
        }}
      >
        {messages.map(({ seq, id, member, name, text, at }) => (
          <li key={seq} data-message={id} className={member === you ? "own" : undefined}>
            <span className="by">
              <b>{name}</b> <time dateTime={new Date(at * 1000).toISOString()}>{TIME.format(at * 1000)}</time>
            </span>
            <p>{text}</p>
          </li>
        ))}
        {unsent.map(({ id, text }) => (
          <li key={id} className="own unsent">
            <span className="by">sending…</span>
            <p>{text}</p>
          </li>
        ))}
      </ol>
      {messages.length + unsent.length === 0 && <p className="muted">Nothing said yet.</p>}
      <form onSubmit={submit}>
        <input
          aria-label="Message"
          value={draft}
          maxLength={500}
          placeholder="Say something"
          autoComplete="off"
          onChange={({ target }) => setDraft(target.value)}
        />
        <button type="submit" className="primary">
          Send
        </button>
      </form>
    </section>
  );
}
