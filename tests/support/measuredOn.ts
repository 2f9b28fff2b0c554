import execa from "execa";

/** The context of a measurement: its engine and its day. */
export async function measuredOn(): Promise<{ readonly versions: string; readonly date: string }> {
  const format = "Docker client {{.Client.Version}}, engine {{.Server.Version}}";
  const { stdout: versions } = await execa("docker", ["version", "--format", format]);
  return { versions, date: new Date().toISOString().slice(0, 10) };
}
