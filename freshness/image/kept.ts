import { type Break, broken, type Verdict } from "../chain";
import { short } from "../container";
import { REBUILD } from "../image";

/** An image as the engine keeps it. */
export interface KeptImage {
  /** Its id, `sha256:…`. */
  readonly id: string;
  /** All names that lead to it, `repository:tag`. */
  readonly tags: readonly string[];
}

/**
 * Judges what the engine still keeps of what was deployed: the image, by the name that the deploy gave it. Without it
 * no container can be made again, and a name that was moved leads whoever uses it to something else.
 *
 * @param tag undefined for a deployment that did not write it down
 * @param kept all that the engine has of these names
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
