import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import execa from "execa";
import { TestApp } from "../support/app";
import { FULL, inMatrix, ofThisForm, timed } from "../support/matrix";
import { OriginalFlow } from "../support/original";
import { TestStack } from "../support/stack";

/** Something mounted over what the image holds: how it is asked for, and what has to be said of it. */
interface Fault {
  /** Injected in the full form alone: another row, or a unit test of the rule, stands for it in CI. */
  readonly onlyInFull?: boolean;
  readonly fault: string;
  /** What of the backend's service differs. */
  readonly service?: Readonly<Record<string, unknown>>;
  /** What is added to the backend's Dockerfile. */
  readonly lines?: string;
  readonly found: RegExp;
}

const FAULTS: Fault[] = [
  {
    fault: "a volume hides the code",
    service: { volumes: { code: "/app/src" } },
    found:
      /found volume watch-party-\w+-code-\w+ over \d+ in \/app\/src: .*\. Lead watch-party:services\.backend\.volumes\.code /,
  },
  {
    onlyInFull: true,
    fault: "a release fills a folder that an earlier release's volume hides",
    lines: "USER 0\nRUN echo new > /app/uploads/logo.svg\nUSER 10001:10001",
    found: /found volume watch-party-\w+-uploads-\w+ over 1 in \/app\/uploads: logo\.svg\. /,
  },
  {
    fault: "the Dockerfile declares the code as a volume",
    lines: "VOLUME /app/src",
    found:
      /found an anonymous volume over \d+ in \/app\/src: .*\. Remove VOLUME \/app\/src from the Dockerfile/,
  },
];

describe("a deploy with mounts", () => {
  let app: TestApp;
  let stack: TestStack;
  let original: OriginalFlow | undefined;
  let good: string;
  /** A volume where the image has nothing, one over an empty folder, and a read-only root with its tmpfs at /tmp. */
  const HEALTHY = {
    readOnly: true,
    startSeconds: 10,
    volumes: { data: "/srv/watch/data", uploads: "/app/uploads" },
  };
  const DOCKERFILE = "backend/Dockerfile";
  const configure = (more: object = {}) =>
    stack.configure({
      services: { frontend: { startSeconds: 10 }, backend: { ...HEALTHY, ...more } },
    });
  const served = async () => (await fetch(`${stack.url}/api/hello`)).text();

  beforeAll(async () => {
    app = await TestApp.create();
    const empty =
      "RUN mkdir -p /app/uploads/thumbnails && touch /app/uploads/.gitkeep\nVOLUME /var/lib/watch\nUSER 10001:10001";
    good = await app.commit({
      [DOCKERFILE]: app.read(DOCKERFILE).replace("USER 10001:10001", empty),
      "backend/message.txt": "hello v1\n",
    });
    if (FULL) original = new OriginalFlow(app.folder);
    stack = await TestStack.create({ source: app.folder });
    await configure();
    const outcome = await stack.up();
    if (!outcome.ok) throw new Error(outcome.said);
  });
  afterAll(async () => {
    await stack?.remove();
    await original?.remove();
    app?.remove();
  });

  it.each(ofThisForm(FAULTS))(
    "is refused when $fault, and passes without it",
    ({ fault, service, lines, found }) =>
      inMatrix({ into: "deploy", fault, link: "container" }, async (row) => {
        const dockerfile = app.read(DOCKERFILE);
        if (original) {
          original.volumes = {
            ...HEALTHY.volumes,
            ...(service?.volumes as Record<string, string> | undefined),
          };
          expect(await original.deploy()).toEqual({ caught: false, saw: "serves the commit's files" });
        }
        const files = { "backend/message.txt": "hello v2\n" };
        await app.commit(lines ? { ...files, [DOCKERFILE]: `${dockerfile}${lines}\n` } : files);
        await configure(service);
        try {
          const refused = await timed(row, () => stack.up());
          expect(refused.said).toMatch(
            /freshness: container of backend: a mount hides files of the image; expected .*, found /,
          );
          expect(refused.said).toMatch(found);
          expect(refused.ok).toBe(false);
          expect(await served()).toBe("hello v1\n");
          row.detected = true;
          row.original = await original?.deploy();
        } finally {
          await app.git("reset", "--quiet", "--hard", good);
          await configure();
        }
        row.twin = false;
        const twin = await stack.up();
        expect(twin.ok ? "" : twin.said).toBe("");
        expect(await served()).toBe("hello v1\n");
        row.twin = true;
      }),
  );

  it("compares no files if the container's file system is read-only", async () => {
    const container = await stack.container("backend");
    const write = ["exec", "--user", "0", container, "sh", "-c", "echo new > /app/src/server.py"];
    await expect(execa("docker", write)).rejects.toThrow(/Read-only file system/);
    const copy = ["cp", join(app.folder, "backend", "message.txt"), `${container}:/app/src/server.py`];
    await expect(execa("docker", copy)).rejects.toThrow(/read-only/);
    const { status, stdout } = await stack.verify("--json");
    expect(status).toBe(0);
    const { links } = JSON.parse(stdout) as { links: { service: string; evidence: string }[] };
    const evidence = (name: string) =>
      links.filter(({ service }) => service === name).flatMap((each) => each.evidence);
    expect(evidence("backend").join()).toContain("ReadonlyRootfs");
    expect(evidence("frontend").join()).toContain("docker diff frontend-");
  });

  it("reports at the next up and at verify that no mount hides files", async () => {
    expect((await stack.up()).changes).toEqual({});
    const { status, stdout } = await stack.verify("--json");
    expect(status).toBe(0);
    const { links } = JSON.parse(stdout) as { links: { link: string; service: string; found: string }[] };
    expect(links.find(({ link, service }) => link === "container" && service === "backend")?.found).toContain(
      "nothing mounted over files of the image",
    );
  });
});
