import * as pulumi from "@pulumi/pulumi";
import type { AccessoryConfig, BackupConfig, DeployConfig, ServiceConfig } from "../config/types";
import { quote } from "../engine/cli";
import type { DockerEngine } from "../engine/docker";
import { EngineError } from "../engine/problems";
import { type BackupCommands, commandsOfKind, kindOf } from "../freshness/container/backupCommands";
import { RUN_LABEL } from "../freshness/labels";
import type { Deployment } from "../proof/deployment";

/** The time limit of one backup, in minutes. */
const MINUTES = 6 * 60;

/** What to back up, and how. */
export interface BackupPlan
  extends BackupCommands,
    Pick<BackupConfig, "keep" | "to" | "copy" | "beforeRelease"> {
  /** Name of the accessory or the service. */
  readonly name: string;
}

/** A backup on the engine's machine. */
export interface Backup {
  readonly name: string;
  /** `20260131T120000Z-0123abc` */
  readonly id: string;
  readonly bytes: number;
  /** Why `copy` failed; absent if it succeeded or if there is none. The backup itself is complete. */
  readonly notCopied?: string;
}

/** What a stack backs up. */
export function backupPlans({
  services,
  accessories,
}: Pick<DeployConfig, "services" | "accessories">): BackupPlan[] {
  const plans = [
    ...accessories.map((each) => planOf(each, kindOf(each))),
    ...services.map((each) => planOf(each, undefined)),
  ];
  return plans.filter((plan) => plan !== undefined);
}

function planOf(
  { name, backup }: Pick<AccessoryConfig | ServiceConfig, "name" | "backup">,
  known: BackupConfig["kind"],
): BackupPlan | undefined {
  if (backup === undefined) return undefined;
  const { kind = known, file, command, restore, keep, to, copy, beforeRelease } = backup;
  const own = command !== undefined && restore !== undefined ? { command, restore } : undefined;
  const commands = own ?? (kind && commandsOfKind(kind, file));
  return commands && { ...commands, name, keep, to, copy, beforeRelease };
}

/** The container of a deployment that has the data. */
export function dataContainer(
  { accessories = [], services }: Pick<Deployment, "accessories" | "services">,
  name: string,
): string | undefined {
  const accessory = accessories.find((each) => each.name === name);
  return accessory?.container ?? services.find(({ service }) => service.name === name)?.container;
}

/** Enters the folder of a stack's backups of one name. Only its owner can read it. */
function enter({ to, name }: Pick<BackupPlan, "to" | "name">, stack: string): string {
  const base = to.startsWith("~/") ? `"$HOME"/${quote(to.slice(2))}` : quote(to);
  return `umask 077; dir=${base}/${quote(stack)}/${quote(name)}; mkdir -p "$dir"; cd "$dir"`;
}

/**
 * Writes a backup to a file on the engine's machine. The file gets its final name once it is complete. Then the oldest
 * backups beyond the number to keep are removed.
 * @throws EngineError if the command fails or the disk is full: the incomplete file is removed, and the other backups
 * stay
 */
export async function takeBackup(
  engine: DockerEngine,
  plan: BackupPlan,
  {
    stack,
    container,
    commit,
  }: { readonly stack: string; readonly container: string; readonly commit: string },
): Promise<Backup> {
  const { name, command, keep, copy } = plan;
  const time = new Date().toISOString().replace(/[-:]|\.\d+/g, "");
  const id = `${time}-${commit.slice(0, 7)}`;
  const script = `${enter(plan, stack)}
part=.part.$$ sum=.sum.$$
trap 'rm -f "$part" "$sum"' EXIT
docker exec ${container} sh -c ${quote(command)} > "$part"
[ -s "$part" ] || { echo "the backup is empty" >&2; exit 1; }
sha256sum < "$part" > "$sum"
mv "$sum" ${id}.sha256
mv "$part" ${id}.dump
wc -c < ${id}.dump
ls -1 | sed -n 's/\\.dump$//p' | sort -r | tail -n +${keep + 1} | while read -r old; do rm -f "$old.dump" "$old.sha256"; done
${copy === undefined ? "" : copyScript(copy, { file: `${id}.dump`, name: `${stack}/${name}/${id}` })}`;
  const { stdout } = await engine.script(script, { minutes: MINUTES }).catch((cause: Error) => {
    throw new EngineError(`backup of ${name}: ${cause.message}`);
  });
  const [bytes, ...failure] = stdout.trim().split("\n");
  const backup = { name, id, bytes: Number(bytes) };
  return failure.length === 0 ? backup : { ...backup, notCopied: failure.join("\n") };
}

