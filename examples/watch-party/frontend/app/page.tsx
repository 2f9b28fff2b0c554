import { CreateRoom } from "../components/CreateRoom";
import { JoinRoom } from "../components/JoinRoom";
import { fetchRooms } from "../lib/rooms";

export default async function Home() {
  const result = await fetchRooms();
  return (
    <div className="home">
      <div className="intro">
        <h1>Watch together, wherever you are</h1>
        <p className="muted">One film, one moment, everybody in it. Open a room and send its link.</p>
      </div>
      <div className="doors">
        <CreateRoom />
        <JoinRoom />
      </div>
      <section className="stack" aria-labelledby="open">
        <h2 id="open">Open rooms</h2>
        {!result.ok && (
          <p className="card" role="alert">
            The rooms cannot be reached right now. Reload the page in a moment.
          </p>
        )}
        {result.ok && result.rooms.length === 0 && <p className="card">No room is open yet.</p>}
        {result.ok && result.rooms.length > 0 && (
          <ul className="rooms">
            {result.rooms.map(({ id, name, viewers }) => (
              <li key={id}>
                {/* A whole page, not a navigation within this one: it is always that of the version that is served now. */}
                <a className="card" href={`/room/${id}`}>
                  <b>{name}</b>
                  <span className="muted">{viewers === 1 ? "1 watching" : `${viewers} watching`}</span>
                </a>
              </li>
            ))}
          </ul>
        )}
      </section>
    </div>
  );
}
