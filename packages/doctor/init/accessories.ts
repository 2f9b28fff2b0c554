import { databaseOf } from "../../../freshness/container/database";
import { productOf, urlVariable } from "../../../freshness/container/products";
import type { ComposeService } from "../composeFile";
import { imageName } from "../images";
import type { Repository } from "../repository";
import { type Notes, type TakenEnvironment, takenEnvironment, takenVolumes } from "./composeValues";
import { composeKeys } from "./keys";

/** A service of a compose file that runs a database, a cache or a queue. */
export interface AccessoryCandidate {
  readonly name: string;
  readonly image: string;
  readonly compose: ComposeService;
}

/** An accessory in the stack's configuration. */
export interface AccessoryLayout {
  readonly image: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly secretEnv?: TakenEnvironment["secretEnv"];
  readonly volumes?: Readonly<Record<string, string>>;
  /** Compose's settings for running the container. */
  readonly [setting: string]: unknown;
}

/** Settings of a service that an accessory has too. */
const SETTINGS = new Set(["command", "entrypoint", "user", "memoryMb", "shmMb", "stopSeconds"]);

/**
 * The accessories of a compose file.
 *
 * @param volumes those of the services: an accessory's volumes are its own
 */
export function accessoryLayouts(
  repository: Repository,
  candidates: readonly AccessoryCandidate[],
  volumes: readonly string[],
  notes: Notes,
): Record<string, AccessoryLayout> {
  const used = new Set(volumes);
  const all = candidates.map(({ name, image, compose }): [string, AccessoryLayout] => {
    const at = `${compose.path}:${compose.line}`;
    notes.guesses.push(
      `${name}: an accessory, ${image}: services reach it as ${name}, and by ${urlVariable(name)} (${at})`,
    );
    const { env, secretEnv } = takenEnvironment(
      repository,
      compose,
      { name, key: `accessories.${name}` },
      notes,
    );
    const named = takenVolumes(compose, name, notes, (_, volume) =>
      used.has(volume) ? "another one uses that volume" : undefined,
    );
    const database = databaseOf({ names: [image] });
    const data = Object.keys(named).length === 0 ? dataFolder(image) : undefined;
    const own = data === undefined || used.has(`${name}-data`) ? named : { [`${name}-data`]: data };
    if (own !== named)
      notes.guesses.push(
        `${name}: volume ${name}-data at ${data}, because the file names none for its data (${at})`,
      );
    for (const volume of Object.keys(own)) used.add(volume);
    // Redis is a cache as often as a database.
    if (Object.keys(own).length === 0 && database && database.product !== "Redis")
      notes.decisions.push(`${name}: no volume keeps its data; set accessories.${name}.volumes (${at})`);
    if (compose.ports.length > 0)
      notes.left.push(`${name}: its ports are not published, services reach it by its name (${at})`);
    if (compose.healthcheck)
      notes.left.push(
        `${name}: healthcheck is left out: known databases have their own, others are asked at accessories.${name}.port (${compose.path}:${compose.healthcheck.line})`,
      );
    const accepts = (key: string, value: unknown) => SETTINGS.has(key) && notes.accepts(key, value);
    const { settings, guesses, decisions, left } = composeKeys(compose, name, accepts);
    notes.guesses.push(...guesses);
    notes.decisions.push(...decisions);
    notes.left.push(...left);
    return [
      name,
      { image, env: filled(env), secretEnv: filled(secretEnv), volumes: filled(own), ...settings },
    ];
  });
  return Object.fromEntries(all);
}

/** Folder of the data in a database's official image; undefined for any other image. */
function dataFolder(image: string): string | undefined {
  const read = imageName(image);
  return read?.owner === "" || read?.owner === "library"
    ? productOf({ image, env: {} })?.data?.(read.tag)
    : undefined;
}

/** Undefined in place of a mapping without entries, which the configuration need not have. */
function filled<T>(values: Readonly<Record<string, T>>): Readonly<Record<string, T>> | undefined {
  return Object.keys(values).length > 0 ? values : undefined;
}
