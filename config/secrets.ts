import type { DeployConfig, ServiceConfig } from "./types";

/** A value that stands in the configuration, or in a variable of this machine; undefined if that is not set. */
export function givenValue(from: string | { readonly env: string }): string | undefined {
  return typeof from === "string" ? from : process.env[from.env];
}

/** A service's build secrets with their values, except unset variables, which `problemsForUp` reports. */
export function buildSecretsOf({
  buildSecrets = {},
}: Pick<ServiceConfig, "buildSecrets">): Record<string, string> {
  const found = Object.entries(buildSecrets).flatMap(([name, from]) => {
    const value = givenValue(from);
    return value === undefined ? [] : [[name, value] as const];
  });
  return Object.fromEntries(found);
}

/** All values that no log may show. */
export function secretsOf(
  config: Pick<
    DeployConfig,
    "serverKey" | "registryPassword" | "services" | "accessories" | "basicAuth" | "freshnessKey" | "notify"
  >,
): string[] {
  const { serverKey, registryPassword, services, accessories, basicAuth = {}, freshnessKey } = config;
  const webhooks = (config.notify ?? []).map(({ url }) => givenValue(url));
  const variables = services.flatMap(({ secretEnv }) => Object.values(secretEnv));
  const beside = accessorySecretsOf({ accessories });
  const hashes = Object.values(basicAuth);
  const own = [serverKey, registryPassword, freshnessKey];
  return [...own, ...webhooks, ...variables, ...beside, ...hashes].filter((value) => value !== undefined);
}

/** The secrets of accessories, also as they stand in `<NAME>_URL`. */
export function accessorySecretsOf({ accessories }: Pick<DeployConfig, "accessories">): string[] {
  const values = accessories.flatMap(({ secretEnv }) => Object.values(secretEnv));
  return [...new Set(values.flatMap((value) => [value, encodeURIComponent(value)]))];
}

/** Removes the variables from this process's environment, because child processes would inherit them. */
export function forgetSecrets(env: NodeJS.ProcessEnv = process.env): void {
  for (const name of Object.keys(env))
    if (
      /^(PULUMI_CONFIG|PULUMI_CONFIG_SECRET_KEYS|WATCH_PARTY_(SERVER_KEY|REGISTRY_PASSWORD)_.*)$/.test(name)
    )
      delete env[name];
}
