import { posix } from "node:path";
import { type Break, broken, type Verdict } from "../chain";
import { commandLine, NAMESPACE } from "../project";
import { type Cron, offsetsOf, parseCron } from "./cron";
import type { Starts } from "./initProgram";

/** Where a service with a schedule has its own volume. */
export const SCHEDULE_FOLDER = "/run/watch-party-schedule";
/** Names the release whose jobs run. */
export const SERVED_FILE = posix.join(SCHEDULE_FOLDER, "served");
/** Describes the last run, and in its second line the one that is under way. */
export const LAST_FILE = posix.join(SCHEDULE_FOLDER, "last");

/**
 * The loop in a container with a schedule: process 1 (or the child of docker-init) for as long as its release runs. It
 * starts the job when a minute of the schedule begins, if the `served` file names its release, and waits for its end. It
 * uses the shell's own commands, `date` and `sleep`.
 *
 * No minute runs twice, but after a clock that was wrong by more than an hour was put right.
 */
const LOOP = `release=$1 minutes=$2 hours=$3 days=$4 months=$5 weekdays=$6 either=$7 offsets=$8 signal=$9
shift 9
dir=${SCHEDULE_FOLDER}
job= ended=
{ read -r ended < "$dir/last" && echo "$ended" > "$dir/last"; } 2> /dev/null
stop() {
  # It came between the start of the job and the note of its number.
  if [ "$job" = starting ]; then job=$!; [ "$job" != "$slept" ] || job=; fi
  if [ -n "$job" ]; then
    kill -s "$signal" "$job" 2> /dev/null
    wait "$job"
    echo "$release $began stopped $(($(date +%s) - began))" > "$dir/last"
  fi
  exit 0
}
trap stop TERM INT HUP QUIT "$signal"
now=$(date +%s) && sleep 0 && [ "$now" -gt 0 ] || { echo "a schedule needs date and sleep in the image" >&2; exit 127; }
among() { case ",$1," in *",$2,"*) return 0 ;; esac; return 1; }
due() {
  offset=0
  for each in $offsets; do [ "$1" -lt "\${each%%:*}" ] || offset=\${each#*:}; done
  t=$(($1 + offset))
  among "$minutes" $((t / 60 % 60)) && among "$hours" $((t / 3600 % 24)) || return 1
  z=$((t / 86400 + 719468))
  doe=$((z % 146097))
  yoe=$(((doe - doe / 1460 + doe / 36524 - doe / 146096) / 365))
  doy=$((doe - (365 * yoe + yoe / 4 - yoe / 100)))
  mp=$(((5 * doy + 2) / 153))
  day=$((doy - (153 * mp + 2) / 5 + 1)) weekday=$(((z - 719468 + 4) % 7))
  among "$months" $((mp < 10 ? mp + 3 : mp - 9)) || return 1
  if [ "$either" = yes ]; then among "$days" "$day" || among "$weekdays" "$weekday"; return; fi
  among "$days" "$day" && among "$weekdays" "$weekday"
}
minute=$((now / 60))
while :; do
  sleep $((60 - now % 60)) &
  slept=$!
  wait "$slept"
  now=$(date +%s)
  [ $((now / 60)) -ge $((minute - 60)) ] || minute=$((now / 60 - 1))
  [ $((now / 60)) -gt "$minute" ] || continue
  minute=$((now / 60))
  served=
  { read -r served < "$dir/served"; } 2> /dev/null
  [ "$served" = "$release" ] && due "$now" || continue
  began=$now
  printf '%s\\n%s\\n' "$ended" "$release $began running" > "$dir/last"
  job=starting
  "$@" &
  job=$!
  wait "$job"
  code=$?
  job=
  now=$(date +%s)
  ended="$release $began $code $((now - began))"
  echo "$ended" > "$dir/last"
  echo "schedule: exit $code after $((now - began)) s" >&2
done`;

/**
 * The command of a container with a schedule, in place of the image's ENTRYPOINT and CMD, which the loop starts.
 * @param release ID of the release whose code this is
 * @param image ENTRYPOINT and CMD of the image, if known
 */
