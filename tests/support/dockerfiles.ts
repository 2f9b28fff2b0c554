import fc from "fast-check";

/** A Dockerfile made up by chance, with what it is built with. `NONCE` in it is to be replaced by a text of its own. */
export interface GeneratedDockerfile {
  readonly text: string;
  readonly target?: string;
  readonly args: Readonly<Record<string, string>>;
}

const BASE = "debian:bookworm-slim";

/** Ways to write the commit's argument, of which some are the commit and some are not. */
const spelling = fc.constantFrom(
  "$GIT_COMMIT_HASH",
  '"${GIT_COMMIT_HASH}"',
  "'$GIT_COMMIT_HASH'",
  "\\$GIT_COMMIT_HASH",
  '"\\$GIT_COMMIT_HASH"',
  "${GIT_COMMIT_HASH:-none}",
  "${GIT_COMMIT_HASH:+set}",
  "${NOBODY:-$GIT_COMMIT_HASH}",
  "${NOBODY:+$GIT_COMMIT_HASH}",
  "fixed",
);

/** `#` in an instruction is replaced by a number of its own, `@` by an earlier stage. */
const declaration = fc.oneof(
  { weight: 4, arbitrary: fc.constantFrom("ARG GIT_COMMIT_HASH", "ARG GIT_COMMIT_HASH=dev") },
  {
    weight: 2,
    arbitrary: fc.constantFrom(
      "ARG OTHER=x",
      "ARG MADE",
      "ARG MADE=m-${GIT_COMMIT_HASH}",
      "ARG A=1 GIT_COMMIT_HASH",
    ),
  },
  { weight: 2, arbitrary: spelling.map((word) => `ENV SEEN=${word}`) },
  { weight: 1, arbitrary: spelling.map((word) => `ENV GIT_COMMIT_HASH=${word} LATER=$GIT_COMMIT_HASH`) },
  {
    weight: 1,
    arbitrary: fc.constantFrom(
      "ENV GIT_COMMIT_HASH fixed",
      "ENV SEEN was $GIT_COMMIT_HASH",
      "ENV GIT_COMMIT_HASH=",
    ),
  },
  {
    weight: 1,
    arbitrary: fc.constantFrom("USER 0", "LABEL commit=$GIT_COMMIT_HASH", "WORKDIR /w#", "WORKDIR /w/$SEEN"),
  },
);

const writing = spelling.map(
  (word) => `RUN test -d /app && \\\n  # the commit\n  printf %s ${word} > /app/COMMIT`,
);

const command = fc.oneof(
  { weight: 3, arbitrary: spelling.map((word) => `RUN echo ${word} #`) },
  { weight: 3, arbitrary: writing },
  {
    weight: 2,
    arbitrary: fc.constantFrom(
      'RUN ["/bin/true", "#"]',
      "RUN --mount=type=cache,target=/var/cache/x : #",
      "run : #",
    ),
  },
);

const copy = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.constantFrom(
      "COPY src /app/d#/",
      "ADD a.txt /app/d#/",
      "copy --chown=1:1 \\\n  src/ \\\n  /app/d#/",
    ),
  },
  {
    weight: 1,
    arbitrary: fc.constantFrom(
      "COPY package.json /app/m/",
      'COPY ["a.txt", "/app/d#/$SEEN/"]',
      "RUN --mount=type=bind,source=src,target=/m test -f /m/b.txt && : /app/d#/",
      "RUN --mount=type=bind,target=/m : /app/d#/",
    ),
  },
  {
    weight: 1,
    arbitrary: fc.constantFrom("ONBUILD COPY src /app/d#/", "ONBUILD ARG GIT_COMMIT_HASH", "ONBUILD RUN : #"),
  },
);

const transfer = fc.constantFrom(
  "COPY --from=@ /app /app/d#/",
  "COPY --from=@ /app/COMMIT /app/COMMIT",
  "COPY --from=@ /app/C* /app/d#/",
  "COPY --from=@ /app/keep /app/d#/",
  "RUN --mount=from=@,source=/app,target=/m test -f /m/COMMIT && : /app/d#/",
  "RUN --mount=type=bind,from=@,source=/app/keep,target=/k,rw : /app/d#/",
);

