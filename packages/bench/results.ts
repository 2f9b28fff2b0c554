import { median } from "../../freshness/median";

/** The apps, from the smallest to the largest. */
export const APPS = ["fixture", "example", "large"] as const;
export type App = (typeof APPS)[number];
/** What is deployed: see `CASES` in run.ts. */
export const CASES = ["commit", "dependency", "nothing", "ten", "preview", "rollback"] as const;
export type Case = (typeof CASES)[number];
/**
 * Who deploys: `original` and `purging` are the scripts' flow with `prune -f` and `-af`, `build` is `docker build` alone,
 * `own` this program; `empty` is a Pulumi program that declares nothing, `framework` the app's own build alone in an image.
 */
export const FLOWS = ["original", "purging", "build", "own", "empty", "framework"] as const;
export type Flow = (typeof FLOWS)[number];

/** One deploy, measured. */
export interface Round {
  /** From the command's start to its end. */
  readonly seconds: number;
  /** From the command's start to the first answer with the new text; null where nothing is served or nothing changed. */
  readonly servedSeconds: number | null;
  /** Whether the public address still answered with another text after the end; null where nothing is served or deployed. */
  readonly stale: boolean | null;
  /** Requests of a steady load on the public address meanwhile, and those that failed; null without an address. */
  readonly requests: number | null;
  readonly failed: number | null;
  /** What the machine's available memory fell by, at most. */
  readonly memoryMiB: number;
  /** The seconds of each step, as the stack tells them; null for other flows. */
  readonly steps: Readonly<Record<string, number>> | null;
}

/** All rounds of one flow, in one case, with one app. */
export interface Row {
  readonly app: App;
  readonly case: Case;
  readonly flow: Flow;
  readonly rounds: readonly Round[];
  /** `docker system df` after the last round: kind → size. */
  readonly disk: Readonly<Record<string, string>>;
  /** When, ISO 8601. */
  readonly time: string;
}

/** What is measured against the growth of one quantity. */
export interface GrowthRow {
  readonly by: "services" | "source files" | "commits" | "releases kept" | "replicas" | "nodes";
  readonly at: number;
  readonly seconds: number;
  readonly steps: Readonly<Record<string, number>>;
  readonly stateBytes: number;
}

/** The commands that are measured over links, in the order of a round; `nothing` is an `up` that changes nothing. */
export const LINKED = ["preview", "deploy", "nothing", "verify", "rollback"] as const;
/** Round trips of the links, in milliseconds; the first is the loopback address as it is. */
export const ROUND_TRIPS_MS = [0, 20, 80, 200] as const;

/** A command over a link, the medians of its rounds. */
export interface LinkRow {
  readonly command: (typeof LINKED)[number];
  readonly roundTripMs: number;
  readonly seconds: number;
  /** Requests to the server's engine. */
  readonly requests: number;
  /** Logins by ssh. */
  readonly logins: number;
  /** Round trips that waited for one another, counted on the link; absent in what earlier versions measured. */
  readonly rounds?: number;
}

/** What the stack or its edge uses of the machine. */
export interface RestRow {
  readonly what: string;
  readonly value: number;
  readonly unit: string;
}

/** docs/bench.json. */
export interface Results {
  readonly schema: "watch-party/bench/1";
  readonly machine: string;
  readonly versions: string;
  readonly rows: readonly Row[];
  readonly growth: readonly GrowthRow[];
  readonly links: readonly LinkRow[];
  /** Absent in what earlier versions measured. */
  readonly rest?: readonly RestRow[];
}

/** What has to hold, with what was measured; `unknown` if not measured. */
export interface Goal {
  readonly goal: string;
  readonly allowed: string;
  readonly measured: string;
  readonly outcome: "pass" | "fail" | "unknown";
}

const MOST_SECONDS_MORE = 5;
/** Of a deploy's seconds, for all proofs. */
const MOST_FOR_PROOFS = 0.1;
/** For all proofs, where nothing changed. */
const MOST_SECONDS_OF_PROOFS = 2;
/** How far apart the seconds on top of `docker build` may lie for the two apps to be called about the same. */
const ABOUT_THE_SAME = 2.5;

/** All rounds of a flow; none if not measured. */
export function roundsOf(rows: readonly Row[], app: App, what: Case, flow: Flow): readonly Round[] {
  return rows.find((each) => each.app === app && each.case === what && each.flow === flow)?.rounds ?? [];
}

/** Judges a value that may be no larger; undefined if not measured. */
function atMost(
  goal: string,
  allowed: string,
  most: number,
  value: number | undefined,
  show: (value: number) => string,
): Goal {
  return {
    goal,
    allowed,
    ...(value === undefined
      ? { measured: "–", outcome: "unknown" }
      : { measured: show(value), outcome: value <= most ? "pass" : "fail" }),
  };
}

const inSeconds = (value: number) => `${value.toFixed(1)} s`;

/** The median of a flow's seconds; undefined if not measured. */
export function secondsOf(rows: readonly Row[], app: App, what: Case, flow: Flow): number | undefined {
  const rounds = roundsOf(rows, app, what, flow);
  return rounds.length === 0 ? undefined : median(rounds.map(({ seconds }) => seconds));
}

