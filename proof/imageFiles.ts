import { posix } from "node:path";
import type { DockerEngine } from "../engine/docker";
import type { ImageInspect } from "../engine/facts";
import { owner } from "../engine/orphans";
import { EngineError } from "../engine/problems";
import { type Bytes, collect, type GitHash, hashTar, readSaved, readTar } from "../engine/tarFiles";
import { startEarly } from "../engine/until";
import type { Starts } from "../freshness/container/initProgram";
import type { Files, ImageFile } from "../freshness/files";
import type { HistoryEntry } from "../freshness/image";
import { OWNER_LABEL } from "../freshness/labels";
import { must } from "../freshness/sure";

/** An image whose files can be read without running it: it needs no shell and no program. */
export interface OpenImage {
  readonly env: Readonly<Record<string, string>>;
  readonly workDir: string;
  readonly starts: Starts;
  /** Oldest entry first; times by the engine's clock. */
  readonly history: readonly HistoryEntry[];
  /** Content of one layer, counted from the base, as its instruction left it. */
  layer(index: number): Promise<Files>;
  /** Merged content of the layers below the given one, within a folder. */
  base(count: number, folder: string): Promise<Files>;
  /**
   * A path in the layers below one that lacks it. Some engines leave out a file whose size and time equal the lower
   * one's. On other engines a missing file was not written, and the result is undefined.
   */
  below(index: number, path: string): Promise<ImageFile | undefined>;
  /** Files and folders with all content; a given link is followed; missing paths are left out. */
  paths(paths: readonly string[]): Promise<Files>;
  has(path: string): Promise<boolean>;
  /** Content of a small file, or undefined if it does not exist. */
  text(path: string): Promise<string | undefined>;
}

interface ImageConfig {
  readonly config?: {
    readonly Env?: readonly string[] | null;
    readonly WorkingDir?: string;
    readonly Entrypoint?: readonly string[] | null;
    readonly Cmd?: readonly string[] | null;
  };
  readonly history?: readonly {
    readonly created?: string;
    readonly created_by?: string;
    readonly empty_layer?: boolean;
  }[];
}

/** What the proof certainly reads of an image: it is read in one go, because each look costs 50 ms. */
export interface Sure {
  /** Number of top layers. */
  readonly layers: number;
  /** A file whose content is needed, if one of them has it. */
  readonly text: string;
}

/** How to read an image's layers. */
interface Layers {
  readonly config: ImageConfig;
  readonly container: string;
  /** Content of a file that was read along with them. */
  readonly text?: { readonly path: string; readonly content: string };
  /** @param folder reads only this folder */
  layer(index: number, folder?: string): Promise<Files>;
  /** Whether a layer may lack a file that equals the lower one in size and time. */
  readonly leavesOut: boolean;
}

/** Where the engine's folders are mounted in the container. */
const INSIDE = "/.watch-party";
const MINUTES = 10;
/** Maximum size of a text file, such as the commit file or an image's configuration. */
const MOST_TEXT = 16 * 1024 * 1024;

/** Reads images of an engine, each image and layer once. `close` removes the temporary containers. */
export class ImageReader {
  private readonly opening = new Map<string, Promise<OpenImage>>();
  private readonly containers: string[] = [];
  private readonly reads = new Reads();
  private info: ReturnType<DockerEngine["info"]> | undefined;

  constructor(
    private readonly engine: DockerEngine,
    private readonly algorithm: GitHash,
  ) {}

  /**
   * @param sure what the proof certainly reads of an image
   * @throws EngineError if the engine has no such image
   */
  async open(
    images: readonly string[],
    sure: (image: string) => Sure | undefined = () => undefined,
  ): Promise<OpenImage[]> {
    const all = images.map((image) => this.image(image, sure(image)));
    await Promise.allSettled(all);
    return Promise.all(all);
  }

  /** Opens one image. */
  image(id: string, sure?: Sure): Promise<OpenImage> {
    const opening = this.opening.get(id) ?? this.openImage(id, sure);
    this.opening.set(id, opening);
    return opening;
  }

  /** Waits for current reads, then removes the temporary containers. */
  async close(): Promise<void> {
    await Promise.allSettled(this.opening.values());
    await this.reads.settled();
    await this.engine.removeTemporary(this.containers);
  }

  private async openImage(id: string, sure: Sure | undefined): Promise<OpenImage> {
    this.info ??= this.engine.info();
    const [{ DockerRootDir, Driver }, image] = await Promise.all([this.info, this.engine.inspectImage(id)]);
    if (!image) throw new EngineError(`No such image: ${id}`);
    const { reads, algorithm, containers } = this;
    const root = `${DockerRootDir}/image/${Driver}`;
    return openImage(this.engine, image, { root, reads, algorithm, containers, sure });
  }
}

/** Shared state of a reader's images. */
interface Opening {
  /** Folder of the engine's image configurations. */
  readonly root: string;
  readonly reads: Reads;
  readonly algorithm: GitHash;
  /** Containers to remove at the end. */
  readonly containers: string[];
  readonly sure: Sure | undefined;
}

