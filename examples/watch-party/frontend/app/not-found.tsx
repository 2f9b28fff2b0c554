export default function NotFound() {
  return (
    <div className="card stack">
      <h1>There is nothing here</h1>
      <p>Perhaps the room was closed, or the link is not complete.</p>
      <a href="/">To all rooms</a>
    </div>
  );
}
