export default function Page() {
  return <p>hello from Next.js</p>;
}
