import type { RoomState } from "../lib/connection";

/** Who is here, and who leads. The host gives the lead away; where the host has left, anyone takes it. */
export function People({ state, handOver }: { state: RoomState; handOver: (member: string) => void }) {
  const { members, playback, you } = state;
  const host = playback?.host;
  const leads = you !== undefined && host === you;
  const without = playback !== undefined && !members.some(({ id }) => id === host);
  return (
    <section className="card people" aria-labelledby="people">
      <h2 id="people">
        Here now <span className="count">{members.length}</span>
      </h2>
      <ul>
        {members.map(({ id, name }) => (
          <li key={id}>
            <span>
              {name}
              {id === you && <span className="muted"> (you)</span>}
            </span>
            {id === host && <span className="badge">host</span>}
            {leads && id !== you && (
              <button type="button" className="small" onClick={() => handOver(id)}>
                Make host<span className="hidden">: {name}</span>
              </button>
            )}
          </li>
        ))}
      </ul>
      {without && you !== undefined && (
        <p className="muted">
          The host has left.{" "}
          <button type="button" className="small" onClick={() => handOver(you)}>
            Take the lead
          </button>
        </p>
      )}
    </section>
  );
}