export function scheduledCommand(
  {
    schedule,
    timeZone = "UTC",
    entrypoint,
    command,
    stopSignal = "TERM",
  }: {
    readonly schedule: string;
    readonly timeZone?: string;
    readonly entrypoint?: readonly string[];
    readonly command?: readonly string[];
    readonly stopSignal?: string;
  },
  release: string,
  image: Starts | undefined,
): string[] {
  const cron = parseCron(schedule);
  const offsets = offsetsOf(timeZone).map(([since, seconds]) => `${since}:${seconds}`);
  const own = entrypoint ?? image?.entrypoint ?? [];
  const job = [...own, ...(command ?? (entrypoint === undefined ? image?.command : undefined) ?? [])];
  return [
    "-c",
    LOOP,
    "schedule",
    release,
    ...listsOf(cron).map((values) => values.join(",")),
    cron.eitherDay ? "yes" : "no",
    // The docker plugin passes no empty argument.
    offsets.join(" ") || "0:0",
    // A shell starts its background jobs with these two ignored.
    /^(SIG)?(INT|QUIT|2|3)$/.test(stopSignal) ? "TERM" : stopSignal.replace(/^SIG/, ""),
    ...job,
  ];
}

function listsOf({ minutes, hours, days, months, weekdays }: Cron): (readonly number[])[] {
  return [minutes, hours, days, months, weekdays];
}

/** A run of a job. */
export interface JobRun {
  /** ID of the release that ran it. */
  readonly release: string;
  /** In milliseconds since 1970, by the clock of the engine's machine. */
  readonly began: number;
  /** Its exit code, or `stopped` by a deploy or by hand; absent while it runs. */
  readonly end?: "stopped" | number;
  /** Absent while it runs. */
  readonly seconds?: number;
}

/** The runs of a job. */
export interface JobRuns {
  /** The last one that ended; absent if none did. */
  readonly last?: JobRun;
  /** The one that is under way. */
  readonly running?: JobRun;
}

/** Reads the file of the last run. */
export function parseRuns(text: string): JobRuns {
  const runs = text.split("\n").flatMap((line): JobRun[] => {
    const [, release = "", began, end, seconds] =
      /^(\S+) (\d+) (running|stopped|\d+)(?: (\d+))?$/.exec(line) ?? [];
    if (began === undefined) return [];
    const run = { release, began: Number(began) * 1000 };
    if (end === "running") return [run];
    return [{ ...run, end: end === "stopped" ? end : Number(end), seconds: Number(seconds) }];
  });
  return {
    last: runs.find(({ end }) => end !== undefined),
    running: runs.find(({ end }) => end === undefined),
  };
}

/** Runs in words: `2026-01-31 03:00:00Z exit 0 after 2 s; running since 2026-02-01 03:00:00Z`. */
export function runsText({ last, running }: JobRuns): string {
  const time = ({ began }: JobRun) => new Date(began).toISOString().replace("T", " ").replace(".000", "");
  const end = last?.end === "stopped" ? "stopped" : `exit ${last?.end}`;
  const ended = last === undefined ? "never" : `${time(last)} ${end} after ${last.seconds} s`;
  return running === undefined ? ended : `${ended}; running since ${time(running)}`;
}

/** Judges whether an image can wait for the times of a schedule. */
export function shellVerdict(service: string, hasShell: boolean): Verdict | Break {
  const verdict: Verdict = {
    link: "container",
    service,
    status: "proven",
    expected: "a shell in the image",
    found: "a shell in the image",
    evidence: "the files of the image",
  };
  if (hasShell) return verdict;
  return broken({
    ...verdict,
    wrong: "a schedule needs a shell",
    found: "no sh",
    remedy: `Build it from a base image with sh, date and sleep, or remove ${NAMESPACE}:services.${service}.schedule and run the command from a scheduled workflow.`,
  });
}

/** State of a schedule, as its volume has it. */
export interface ScheduleFacts {
  /** ID of the release whose jobs run; undefined if none do. */
  readonly served: string | undefined;
  readonly runs: JobRuns;
}

/** Judges whether the jobs of a service are those of the served release. A failed run is no break: `status` shows it. */
export function scheduleVerdict(
  { name, schedule, timeZone = "UTC" }: { name: string; schedule?: string; timeZone?: string },
  { stack, release }: { readonly stack: string; readonly release: string },
  facts: ScheduleFacts,
): Verdict | Break {
  const { served, runs } = facts;
  const verdict: Verdict = {
    link: "container",
    service: name,
    status: "proven",
    expected: `jobs of release ${release}`,
    found: `jobs of release ${served}; schedule ${schedule} (${timeZone}), last run: ${runsText(runs)}`,
    evidence: `${SERVED_FILE} in the container`,
  };
  if (served === release) return verdict;
  return broken({
    ...verdict,
    wrong: "its schedule does not run the jobs of the served release",
    found: served === undefined || served === "" ? "jobs of no release" : `jobs of release ${served}`,
    remedy: `Give the schedule to the served release: ${commandLine(`up --stack ${stack}`)}.`,
  });
}
