import { posix } from "node:path";

/** Folders that hold tests, examples and what they need: nothing of them is deployed. */
const OTHER_FOLDERS =
  /(^|\/)(tests?|__tests__|spec|specs|e2e|fixtures?|__fixtures__|testdata|test-data|test_data|testing|examples?|samples?|demos?|docs?|documentation|benchmarks?|playground|cookbook|tutorials?|vendor|vendored|third[_-]party|node_modules|\.?devcontainer[\w-]*|cypress|playwright|\.gitpod|\.vscode)\//i;
/** Names of templates, and folders whose name is one. */
const TEMPLATE =
  /\.(eex|erb|j2|jinja2?|tmpl|tpl|mustache|hbs|handlebars|liquid|ejs|njk|in|orig|bak|swp|dist|sample|example|md|mdx|txt|rst|adoc)$|\{\{|\{%|<%|__\w+__\/|(^|\/)(cookiecutter|copier|skeletons?|scaffolds?|boilerplates?|stubs|generators?)\//i;
/** Lines that only a template has. */
const TEMPLATE_LINES = /^[ \t]*(\{\{|\{%|\{#|<%|#[ \t]*(if|for|end)[ \t]*\()|^FROM[ \t]+\{\{/m;
const DEVELOPMENT =
  /(^|[./_-])(dev|devel|devcontainer|development|local|localhost|override|overrides|test|tests|testing|ci|debug|e2e|integration|bench|benchmark)([./_-]|$)/i;

/** Whether a file is part of tests, examples or of what others made: left out unless asked for. */
export const isLeftOut = (path: string) => OTHER_FOLDERS.test(path);

/** Whether a file is a template of another file, which only its program can read. */
export function isTemplate(path: string, text = ""): boolean {
  if (/\.conf\.(template|tmpl)$/.test(path)) return false;
  return TEMPLATE.test(path) || /\.template$/.test(path) || TEMPLATE_LINES.test(text);
}

/** Files that are for development or tests, by their own name or that of the folder they are in. */
export function isForDevelopment(path: string): boolean {
  // A pipeline's name says when it runs, not where its images go.
  if (/(^|\/)(\.(github|gitea|forgejo|circleci|woodpecker|buildkite|semaphore)\/|\.?gitlab-ci)/.test(path))
    return false;
  const folder = posix.basename(posix.dirname(path));
  return (
    DEVELOPMENT.test(posix.basename(path)) ||
    /^\.?(dev|devel|development|local|tests?|testing|ci|e2e|debug|devcontainer)$/i.test(folder) ||
    /(^|\/)\.devcontainer\//.test(path)
  );
}
