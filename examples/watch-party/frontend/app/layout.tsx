import type { Metadata, Viewport } from "next";
import type { ReactNode } from "react";
import { NewVersion } from "../components/NewVersion";
import { readCommit } from "../lib/commit";
import "./globals.css";

export const metadata: Metadata = {
  title: "Watch party",
  description: "Rooms where people watch the same film at the same time.",
  // The link is the only key to a room: it goes to nobody else.
  referrer: "same-origin",
};

export const viewport: Viewport = { colorScheme: "light dark" };

// Every page, the 404 too, is rendered per request: Next.js then sends it with no-store, and no cache keeps old HTML.
export const dynamic = "force-dynamic";

export default async function RootLayout({ children }: { children: ReactNode }) {
  const commit = await readCommit();
  return (
    <html lang="en">
      <body>
        {commit !== undefined && <meta name="commit" content={commit} />}
        {commit !== undefined && <NewVersion commit={commit} />}
        <header>
          <a href="/">
            <span aria-hidden="true">▶</span> Watch party
          </a>
        </header>
        <main>{children}</main>
        <footer>
          Running <code title={commit}>{commit?.slice(0, 7) ?? "local checkout"}</code>
        </footer>
      </body>
    </html>
  );
}
