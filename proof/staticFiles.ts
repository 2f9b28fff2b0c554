import type { DockerEngine } from "../engine/docker";
import { hashTar } from "../engine/tarFiles";
import type { Verdict } from "../freshness/chain";
import type { Files } from "../freshness/files";
import { placesOf } from "../freshness/served/places";
import { chosenFiles, DOCUMENT_ROOTS, type ServedFile, staticVerdict } from "../freshness/served/staticFiles";
import { hasVersion } from "../freshness/served/upstream";
import { type DeployedService, withoutReplicas } from "./deployment";
import { ask } from "./http";
import { runtimeOf } from "./runtime";
import type { ToProve } from "./toProve";

/**
 * Compares what the public address serves with the static files of the image, for services without a version path:
 * those in the folders of `assets`, and those below a web server's usual folder if its index.html is the entry page.
 */
export async function proveStaticFiles({ engine, deployment }: ToProve): Promise<Verdict[]> {
  const asked = withoutReplicas(deployment.services).filter(
    ({ service }) => service.route !== undefined && service.port !== undefined && !hasVersion(service),
  );
  if (asked.length === 0) return [];
  const judge = (services: readonly DeployedService[]) =>
    Promise.all(
      services.map((each) => {
        const [url] = placesOf(deployment, each.service.hosts);
        return judgeService(engine, url, each);
      }),
    );
  const found = await runtimeOf(deployment).withFiles(engine, asked, judge);
  return found.flatMap((verdict) => verdict ?? []);
}

async function judgeService(
  engine: DockerEngine,
  publicUrl: string,
  { service, container }: DeployedService,
): Promise<Verdict | undefined> {
  const at = (path: string) => new URL(path, publicUrl).href;
  const route = (service.route ?? "/").replace(/\/$/, "");
  const entry = await answered(at(`${route}/`));
  const declared = Object.entries(service.assets).map(([path, folder]) =>
    served(engine, container, { folder, url: at(path), isDeclared: true }),
  );
  const usual = DOCUMENT_ROOTS.map((folder) =>
    served(engine, container, {
      folder,
      url: at(route === "" ? "/" : route),
      isDeclared: false,
      entry: entry.hash,
    }),
  );
  const files = (await Promise.all([...declared, ...usual])).flat();
  return staticVerdict(service.name, files, entry.hash);
}

/** A folder of the image and its public URL. */
interface Place {
  readonly folder: string;
  readonly url: string;
  readonly isDeclared: boolean;
  /** Hash of the page that the folder's index.html must be; absent: any. */
  readonly entry?: string;
}

async function served(
  engine: DockerEngine,
  container: string,
  { folder, url, isDeclared, entry }: Place,
): Promise<ServedFile[]> {
  const files = await filesIn(engine, container, folder);
  if (entry !== undefined && files.get("index.html")?.hash !== entry) return [];
  const paths = [...files].filter(([, { kind }]) => kind === "file").map(([path]) => path);
  return Promise.all(
    chosenFiles(paths, isDeclared).map(async (path) => {
      const href = `${url.replace(/\/$/, "")}/${path.split("/").map(encodeURIComponent).join("/")}`;
      const { status, hash } = await answered(href);
      return {
        url: href,
        file: `${folder.replace(/\/$/, "")}/${path}`,
        hash: files.get(path)?.hash ?? "",
        served: hash,
        status,
        isDeclared,
      };
    }),
  );
}

/** The files below a folder of a container, by their paths in it. */
async function filesIn(engine: DockerEngine, container: string, folder: string): Promise<Files> {
  const read = (output: AsyncIterable<Uint8Array>) =>
    // The archive's paths begin with the folder's own name.
    hashTar(output, "sha1", (name) => name.split("/").slice(1).join("/") || undefined);
  return (await engine.archive(container, folder, read)) ?? new Map();
}

async function answered(url: string): Promise<{ status: number; hash: string }> {
  const { status, body } = await ask(url, { hashed: true });
  return { status, hash: body };
}
