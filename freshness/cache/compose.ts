import {
  type Document,
  isAlias,
  isMap,
  isPair,
  isScalar,
  isSeq,
  LineCounter,
  type Node,
  parseAllDocuments,
  type YAMLMap,
} from "yaml";
import type { Finding } from "../dockerfile/finding";
import { textBefore } from "../sure";

const MENTIONS = /BUILDKIT_INLINE_CACHE|cache[_-]from/;

/** One key of a mapping and its value. */
interface Entry {
  readonly key: string;
  readonly value: Node | null;
  readonly offset: number;
}

/** Maximum length of a compose file that is parsed: a longer one takes seconds. */
const LONGEST = 512 * 1024;

/** Finds caches in the `build` sections of a compose file. The same names have no meaning elsewhere. */
export function composeFindings(path: string, text: string): Finding[] {
  if (text.length > LONGEST) return unreadable(path, text);
  const counter = new LineCounter();
  const documents = parseAllDocuments(text, { lineCounter: counter });
  const isReadable =
    Array.isArray(documents) && documents.length > 0 && documents.every(({ errors }) => errors.length === 0);
  if (!isReadable) return unreadable(path, text);
  return documents.flatMap((document) => {
    const finding = (offset: number, found: string): Finding => {
      const { line } = counter.linePos(offset);
      return {
        path,
        line,
        why: `${found} lets this build reuse layers of an earlier one`,
        expected: "a build section without inline cache and cache_from",
        found,
        remedy: `Remove ${found.split(":")[0]} from line ${line} of ${path}.`,
      };
    };
    const services = entries(document, document.contents as Node | null).find(
      ({ key }) => key === "services",
    );
    return entries(document, services?.value ?? null)
      .flatMap((service) => entries(document, service.value).filter(({ key }) => key === "build"))
      .flatMap((build) => buildFindings(document, build.value, finding));
  });
}

function buildFindings(
  document: Document,
  build: Node | null,
  finding: (offset: number, found: string) => Finding,
): Finding[] {
  return entries(document, build).flatMap(({ key, value, offset }) => {
    if (key === "args")
      return argumentsOf(document, value)
        .filter(({ name }) => name === "BUILDKIT_INLINE_CACHE")
        .map((argument) => finding(argument.offset, "BUILDKIT_INLINE_CACHE"));
    if (key === "cache_from" || key === "cache-from")
      return texts(document, value).length > 0
        ? [finding(offset, `${key}: ${texts(document, value).join(", ")}`)]
        : [];
    if (key === "cache_to" || key === "cache-to")
      return texts(document, value).some((target) => /type=inline/.test(target))
        ? [finding(offset, `${key}: type=inline`)]
        : [];
    return key === "x-bake" ? buildFindings(document, value, finding) : [];
  });
}

/** Build args as a mapping, or as a list of `NAME=value`. */
function argumentsOf(document: Document, node: Node | null): { name: string; offset: number }[] {
  const value = resolved(document, node);
  if (isMap(value)) return entries(document, value).map(({ key, offset }) => ({ name: key, offset }));
  if (!isSeq(value)) return [];
  return value.items.flatMap((item) => {
    const scalar = resolved(document, item as Node);
    return isScalar(scalar)
      ? [{ name: textBefore(String(scalar.value), "=").trim(), offset: scalar.range?.[0] ?? 0 }]
      : [];
  });
}

function texts(document: Document, node: Node | null): string[] {
  const value = resolved(document, node);
  if (isSeq(value)) return value.items.flatMap((item) => texts(document, item as Node));
  return isScalar(value) && value.value !== null && value.value !== "" ? [String(value.value)] : [];
}

/** Keys of a mapping, including those merged with `<<`. */
function entries(document: Document, node: Node | null): Entry[] {
  const value = resolved(document, node);
  if (!isMap(value)) return [];
  return (value as YAMLMap<Node, Node | null>).items.filter(isPair).flatMap(({ key, value: inner }) => {
    if (!isScalar(key)) return [];
    if (key.value !== "<<") return [{ key: String(key.value), value: inner, offset: key.range?.[0] ?? 0 }];
    const merged = resolved(document, inner);
    return isSeq(merged)
      ? merged.items.flatMap((item) => entries(document, item as Node))
      : entries(document, merged);
  });
}

function resolved(document: Document, node: Node | null): Node | null {
  return isAlias(node) ? (node.resolve(document) ?? null) : node;
}

/** Judges an unreadable file by its text: it reports the first mention of a build cache. */
function unreadable(path: string, text: string): Finding[] {
  const lines = text.split("\n");
  const at = lines.findIndex((line) => MENTIONS.test(line));
  const line = lines[at];
  if (line === undefined) return [];
  return [
    {
      path,
      line: at + 1,
      why: "the compose file cannot be read, and mentions a build cache",
      expected: "a compose file of valid YAML, without inline cache and cache_from",
      found: line.trim(),
      remedy: `Correct ${path}, and remove line ${at + 1}.`,
    },
  ];
}
