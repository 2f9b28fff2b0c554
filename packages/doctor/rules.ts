/** The description of a rule. Findings, documentation and SARIF all come from this table. */
export interface Rule {
  /** `FRESH001`: stable. */
  readonly code: string;
  readonly name: string;
  /** The levels at which it reports, most severe first. */
  readonly levels: string;
  /** What it finds, in one line. */
  readonly title: string;
  /** Why that serves stale code, as measured. */
  readonly why: string;
  /** How to reproduce it. */
  readonly reproduce: string;
  readonly fix: string;
  /** When to ignore it. */
  readonly ignore: string;
}

const TABLE = {
  "commit-not-proven": {
    code: "FRESH001",
    levels: "note",
    title: "Nothing ties the layers of an image to the commit that they were built from",
    why: "BuildKit's cache key of a COPY holds the files and no ARG. A commit hash in a build argument alone rebuilds nothing; a RUN or an inline file that expands the argument before the COPY rebuilds the COPY and all that follows. Without it equal files come from the cache, which is right in most builds, but nothing in the image says which commit it holds.",
    reproduce:
      "docker build -t a . && git commit --allow-empty -m x && docker build -t a . shows CACHED for every step, and the image names no commit.",
    fix: "Pass the commit as a build argument, expand it before the first COPY of sources, and answer it at a version path.",
    ignore: "Ignore it where you do not have to prove which commit is served.",
  },
  "cache-from": {
    code: "FRESH002",
    levels: "error, warning",
    title: "A build imports layers of an earlier build",
    why: "`docker builder prune -af` does not reach an imported cache. What a RUN fetched then (git, curl, packages without a lockfile) is taken again. It is an error where the builder keeps layers and no commit is in the cache keys, otherwise a warning.",
    reproduce:
      "Build with cache-to and a `RUN curl` of a page, change the page, prune, build with cache-from: the step is CACHED.",
    fix: "Remove cache-from, or pass the commit to a step before the sources.",
    ignore: "Ignore it where every RUN depends on files of the repository and lockfiles alone.",
  },
  "inline-cache": {
    code: "FRESH003",
    levels: "error, warning",
    title: "An image carries its own layer cache",
    why: "BUILDKIT_INLINE_CACHE writes cache records into the image. A tagged image's records survive `docker builder prune -f`, and the next build that names the image takes its layers.",
    reproduce:
      "Build with BUILDKIT_INLINE_CACHE=1, push, prune, build with the image in cache_from: all steps are CACHED.",
    fix: "Remove BUILDKIT_INLINE_CACHE.",
    ignore: "Ignore it if no build imports the image.",
  },
  "cache-to": {
    code: "FRESH004",
    levels: "warning",
    title: "A build exports its layers for later builds",
    why: "Exported layers outlive every prune. They become stale when a later build imports them (cache-from).",
    reproduce: "See cache-from.",
    fix: "Remove cache-to, or import it only in builds that are not deployed.",
    ignore: "Ignore it where only pull requests import the cache.",
  },
  "cache-mount": {
    code: "FRESH005",
    levels: "error, warning",
    title: "A cache mount lies over sources or build output",
    why: "A cache mount outlives the build. What an earlier commit left in it is part of the next build: deleted files come back, incremental builds keep old results. A warning for tools that check what they find there: cargo by time, bundlers by content.",
    reproduce:
      "RUN --mount=type=cache,target=/app/dist tsc && cp -r dist /out: delete a source file, rebuild; its output is still in the image.",
    fix: "Mount caches over folders of package managers only (/root/.npm, /root/.cache/pip, /go/pkg/mod).",
    ignore: "Ignore it where the build deletes the folder's content first.",
  },
  "prune-swallowed": {
    code: "FRESH006",
    levels: "error, warning",
    title: "A failed prune of the build cache goes unnoticed",
    why: "With Docker 23 and later `docker builder` is buildx's: with the plugin missing the prune fails (`buildx component is missing`), `|| true` hides it, and the build takes the layers that were to be removed.",
    reproduce:
      "Run the script with a docker client without buildx: the prune fails and the build says CACHED.",
    fix: "Let the failure end the script: `set -euo pipefail`, and nothing behind the prune that hides its status.",
    ignore: "Ignore it where the prune only makes room on the disk.",
  },
  "prune-after-build": {
    code: "FRESH007",
    levels: "warning",
    title: "The build cache is pruned after the build",
    why: "The build has already taken from the cache what it found there.",
    reproduce: "Build, prune, and look at the build's log: CACHED.",
    fix: "Move the prune before the build.",
    ignore: "Ignore it where the prune only makes room on the disk.",
  },
  "prune-keeps-tagged": {
    code: "FRESH008",
    levels: "warning",
    title: "The prune keeps the layers that a build takes",
    why: "`docker builder prune -f` removes neither the records that a tagged image holds nor those of a dangling image: the same commit is 100 % CACHED after it. It does remove cache mounts.",
    reproduce:
      "docker build -t a . && docker builder prune -f && docker build -t a . says CACHED for all steps.",
    fix: "Use `docker builder prune -af`, or let the commit reach the COPY of the sources.",
    ignore: "Ignore it where the prune only makes room on the disk.",
  },
  "pull-swallowed": {
    code: "FRESH009",
    levels: "error, warning",
    title: "A deploy goes on after `git pull` failed",
    why: "The script builds and starts the files of the earlier commit, and exits 0.",
    reproduce: "Change a tracked file on the server so that the pull conflicts, and run the script.",
    fix: "`set -euo pipefail`, and nothing behind the pull that hides its status.",
    ignore: "Ignore it where the script checks the commit afterwards.",
  },
  "build-failure-swallowed": {
    code: "FRESH010",
    levels: "error, warning",
    title: "A failed build does not fail the image or the deploy",
    why: "In a Dockerfile the image holds what was there before: output that came along in the COPY, or of an earlier stage. In a script the deploy goes on and starts the image of an earlier commit.",
    reproduce: "Break the build on purpose: `docker build` exits 0 and the image holds the old output.",
    fix: "Remove what hides the failure (`|| true`, `; exit 0`).",
    ignore: "Ignore it where the step is optional and its output is not served.",
  },
  "up-without-build": {
    code: "FRESH011",
    levels: "error",
    title: "Sources are pulled, and no image is built from them",
    why: "`docker compose up` without `--build` starts the image that exists.",
    reproduce: "git pull && docker compose up -d after a commit: the container's image ID is the old one.",
    fix: "`docker compose up -d --build`.",
    ignore: "Ignore it where another job builds before.",
  },
  "up-keeps-container": {
    code: "FRESH012",
    levels: "error",
    title: "Containers of the old image keep running",
    why: "`--no-recreate` leaves a container alone although its image has changed. Plain `up` recreates it.",
    reproduce: "docker compose build && docker compose up -d --no-recreate, then docker compose images.",
    fix: "Remove `--no-recreate`.",
    ignore: "Ignore it for services that are not built from the repository.",
  },
  "restart-keeps-image": {
    code: "FRESH013",
    levels: "error, warning",
    title: "A restart is used to deploy",
    why: "A restarted container is the same container with the image that it was created from.",
    reproduce: "docker compose build && docker compose restart: the container's image ID is the old one.",
    fix: "`docker compose up -d` (recreates what has another image).",
    ignore: "Ignore it where the code is mounted and not built in.",
  },
  "image-not-pulled": {
    code: "FRESH014",
    levels: "warning",
    title: "An image of the app is named by a tag that moves, and nothing pulls it",
    why: "An engine or a node that has an image of this name does not ask the registry again.",
    reproduce: "Push a new image under the same tag, run the deploy: the image ID is the old one.",
    fix: "Name the image by digest or by a tag of its commit, or pull it: `pull_policy: always`, `--pull always`, `imagePullPolicy: Always`.",
    ignore: "Ignore it where something outside the repository pulls.",
  },
  "base-not-pulled": {
    code: "FRESH015",
    levels: "warning",
    title: "An image is built on a moving image of one's own, and the build does not pull it",
    why: "Without `--pull` a build takes the base image that the engine has under this name.",
    reproduce: "Push a new base image, build the app: the old base's files are in it.",
    fix: "`docker build --pull`, `pull: true`, or the base's digest.",
    ignore: "Ignore it where the base is built in the same job.",
  },
  "volume-over-image": {
    code: "FRESH016",
    levels: "error, warning",
    title: "A volume lies over files that the image brings",
    why: "Docker fills a new volume from the first image. Later images' files at that path are hidden by it. `docker compose up` keeps anonymous volumes when it recreates a container.",
    reproduce: "Start with a volume over /app/static, deploy a changed file in it: the old file is served.",
    fix: "Remove the volume, or copy the files into it at each start.",
    ignore: "Ignore it where something outside the repository refreshes the volume.",
  },
  "mount-over-image": {
    code: "FRESH017",
    levels: "warning",
    title: "A folder of the machine lies over files that the image brings",
    why: "The container serves the folder's files. A new image changes nothing until the folder changes.",
    reproduce: "Deploy a new image without git pull on the server: the old files are served.",
    fix: "Remove the mount, or keep it in a compose file or profile for development.",
    ignore: "Ignore it for development, or where the folder is the deployment.",
  },
  "source-past-context": {
    code: "FRESH018",
    levels: "error, warning",
    title: "A build fetches source that the cache key does not hold",
    why: "The key of `RUN git clone …` is its text. While the layer is cached, what was cloned first is served.",
    reproduce: "Build, push a commit to the cloned branch, build again: CACHED.",
    fix: "COPY the sources, or pin a commit, a tag or a checksum.",
    ignore: "Ignore it for a tool whose version does not matter.",
  },
  "output-from-outside": {
    code: "FRESH019",
    levels: "warning",
    title: "Build output is copied from the working tree",
    why: "The image holds what was last built on the machine, whichever commit that was.",
    reproduce: "Change a source, build the image without building the app first: the old output is in it.",
    fix: "Build in a stage of the Dockerfile, or build in the same job right before, into an empty folder.",
    ignore: "Ignore it where a clean CI job builds the output just before.",
  },
  "ignored-too-little": {
    code: "FRESH020",
    levels: "warning",
    title: "A COPY takes along what an earlier build left in the folder",
    why: "Bytecode, .next, node_modules, dist of the working tree end up in the image, over or beside what the image builds.",
    reproduce: "Build the app in the folder, switch to another commit, build the image: old output is in it.",
    fix: "Name the folder in .dockerignore.",
    ignore: "Ignore it where images are built from clean checkouts only.",
  },
  "build-cache-restored": {
    code: "FRESH021",
    levels: "error, warning",
    title: "CI restores build output or a framework's build cache of an earlier commit",
    why: "Next.js has served old routes from a poisoned .next/cache after a rebuild.",
    reproduce:
      "Restore .next/cache under a key without the commit, change data that a page is generated from, build.",
    fix: "Cache the package manager's downloads only, or delete the output before the build.",
    ignore: "Ignore it for jobs that only test.",
  },
  "pages-cached": {
    code: "FRESH022",
    levels: "error, warning",
    title: "Browsers or proxies may keep pages",
    why: "A page with `max-age`, `Expires` or `immutable` is shown without asking the server until it expires, whatever is deployed. A file with its content in its name may be kept; a page may not.",
    reproduce: "Open the page, deploy, open it again: no request is made.",
    fix: "Send pages with `Cache-Control: no-cache`, and a long lifetime only for files with a content hash in their name.",
    ignore: "Ignore it where the matched paths are hashed files only.",
  },
  "worker-serves-pages": {
    code: "FRESH023",
    levels: "error, warning",
    title: "A service worker answers navigations from its cache",
    why: "An open browser gets the page of the earlier deploy until the new worker has taken over.",
    reproduce: "Open the page, deploy, reload: the old page is shown.",
    fix: "Answer navigations from the network first; let a new worker take over at once.",
    ignore: "Ignore it for apps that must work offline and tell users about updates.",
  },
  "worker-kept": {
    code: "FRESH024",
    levels: "warning",
    title: "The script of a service worker may be kept by browsers or proxies",
    why: "An old worker decides what is served. Browsers cap its HTTP cache at 24 hours; proxies do not.",
    reproduce:
      "Serve sw.js with max-age=31536000 through a CDN, deploy: the CDN answers with the old worker.",
    fix: "Send the worker's script with `Cache-Control: no-cache`.",
    ignore: "Ignore it without a proxy in between.",
  },
  "constant-build-id": {
    code: "FRESH025",
    levels: "warning",
    title: "Next.js has the same build id for every commit",
    why: "Under one build id browsers and proxies take data files and prerendered pages of the earlier build for the new one's.",
    reproduce:
      "Return a constant from generateBuildId, deploy twice behind a CDN: /_next/data of the first is served.",
    fix: "Return the commit, or leave generateBuildId out.",
    ignore: "Ignore it without a caching proxy, if pages are rendered per request.",
  },
  "bytecode-tracked": {
    code: "FRESH026",
    levels: "warning",
    title: "Python bytecode is part of the repository",
    why: "Python runs a .pyc without its source, and one whose recorded time and size equal the source's.",
    reproduce: "Rename a module and keep its .pyc beside the source: the import still works.",
    fix: "git rm --cached, and ignore __pycache__/ and *.pyc.",
    ignore: "Ignore it for test data.",
  },
  "clears-not-docker": {
    code: "FRESH027",
    levels: "warning",
    title: "A script that clears caches leaves Docker's build cache",
    why: "The next image is built from the cached layers, which hold the old files.",
    reproduce: "Run the script, build: CACHED.",
    fix: "Prune the build cache as well: docker builder prune -af.",
    ignore: "Ignore it where the script is for development.",
  },
  "artifact-kept": {
    code: "FRESH028",
    levels: "warning",
    title: "A deploy copies files and leaves the deleted ones, or restarts nothing",
    why: "Files that a commit deletes or renames stay on the server and are served.",
    reproduce: "Delete a page, deploy: the page is still there.",
    fix: "rsync --delete, or copy into a new folder and switch a link.",
    ignore: "Ignore it where old hashed assets are kept on purpose.",
  },
} as const satisfies Record<string, Omit<Rule, "name">>;

export type RuleName = keyof typeof TABLE;

/** All rules, by code. */
export const RULES: readonly Rule[] = Object.entries(TABLE).map(([name, rule]) => ({ name, ...rule }));

export function ruleNamed(name: RuleName): Rule {
  return { name, ...TABLE[name] };
}

/** The rules that a name or a code matches; empty if none. */
export function rulesMeant(text: string): RuleName[] {
  return RULES.filter(({ code, name }) => code === text.toUpperCase() || name === text).map(
    ({ name }) => name as RuleName,
  );
}
