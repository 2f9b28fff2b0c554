import { posix } from "node:path";

/** Folders for tests and examples, which are not deployed. */
const OTHER_FOLDERS =
  /(^|\/)(tests?|__tests__|spec|specs|e2e|fixtures?|__fixtures__|testdata|test-data|test_data|testing|examples?|samples?|demos?|docs?|documentation|benchmarks?|playground|cookbook|tutorials?|vendor|vendored|third[_-]party|node_modules|\.?devcontainer[\w-]*|cypress|playwright|\.gitpod|\.vscode)\//i;
/** Names of templates, and template folders. */
const TEMPLATE =
  /\.(eex|erb|j2|jinja2?|tmpl|tpl|mustache|hbs|handlebars|liquid|ejs|njk|in|orig|bak|swp|dist|sample|example|md|mdx|txt|rst|adoc)$|\{\{|\{%|<%|__\w+__\/|(^|\/)(cookiecutter|copier|skeletons?|scaffolds?|boilerplates?|stubs|generators?)\//i;
/** Lines that only occur in templates. */
const TEMPLATE_LINES = /^[ \t]*(\{\{|\{%|\{#|<%|#[ \t]*(if|for|end)[ \t]*\()|^FROM[ \t]+\{\{/m;
const DEVELOPMENT =
  /(^|[./_-])(dev|devel|devcontainer|development|local|localhost|override|overrides|test|tests|testing|ci|debug|e2e|integration|bench|benchmark)([./_-]|$)/i;

/** Whether a file belongs to tests, examples or third-party code, which are left out by default. */
export const isLeftOut = (path: string) => OTHER_FOLDERS.test(path);

/** Whether a file is a template, which only its own program can read. */
export function isTemplate(path: string, text = ""): boolean {
  if (/\.conf\.(template|tmpl)$/.test(path)) return false;
  return TEMPLATE.test(path) || /\.template$/.test(path) || TEMPLATE_LINES.test(text);
}

/** Whether a file is for development or tests, by its name or its folder's name. */
export function isForDevelopment(path: string): boolean {
  // A pipeline's name tells when it runs, not where its images are deployed.
  if (/(^|\/)(\.(github|gitea|forgejo|circleci|woodpecker|buildkite|semaphore)\/|\.?gitlab-ci)/.test(path))
    return false;
  const folder = posix.basename(posix.dirname(path));
  return (
    DEVELOPMENT.test(posix.basename(path)) ||
    /^\.?(dev|devel|development|local|tests?|testing|ci|e2e|debug|devcontainer)$/i.test(folder) ||
    /(^|\/)\.devcontainer\//.test(path)
  );
}
