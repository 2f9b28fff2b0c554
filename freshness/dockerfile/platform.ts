/** Platform of images if none is configured. */
const DEFAULT_PLATFORM = "linux/amd64";

/**
 * Arguments that BuildKit sets by itself. FROM sees them directly; a stage must declare them. The engine builds for its
 * own platform, so TARGET and BUILD arguments are the same.
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