/** Judges the rows by the goals. */
export function judge(rows: readonly Row[]): Goal[] {
  const of = (app: App, what: Case, flow: Flow) => secondsOf(rows, app, what, flow);
  const ratio = (goal: string, most: number, own?: number, other?: number): Goal => ({
    goal,
    allowed: `≤ ${most} ×`,
    ...(own === undefined || other === undefined
      ? { measured: "–", outcome: "unknown" }
      : {
          measured: `${own.toFixed(1)} s of ${other.toFixed(1)} s, ${(own / other).toFixed(2)} ×`,
          outcome: own <= most * other ? "pass" : "fail",
        }),
  });
  const goals: Goal[] = [];
  for (const [app, most] of [
    ["large", 0.5],
    ["example", 0.65],
  ] as const)
    for (const flow of ["original", "purging"] as const)
      goals.push(
        ratio(`new commit, ${app}: own of ${flow}`, most, of(app, "commit", "own"), of(app, "commit", flow)),
      );
  const more = (["example", "large"] as const).map((app) => {
    const [own, build] = [of(app, "commit", "own"), of(app, "commit", "build")];
    return { app, seconds: own === undefined || build === undefined ? undefined : own - build };
  });
  for (const { app, seconds } of more)
    goals.push(
      atMost(
        `new commit, ${app}: own beyond docker build`,
        `≤ ${MOST_SECONDS_MORE} s`,
        MOST_SECONDS_MORE,
        seconds,
        inSeconds,
      ),
    );
  const [small, large] = more.map(({ seconds }) => seconds);
  const apart = small === undefined || large === undefined ? undefined : Math.abs(small - large);
  goals.push(
    atMost("the same for both apps", `≤ ${ABOUT_THE_SAME} s apart`, ABOUT_THE_SAME, apart, inSeconds),
  );
  for (const app of ["example", "large"] as const) {
    goals.push(
      ratio(
        `new dependency, ${app}: own of original`,
        1.1,
        of(app, "dependency", "own"),
        of(app, "dependency", "original"),
      ),
      ratio(
        `nothing changed, ${app}: own of an empty program`,
        2,
        of(app, "nothing", "own"),
        of(app, "nothing", "empty"),
      ),
      ratio(
        `preview, ${app}: own of an empty program`,
        1.5,
        of(app, "preview", "own"),
        of(app, "preview", "empty"),
      ),
    );
  }
  for (const app of ["example", "large"] as const)
    goals.push(
      ratio(`rollback, ${app}: of a new commit`, 0.25, of(app, "rollback", "own"), of(app, "commit", "own")),
      ...judgeProofs(app, rows),
    );
  const own = rows.filter(({ flow }) => flow === "own").flatMap(({ rounds }) => rounds);
  const bad = own.filter(({ failed, stale }) => (failed ?? 0) > 0 || stale === true).length;
  goals.push(
    atMost(
      "own: no failed request, nothing stale",
      "0 rounds",
      0,
      own.length === 0 ? undefined : bad,
      (value) => `${value} of ${own.length} rounds`,
    ),
  );
  return goals;
}

/** Judges what the proofs cost, by the steps that a deploy tells of. */
function judgeProofs(app: App, rows: readonly Row[]): Goal[] {
  const proofs = (what: Case, of: (proofs: number, round: Round) => number) => {
    const values = roundsOf(rows, app, what, "own").flatMap((round) =>
      round.steps ? [of((round.steps.imageProofs ?? 0) + (round.steps.proof ?? 0), round)] : [],
    );
    return values.length === 0 ? undefined : median(values);
  };
  return [
    atMost(
      `new commit, ${app}: proofs`,
      `≤ ${MOST_FOR_PROOFS * 100} %`,
      MOST_FOR_PROOFS,
      proofs("commit", (seconds, round) => seconds / round.seconds),
      (share) => `${(share * 100).toFixed(1)} %`,
    ),
    atMost(
      `nothing changed, ${app}: proofs`,
      `≤ ${MOST_SECONDS_OF_PROOFS} s`,
      MOST_SECONDS_OF_PROOFS,
      proofs("nothing", (seconds) => seconds),
      inSeconds,
    ),
  ];
}

/** The slope of a line through the points on logarithmic axes: 1 is linear, above it grows faster than what it is measured by. */
export function growthExponent(points: readonly (readonly [at: number, seconds: number])[]): number {
  const logs = points.filter(([, y]) => y > 0).map(([x, y]) => [Math.log(x), Math.log(y)] as const);
  const mean = (at: 0 | 1) => logs.reduce((sum, point) => sum + point[at], 0) / logs.length;
  const [meanX, meanY] = [mean(0), mean(1)];
  const over = logs.reduce((sum, [x, y]) => sum + (x - meanX) * (y - meanY), 0);
  return over / logs.reduce((sum, [x]) => sum + (x - meanX) ** 2, 0);
}

/**
 * How many round trips of a command wait for one another: what each second of round trip adds to its time.
 *
 * @returns the slope of the line that fits best; NaN with fewer than two points
 */
export function waitingRoundTrips(rows: readonly Pick<LinkRow, "roundTripMs" | "seconds">[]): number {
  const mean = (values: readonly number[]) => values.reduce((sum, each) => sum + each, 0) / values.length;
  const x = mean(rows.map(({ roundTripMs }) => roundTripMs / 1000));
  const y = mean(rows.map(({ seconds }) => seconds));
  const sum = (of: (row: (typeof rows)[number]) => number) => rows.reduce((total, row) => total + of(row), 0);
  const over = sum(({ roundTripMs, seconds }) => (roundTripMs / 1000 - x) * (seconds - y));
  return over / sum(({ roundTripMs }) => (roundTripMs / 1000 - x) ** 2);
}
