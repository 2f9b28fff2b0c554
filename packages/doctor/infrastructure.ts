import type { Finding } from "./finding";
import { imageName, isMovingTag, isOwn, type Ownership } from "./images";

const isQuadlet = (path: string) => /\.(container|kube|pod)$/.test(path);
const isNomad = (path: string) => /\.nomad(\.hcl)?$/.test(path);
const isTerraform = (path: string) => /\.tf$/.test(path);

/** Files in which a container's image is declared for another program than compose and Kubernetes. */
export const isInfrastructure = (path: string) => isQuadlet(path) || isNomad(path) || isTerraform(path);

/** Findings for images under a moving tag in Quadlet units, Nomad jobs and Terraform. */
export function infrastructureFindings(path: string, text: string, ownership: Ownership): Finding[] {
  const isMoving = (written = "") => {
    const image = imageName(written);
    return image !== undefined && isMovingTag(image) && isOwn(image, ownership);
  };
  const finding = (index: number, found: string, why: string, fix: string): Finding => ({
    rule: "image-not-pulled",
    severity: "warning",
    path,
    line: text.slice(0, index).split("\n").length,
    why,
    found: found.trim().slice(0, 200),
    fix,
  });
  if (isQuadlet(path)) {
    const image = /^Image\s*=\s*(\S+)/m.exec(text);
    if (!image || !isMoving(image[1]) || /^Pull\s*=\s*(always|newer)|^AutoUpdate\s*=\s*registry/m.test(text))
      return [];
    return [
      finding(
        image.index,
        image[0],
        `${image[1]} is named by a tag that moves: unless somebody pulls, a restart of the unit starts the image that is there`,
        "Add Pull=newer to the unit, or name the image by its digest.",
      ),
    ];
  }
  if (isNomad(path))
    return [...text.matchAll(/^[ \t]*image[ \t]*=[ \t]*"([^"\n$]+)"/gm)].flatMap((match) =>
      isMoving(match[1]) && !/force_pull\s*=\s*true/.test(text)
        ? [
            finding(
              match.index,
              match[0],
              `${match[1]} is named by a tag that moves: the job's text does not change with it, so that nothing is replaced`,
              "Name a tag of the commit or a digest; force_pull = true helps where the task is replaced anyway.",
            ),
          ]
        : [],
    );
  return [...text.matchAll(/^resource\s+"docker_image"\s+"[^"\n]*"\s*\{/gm)].flatMap((match) => {
    const block = text.slice(match.index, closingOf(text, match.index));
    const name = /^\s*name\s*=\s*"([^"\n]*)"/m.exec(block)?.[1] ?? "";
    const isTriggered = /\b(triggers|pull_triggers|no_cache|force_remove)\s*=/.test(block);
    if (isTriggered) return [];
    const isBuilt = /^\s*build\s*\{/m.test(block);
    if (!isBuilt && !isMoving(name)) return [];
    return [
      finding(
        match.index,
        `docker_image ${name}`,
        isBuilt
          ? "without triggers Terraform builds this image once: a change of the sources is none of its arguments"
          : `${name} is named by a tag that moves: Terraform pulls it once, and never again without pull_triggers`,
        isBuilt
          ? "Add triggers with a hash of the sources or the commit."
          : "Add pull_triggers with the image's digest (data docker_registry_image).",
      ),
    ];
  });
}

function closingOf(text: string, from: number): number {
  let depth = 0;
  for (let at = text.indexOf("{", from); at < text.length && at >= 0; at++) {
    if (text[at] === "{") depth++;
    if (text[at] === "}" && --depth === 0) return at + 1;
  }
  return text.length;
}
