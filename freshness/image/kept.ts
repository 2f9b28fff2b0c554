import { type Break, broken, type Verdict } from "../chain";
import { short } from "../container";
import { REBUILD } from "../image";

/** An image that the engine stores. */
export interface KeptImage {
  /** Image ID, `sha256:…`. */
  readonly id: string;
  /** All names of the image, `repository:tag`. */
  readonly tags: readonly string[];
}

/**
 * Judges whether the engine still has the deployed image under the deploy's name. Without the image, no container can
 * be created again. A moved name refers to another image.
 * @param tag undefined for a deployment that did not record it
 * @param kept the engine's images with these names
 */
export function keptVerdict(
  service: string,
  image: string,
  tag: string | undefined,
  kept: readonly KeptImage[],
): Verdict | Break {
  const link = "image";
  const expected = tag === undefined ? `${short(image)} kept` : `${short(image)} kept as ${tag}`;
  const evidence = `docker image inspect ${tag ?? short(image)}`;
  if (!kept.some(({ id }) => id === image))
    return broken({
      link,
      service,
      wrong: "the image that was deployed is gone from the engine",
      expected,
      found: "no such image",
      evidence,
      remedy: REBUILD,
    });
  const named = kept.find(({ tags }) => tag !== undefined && tags.includes(tag));
  if (tag === undefined || named?.id === image)
    return { link, service, status: "proven", expected, found: expected, evidence };
  return broken({
    link,
    service,
    wrong: "the deploy's tag no longer names the image that was deployed",
    expected,
    found: named ? `${short(named.id)} under that name` : "no image of that name",
    evidence,
    remedy: `Name it again with "docker tag ${short(image).replace("sha256:", "")} ${tag}". ${REBUILD}`,
  });
}
