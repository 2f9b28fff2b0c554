import type { Metadata } from "next";
import { notFound } from "next/navigation";
import { cache } from "react";
import { RoomView } from "../../../components/RoomView";
import { fetchRoom } from "../../../lib/rooms";

interface Props {
  params: Promise<{ id: string }>;
}

/** Asked once for the title and the page. */
const room = cache(fetchRoom);

export async function generateMetadata({ params }: Props): Promise<Metadata> {
  const found = await room((await params).id);
  return { title: typeof found === "string" ? "Watch party" : `${found.name} · Watch party` };
}

export default async function RoomPage({ params }: Props) {
  const { id } = await params;
  const found = await room(id);
  if (found === "unknown") notFound();
  return <RoomView id={id} title={found === "unreachable" ? "Watch party" : found.name} />;
}
