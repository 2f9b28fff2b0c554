import type * as pulumi from "@pulumi/pulumi";

/** The hook as an option of a resource. */
export function onErrorOf(hook: pulumi.ErrorHook | undefined): pulumi.ResourceHookBinding | undefined {
  return hook && { onError: [hook] };
}
