import type { Report } from "../../cli/report/page";
import { EVERY_SERVICE, type Verdict } from "../../freshness/chain";

const verdict = (link: Verdict["link"], service: string, status: Verdict["status"] = "proven"): Verdict => ({
  ...{ link, service, status },
  ...{ expected: `${link} as it should be`, found: `${link} as it is`, evidence: `where ${link} is seen` },
});

/** A report of a stack with two services that is in order. */
export function goodReport(): Report {
  const release = (commit: string, seconds: number, running: boolean) => ({
    ...{ commit, seconds, running, rolledBack: false, by: "deploy", time: "2026-03-01T10:00:00.123Z" },
    images: { frontend: `sha256:${commit}`, backend: `sha256:${commit}` },
  });
  return {
    certificate: {
      ...{
        schema: "watch-party/certificate/1",
        stack: "prod",
        commit: "a".repeat(40),
        url: "http://127.0.0.1:8080",
      },
      time: "2026-03-01T10:00:00.123Z",
      versions: {
        engine: "26.1.5",
        docker: "26.1.5",
        pulumi: "3.259.0",
        plugins: { docker: "5.2.0", command: "1.2.1" },
      },
      links: [
        verdict("commit", EVERY_SERVICE, "not checked"),
        verdict("cache", EVERY_SERVICE),
        verdict("bytes", "frontend"),
        verdict("served", "frontend"),
        verdict("served", "backend"),
      ],
    },
    isLive: true,
    services: ["frontend", "backend"],
    releases: [release("a".repeat(40), 41.2, true), release("b".repeat(40), 52.6, false)],
    seconds: { prepare: 0.4, prune: 0.3, images: 39, proof: 2.2, total: 41.9 },
    disk: [{ what: "Build Cache", count: "12", size: "1.2GB", reclaimable: "300MB" }],
    free: 64 * 1024 ** 3,
  };
}
