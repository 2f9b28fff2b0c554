/** A server, and the files that it writes while it starts or serves. */
export interface ServerFiles {
  readonly server: string;
  /** Matches a word of a command line of the container's processes. */
  readonly runs: RegExp;
  readonly files: RegExp;
  /** Documentation of these files. */
  readonly source: string;
}

/** Files that servers write. None is code. A service declares other files in its `caches`. */
export const SERVER_FILES: readonly ServerFiles[] = [
  {
    server: "caddy",
    runs: /(^|\/)caddy$/,
    files: /^\/(config|data)(\/caddy(\/.*)?)?$/,
    source: "https://caddyserver.com/docs/conventions#file-locations",
  },
  {
    server: "nginx",
    runs: /(^|\/)nginx:?$/,
    files: /^\/var\/lib\/nginx(\/(body|fastcgi|proxy|scgi|uwsgi|tmp|logs)(\/.*)?)?$/,
    source: "nginx -V of Debian's and Alpine's packages: --http-client-body-temp-path and the like",
  },
  {
    server: "nginx",
    runs: /(^|\/)docker-entrypoint\.sh$/,
    files: /^\/etc\/nginx\/conf\.d(\/default\.conf)?$/,
    source: "https://github.com/nginx/docker-nginx/blob/master/entrypoint/10-listen-on-ipv6-by-default.sh",
  },
  {
    server: "apache",
    runs: /(^|\/)(apache2|httpd)(-foreground)?$/,
    files: /^\/usr\/local\/apache2\/logs(\/(httpd\.pid|cgisock[.\d]*|\w+_log))?$/,
    source: "https://httpd.apache.org/docs/2.4/mod/mpm_common.html#pidfile",
  },
  {
    server: "php-fpm",
    runs: /(^|\/)php-fpm[\d.]*:?$/,
    files: /^\/usr\/local\/var(\/(run|log)(\/php-fpm\.(pid|log|sock))?)?$/,
    source: "https://www.php.net/manual/en/install.fpm.configuration.php",
  },
  {
    server: "php",
    // Apache runs PHP as a module of its own processes.
    runs: /(^|\/)((apache2|httpd)(-foreground)?|php(-fpm)?[\d.]*:?)$/,
    files: /^\/var\/lib\/php(\/sessions(\/sess_[\w,-]+)?)?$/,
    source: "https://www.php.net/manual/en/session.configuration.php#ini.session.save-path",
  },
  {
    server: "gunicorn",
    runs: /(^|\/)gunicorn:?$/,
    files: /\/(\.gunicorn(\/[\w.-]+)?|gunicorn\.(ctl|pid|sock))$/,
    source: "https://docs.gunicorn.org/en/stable/settings.html",
  },
  {
    server: "puma",
    runs: /(^|\/)(puma|rails)$/,
    files: /\/(tmp(\/(pids|sockets|cache)(\/.*)?)?|log\/\w+\.log)$/,
    source: "https://guides.rubyonrails.org/configuring.html",
  },
  {
    server: "next",
    runs: /(^|\/)(next|next-server|server\.js)$/,
    files: /\/\.next\/(server\/(app|pages)\/.*\.(html|rsc|meta|body)|trace)$/,
    source: "https://nextjs.org/docs/app/guides/incremental-static-regeneration",
  },
];

/** Files that a server could run, whoever wrote them. */
const CODE =
  /\.(c?js|mjs|jsx|tsx?|py|pyc|php|phtml|rb|go|java|class|jar|war|so|wasm|sh|pl|lua|exe|dll|ex|exs|beam)$/i;

/** Whether a file may be code. No server writes code by itself. */
export function isCode(path: string): boolean {
  return CODE.test(path);
}

/** Whether a known server writes this file. */
export function isServerFile(path: string): boolean {
  return !isCode(path) && SERVER_FILES.some(({ files }) => files.test(path));
}

/** Whether a server that runs in the container writes this file. */
export function isWrittenByServer(path: string, commands: readonly string[]): boolean {
  if (isCode(path)) return false;
  const words = commands.flatMap((command) => command.split(/\s+/));
  return SERVER_FILES.some(({ files, runs }) => files.test(path) && words.some((word) => runs.test(word)));
}

/** Folders that contain files, without duplicates and nested folders, as the value of `caches`. */
export function foldersOf(paths: readonly string[]): string[] {
  const folders = [...new Set(paths.map((path) => path.replace(/\/[^/]*$/, "") || path))].sort();
  return folders.filter((each) => !folders.some((other) => each !== other && each.startsWith(`${other}/`)));
}
