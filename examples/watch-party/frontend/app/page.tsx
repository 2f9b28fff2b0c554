import { fetchRooms } from "../lib/rooms";

export default async function Home() {
  const result = await fetchRooms();

  if (!result.ok) {
    return (
      <p className="notice" role="alert">
        The rooms cannot be reached right now. Reload the page in a moment.
      </p>
    );
  }
  if (result.rooms.length === 0) {
    return <p className="notice">No room is open yet.</p>;
  }
  return (
    <ul className="rooms">
      {result.rooms.map(({ id, name, film, viewers }) => (
        <li key={id}>
          <h2>{name}</h2>
          <p>{film}</p>
          <p className="viewers">{viewers === 1 ? "1 viewer" : `${viewers} viewers`}</p>
        </li>
      ))}
    </ul>
  );
}
