import { readFileSync } from "node:fs";

export const dynamic = "force-dynamic";

export function GET() {
  return Response.json({ commit: readFileSync("/app/COMMIT", "utf8") });
}