async function openImage(engine: DockerEngine, image: ImageInspect, shared: Opening): Promise<OpenImage> {
  return opened(engine, await layersOf(engine, image, shared), shared);
}

async function layersOf(engine: DockerEngine, image: ImageInspect, shared: Opening): Promise<Layers> {
  const folders = layerFolders(image);
  if (folders) {
    try {
      return await mountedLayers(engine, image, folders, shared);
    } catch {
      // The engine cannot mount them, or stores its images elsewhere. The saved image shows what else is wrong.
    }
  }
  return savedLayers(engine, image.Id, shared.algorithm, shared.containers);
}

/** Folders that were read or are being read: images share layers. */
class Reads {
  private readonly known = new Map<string, Map<string, Promise<Files>>>();

  /**
   * @param layer the layer's folder on the engine
   * @param folder within it, `""` for all of it
   */
  ofLayer(layer: string, folder: string, read: () => Promise<Files>): Promise<Files> {
    const above = [...(this.known.get(layer) ?? [])].find(([each]) => isBelow(folder, each));
    return above ? above[1].then((files) => filesBelow(files, folder)) : this.once(layer, folder, read);
  }

  /** Reads a place unless it was read before. */
  once(where: string, path: string, read: () => Promise<Files>): Promise<Files> {
    const known = this.known.get(where) ?? new Map<string, Promise<Files>>();
    this.known.set(where, known);
    const files = known.get(path) ?? read();
    known.set(path, files);
    return files;
  }

  async settled(): Promise<void> {
    await Promise.allSettled([...this.known.values()].flatMap((each) => [...each.values()]));
  }
}

function isBelow(folder: string, other: string): boolean {
  return other === "" || folder === other || folder.startsWith(`${other}/`);
}

function filesBelow(files: Files, folder: string): Files {
  return folder === "" ? files : new Map([...files].filter(([path]) => isBelow(path, folder)));
}

/** Folders of an image's layers, base first; undefined if the engine does not list them. */
export function layerFolders({
  GraphDriver,
  RootFS,
}: Pick<ImageInspect, "GraphDriver" | "RootFS">): string[] | undefined {
  const { UpperDir, LowerDir } = GraphDriver?.Data ?? {};
  if (GraphDriver?.Name !== "overlay2" || !UpperDir) return undefined;
  const folders = [UpperDir, ...(LowerDir ? LowerDir.split(":") : [])].reverse();
  return folders.length === RootFS?.Layers?.length ? folders : undefined;
}

/** Creates a container to copy from; it never starts. */
export async function createProbe(
  engine: DockerEngine,
  image: string,
  mounts: readonly (readonly [string, string])[],
): Promise<string> {
  const inside = mounts.map(([from, to]) => [from, `${INSIDE}/${to}`] as const);
  return engine.createTemporary(image, new Map(inside), { [OWNER_LABEL]: owner() });
}

/**
 * Reads single layers in the engine's folders: the base is not read, and nothing of it crosses the network.
 *
 * @throws EngineError if the engine cannot mount them
 */
async function mountedLayers(
  engine: DockerEngine,
  image: ImageInspect,
  folders: readonly string[],
  { root, reads, algorithm, containers, sure }: Opening,
): Promise<Layers> {
  const config = `${root}/imagedb/content/${image.Id.replace(":", "/")}`;
  const mounts = folders.map((folder, at) => [folder, posix.join(from(at), "layer")] as const);
  // The configuration is mounted beside the first layer that is read in one go.
  const first = Math.max(0, folders.length - (sure?.layers ?? 0));
  const beside = posix.join(from(Math.min(first, folders.length - 1)), "config");
  const container = await createProbe(engine, image.Id, [[config, beside], ...mounts]);
  containers.push(container);
  const copy = (path: string, folder: string, texts?: Map<string, string | undefined>) =>
    copyOut(engine, container, posix.join(INSIDE, path), folder, { algorithm, texts });
  const layer = (at: number, folder = "") =>
    reads.ofLayer(must(folders[at], `layer ${at} of the image`), folder, () =>
      copy(posix.join(from(at), "layer", folder), folder),
    );
  if (!sure || first === folders.length) {
    const text = await readText(engine, container, `${INSIDE}/${beside}`);
    return { config: configOf(text, image.Id), container, leavesOut: false, layer };
  }
  const within = (at: number) => posix.join(from(at - first), "layer");
  const upper = folders.slice(first).map((folder, at) => ({ folder, inside: within(first + at) }));
  const places = upper.map(({ inside }) => posix.join(inside, sure.text));
  const texts = new Map<string, string | undefined>(["config", ...places].map((name) => [name, undefined]));
  const reading = copy(from(first), "", texts);
  for (const { folder, inside } of upper)
    startEarly(reads.ofLayer(folder, "", () => reading.then((files) => below(files, inside))));
  const found = await reading;
  const highest = places.findLast((place) => found.has(place));
  const content = highest === undefined ? undefined : texts.get(highest);
  return {
    config: configOf(texts.get("config"), image.Id),
    container,
    leavesOut: false,
    layer,
    ...(content === undefined ? {} : { text: { path: sure.text, content } }),
  };
}