/** What a stage begins with: chance alone seldom puts together what makes a difference. */
const beginning = fc.oneof(
  { weight: 3, arbitrary: fc.constantFrom([], ["RUN : #"], ["ARG GIT_COMMIT_HASH"]) },
  { weight: 1, arbitrary: fc.constant(["ENV GIT_COMMIT_HASH=fixed", "ARG GIT_COMMIT_HASH"]) },
  { weight: 2, arbitrary: writing.map((run) => ["ARG GIT_COMMIT_HASH", run]) },
  {
    weight: 2,
    arbitrary: spelling.map((word) => ["ARG GIT_COMMIT_HASH", `ENV GIT_COMMIT_HASH=${word}`, "RUN : #"]),
  },
  {
    weight: 1,
    arbitrary: spelling.map((word) => ["ARG GIT_COMMIT_HASH", `ENV SEEN=${word} GIT_COMMIT_HASH=`]),
  },
  { weight: 2, arbitrary: fc.array(declaration, { maxLength: 3 }) },
);

const stage = fc.record({
  /** Which earlier stage it starts from, if any. */
  from: fc.option(fc.nat(), { freq: 2 }),
  before: beginning,
  steps: fc.array(
    fc.oneof(
      { weight: 2, arbitrary: declaration },
      { weight: 3, arbitrary: command },
      { weight: 2, arbitrary: copy },
      { weight: 2, arbitrary: transfer },
    ),
    { maxLength: 3 },
  ),
  /** Each stage ends with what a commit has to reach. */
  last: fc.oneof({ weight: 2, arbitrary: copy }, { weight: 1, arbitrary: transfer }),
  picks: fc.array(fc.nat(), { minLength: 4, maxLength: 4 }),
});

/** Dockerfiles of one to three stages, in all the ways in which a commit does or does not reach a COPY. */
export const generatedDockerfiles: fc.Arbitrary<GeneratedDockerfile> = fc
  .record({
    globals: fc.subarray(["ARG GIT_COMMIT_HASH=global", "ARG MADE=g-${GIT_COMMIT_HASH}"]),
    stages: fc.array(stage, { minLength: 1, maxLength: 3 }),
    indirect: fc.boolean(),
    target: fc.option(fc.nat(), { freq: 5 }),
  })
  .map(({ globals, stages, indirect, target }) => {
    let count = 0;
    const number = (text: string) =>
      text.replaceAll("#", (mark, at: number) =>
        /\n {2}$/.test(text.slice(0, at)) ? mark : `${++count}-NONCE`,
      );
    const blocks = stages.map(({ from, before, steps, last, picks }, index) => {
      const base = from === null || index === 0 ? undefined : from % index;
      const head =
        base === undefined
          ? // What a root stage begins with makes the rest of it its own: nothing comes from a build before.
            [
              `FROM ${BASE} AS s${index}`,
              "RUN mkdir /app && echo NONCE > /app/COMMIT && echo NONCE > /app/keep",
            ]
          : [`FROM ${indirect ? `\${B${index}}` : `s${base}`} AS s${index}`];
      const rest = [...before, ...steps, last].map((text, at) => {
        if (!text.includes("@")) return number(text);
        // The first stage has none to copy from.
        if (index === 0) return number("COPY src /app/d#/");
        const pick = picks[at % picks.length]! % index;
        // A COPY takes a stage's number too, a mount its name alone.
        const isNumber = text.startsWith("COPY") && at % 2 === 1;
        return number(text).replace("@", isNumber ? `${pick}` : `s${pick}`);
      });
      const argument = base !== undefined && indirect ? [`ARG B${index}=s${base}`] : [];
      return { argument, lines: [...head, ...rest] };
    });
    const text = [
      ...globals,
      ...blocks.flatMap((block) => block.argument),
      ...blocks.flatMap((block) => block.lines),
    ].join("\n");
    return {
      text: `${text}\n`,
      args: { OTHER: "given" },
      ...(target !== null && { target: `S${target % stages.length}` }),
    };
  });
