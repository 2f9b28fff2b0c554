/** What images are built for where nothing else is said. */
const DEFAULT_PLATFORM = "linux/amd64";

/**
 * The arguments that BuildKit sets by itself. FROM sees them as they are, a stage once it has declared them.
 *
 * The engine builds for its own platform, so that the two kinds are the same.
 */
export function platformArgs(platform = DEFAULT_PLATFORM): Readonly<Record<string, string>> {
  const [os = "", arch = "", variant = ""] = platform.split("/");
  const of = (kind: string) => ({
    [`${kind}PLATFORM`]: platform,
    [`${kind}OS`]: os,
    [`${kind}ARCH`]: arch,
    [`${kind}VARIANT`]: variant,
  });
  return { ...of("TARGET"), ...of("BUILD") };
}
