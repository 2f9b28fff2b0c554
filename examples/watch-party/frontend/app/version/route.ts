import { readCommit } from "../../lib/commit";

// Read per request: prerendered, the answer would be the build's word and not the running container's.
export const dynamic = "force-dynamic";

export async function GET(): Promise<Response> {
  const commit = await readCommit();
  return Response.json(
    { commit: commit ?? null },
    { status: commit === undefined ? 503 : 200, headers: { "Cache-Control": "no-store" } },
  );
}