function configOf(text: string | undefined, image: string): ImageConfig {
  if (text === undefined) throw new EngineError(`the engine has no configuration of ${image}`);
  return json(text, image) as ImageConfig;
}

/** A layer's mount point. It lies within that of the layer below, so that one copy reads all of them. */
function from(layer: number): string {
  return Array(layer).fill("above").join("/");
}

/** Files below a folder, with paths relative to it. */
function below(files: Files, folder: string): Files {
  const start = `${folder}/`;
  return new Map(
    [...files].flatMap(([path, file]) => (path.startsWith(start) ? [[path.slice(start.length), file]] : [])),
  );
}

/** Reads an image with `docker image save`, all layers: works on every engine, slow for a large image. */
export async function savedLayers(
  engine: DockerEngine,
  id: string,
  algorithm: GitHash,
  containers: string[],
): Promise<Layers> {
  const container = await createProbe(engine, id, []);
  containers.push(container);
  const { documents, archives } = await engine.stream(
    ["image", "save", id],
    (output) => readSaved(output, algorithm),
    { timeoutSeconds: MINUTES * 60 },
  );
  type Manifest = { readonly Config: string; readonly Layers: readonly string[] };
  const [manifest] = json(documents.get("manifest.json") ?? "[]", id) as readonly [Manifest?];
  const config = documents.get(manifest?.Config ?? "");
  if (!manifest || config === undefined) throw new EngineError(`docker image save: ${id} has no manifest`);
  return {
    config: json(config, id) as ImageConfig,
    container,
    leavesOut: true,
    layer: async (at, folder) => {
      const files = archives.get(manifest.Layers[at] ?? "");
      if (!files) throw new EngineError(`docker image save: layer ${at} of ${id} is missing`);
      return filesBelow(files, folder ?? "");
    },
  };
}

function opened(engine: DockerEngine, layers: Layers, { reads, algorithm }: Opening): OpenImage {
  const { config, history = [] } = layers.config;
  const { container } = layers;
  return {
    env: Object.fromEntries((config?.Env ?? []).map((each) => splitOnce(each, "="))),
    workDir: config?.WorkingDir || "/",
    starts: { entrypoint: config?.Entrypoint ?? [], command: config?.Cmd ?? [] },
    history: history.map((entry) => ({
      createdBy: entry.created_by ?? "",
      created: entry.created ?? "",
      empty: entry.empty_layer ?? false,
    })),
    layer: (index) => layers.layer(index),
    async base(count, folder) {
      const each = await Promise.all(Array.from({ length: count }, (_, at) => layers.layer(at, folder)));
      return new Map(each.flatMap((files) => [...files]));
    },
    async below(index, path) {
      if (!layers.leavesOut) return undefined;
      for (let at = index - 1; at >= 0; at--) {
        const file = (await layers.layer(at)).get(path);
        if (file) return file;
      }
      return undefined;
    },
    async paths(paths) {
      const all = await Promise.all(
        paths.map((path) =>
          reads.once(container, path, () => copyOut(engine, container, `/${path}`, path, { algorithm })),
        ),
      );
      return new Map(all.flatMap((files) => [...files]));
    },
    has: (path) => engine.hasPath(container, path),
    text: async (path) =>
      path === layers.text?.path ? layers.text.content : readText(engine, container, path),
  };
}

/** Copies a file or folder out of a container that never ran. Paths in the result begin with `name`. */
async function copyOut(
  engine: DockerEngine,
  container: string,
  path: string,
  name: string,
  { algorithm, texts }: { algorithm: GitHash; texts?: Map<string, string | undefined> },
): Promise<Files> {
  const rename = (entry: string) => posix.join(name, entry.split("/").slice(1).join("/")).replace(/^\.$/, "");
  const read = (output: Bytes) => hashTar(output, algorithm, path === "/" ? undefined : rename, texts);
  return (await engine.archive(container, path, read, { timeoutSeconds: MINUTES * 60 })) ?? new Map();
}

async function readText(engine: DockerEngine, container: string, path: string): Promise<string | undefined> {
  const read = async (output: Bytes) => {
    let content: string | undefined;
    for await (const { kind, body } of readTar(output))
      if (kind === "file") content = (await collect(body, MOST_TEXT)).toString();
    return content;
  };
  return engine.archive(container, path, read);
}

/** Parses an image's JSON document. The image's author controls it. */
function json(text: string, image: string): unknown {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === "object" && value !== null) return value;
  } catch {
    // Reported below.
  }
  throw new EngineError(`image ${image} has a configuration that is no JSON object`);
}

function splitOnce(text: string, mark: string): [string, string] {
  const at = text.indexOf(mark);
  return at < 0 ? [text, ""] : [text.slice(0, at), text.slice(at + 1)];
}