/** Prints why the copy failed, and nothing if it succeeded. */
function copyScript(copy: string, { file, name }: { readonly file: string; readonly name: string }): string {
  const variables = `BACKUP_FILE="$dir/${file}" BACKUP_NAME=${quote(name)}`;
  return `said=$(${variables} sh -c ${quote(copy)} 2>&1) || printf 'exit %s: %s\n' "$?" "$said"`;
}

/** Says that a backup is complete, but not copied. */
export function copyFailure({ name, id, notCopied }: Backup): string {
  return `backup of ${name}: ${id} is complete, but backup.copy failed: ${notCopied}`;
}

/** Lists the backups of one name, newest first. */
export async function listBackups(engine: DockerEngine, plan: BackupPlan, stack: string): Promise<Backup[]> {
  const list = `for each in *.dump; do
  if [ -e "$each" ]; then printf '%s %s\\n' "\${each%.dump}" "$(wc -c < "$each")"; fi
done`;
  const { stdout } = await engine.script(`${enter(plan, stack)}\n${list}`);
  return stdout
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => line.split(" "))
    .map(([id = "", bytes = "0"]) => ({ name: plan.name, id, bytes: Number(bytes) }))
    .sort((a, b) => (a.id < b.id ? 1 : -1));
}

/**
 * Restores a backup.
 * @throws EngineError if the checksum differs (nothing is changed then), or if the command fails
 */
export async function restoreBackup(
  engine: DockerEngine,
  plan: BackupPlan,
  { stack, container, id }: { readonly stack: string; readonly container: string; readonly id: string },
): Promise<void> {
  const { name, restore, offline } = plan;
  const check = `${enter(plan, stack)}
[ "$(sha256sum < ${id}.dump)" = "$(cat ${id}.sha256)" ] || { echo "${id} is damaged: its sum is another one" >&2; exit 1; }`;
  const run = (line: string) =>
    engine.script(`${check}\n${line} < ${id}.dump`, { minutes: MINUTES }).catch((cause: Error) => {
      throw new EngineError(`restore of ${name}: ${cause.message}`);
    });
  if (!offline) {
    await run(`docker exec --interactive ${container} sh -c ${quote(restore)}`);
    return;
  }
  await run("true");
  const oneOff = await engine.createLike(container, {
    command: ["-c", restore],
    entrypoint: ["sh"],
    terminal: false,
    labels: { [RUN_LABEL]: `${stack}/${name}` },
  });
  try {
    await engine.docker(["container", "stop", container], { timeoutSeconds: 15 * 60 });
    await run(`docker start --attach --interactive ${oneOff}`);
  } finally {
    await engine.docker(["container", "rm", "--force", oneOff]).catch(ignoreRemoved);
    await engine.docker(["container", "start", container]);
  }
}

/** The engine removes the container when it exits. */
function ignoreRemoved(cause: Error): void {
  if (!/no such container|already in progress/i.test(cause.message)) throw cause;
}

/**
 * Backs up the running release before the release commands of a new release.
 * @throws EngineError if a backup fails
 */
export async function backupBefore(
  engine: DockerEngine,
  config: Pick<DeployConfig, "services" | "accessories">,
  { stack, last }: { readonly stack: string; readonly last: Deployment | undefined },
): Promise<void> {
  if (last === undefined || config.services.every(({ releaseCommand }) => releaseCommand === undefined))
    return;
  for (const plan of backupPlans(config).filter(({ beforeRelease }) => beforeRelease)) {
    const container = dataContainer(last, plan.name);
    if (container === undefined) continue;
    const taken = await takeBackup(engine, plan, { stack, container, commit: last.commit });
    const { id, bytes, notCopied } = taken;
    await pulumi.log.info(`backup of ${plan.name} before the release command: ${id}, ${bytes} bytes`);
    if (notCopied !== undefined) await pulumi.log.warn(copyFailure(taken));
  }
}
