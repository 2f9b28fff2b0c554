import execa from "execa";

/**
 * Writes a certificate for a day, which is its own authority, and its key.
 *
 * @param name what it is for, such as `IP:127.0.0.1` or `DNS:app.example.org`
 */
export async function selfSigned(name: string, keyFile: string, certificateFile: string): Promise<void> {
  await execa("openssl", [
    ...["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1"],
    ...["-subj", `/CN=${name.replace(/^\w+:/, "")}`, "-addext", `subjectAltName=${name}`],
    ...["-keyout", keyFile, "-out", certificateFile],
  ]);
}
