"use client";

import { useEffect, useState } from "react";
import { CONNECTED } from "../lib/connection";

const LOOK_MS = 30_000;

/**
 * Says when another version is served than the one this page is of. Nobody is made to reload: the film, the room and what
 * is being written are where they were after it, and the old page works until then.
 */
export function NewVersion({ commit }: { commit: string }) {
  const [served, setServed] = useState(commit);

  useEffect(() => {
    const look = async () => {
      try {
        const answer = await fetch("/version", { cache: "no-store" });
        const version: { commit: string | null } = await answer.json();
        if (version.commit) setServed(version.commit);
      } catch {
        // Not reachable now: the next look tells.
      }
    };
    const seen = () => {
      if (document.visibilityState === "visible") void look();
    };
    const timer = setInterval(seen, LOOK_MS);
    // A connection that is made again is how a deploy is felt.
    window.addEventListener(CONNECTED, look);
    document.addEventListener("visibilitychange", seen);
    return () => {
      clearInterval(timer);
      window.removeEventListener(CONNECTED, look);
      document.removeEventListener("visibilitychange", seen);
    };
  }, []);

  return (
    <div className="new-version" role="status">
      {served !== commit && (
        <p>
          A new version is here.{" "}
          <button type="button" onClick={() => location.reload()}>
            Reload
          </button>
        </p>
      )}
    </div>
  );
}
