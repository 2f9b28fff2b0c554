import type * as typescript from "typescript";
import type { Finding } from "./finding";
import { isLong } from "./lifetime";
import type { RuleName } from "./rules";

export const isNextConfig = (path: string) => /(^|\/)next\.config\.[cm]?[jt]s$/.test(path);

/** Sources of `headers()` that match pages, not only static files. */
const PAGES = /^\/(\(\.\*\)|:\w+\*?(\(\.\*\))?|\(\(\?!.*\)\.\*\)|:\w+\(\(\?!.*\)\.\*\))?$/;

/** Loaded on demand: the compiler takes a quarter of a second to load, and few repositories need it. */
export function compiler(): typeof typescript {
  return require("typescript");
}

/** Finds settings of a Next.js configuration that keep old pages. */
export function nextFindings(path: string, text: string): Finding[] {
  const ts = compiler();
  const file = ts.createSourceFile(path, text, ts.ScriptTarget.Latest, true);
  const findings: Finding[] = [];
  const add = (
    node: typescript.Node,
    rule: RuleName,
    severity: Finding["severity"],
    why: string,
    fix: string,
  ) =>
    findings.push({
      rule,
      severity,
      path,
      line: file.getLineAndCharacterOfPosition(node.getStart(file)).line + 1,
      why,
      found: node.getText(file).replace(/\s+/g, " ").slice(0, 120),
      fix,
    });
  const visit = (node: typescript.Node): void => {
    if (isNamed(ts, node, "generateBuildId") && isConstantId(ts, node))
      add(
        node,
        "constant-build-id",
        "warning",
        "the build id is the same for every commit: where a browser or a proxy has kept data and pages under it, they are taken for those of the new build",
        "Return the commit: generateBuildId: () => process.env.GIT_COMMIT_HASH, or leave it out.",
      );
    if (ts.isObjectLiteralExpression(node)) {
      const source = stringOf(ts, property(ts, node, "source"));
      const headers = property(ts, node, "headers");
      if (source !== undefined && PAGES.test(source) && headers && ts.isArrayLiteralExpression(headers))
        for (const header of headers.elements.filter(ts.isObjectLiteralExpression)) {
          const key = stringOf(ts, property(ts, header, "key"));
          const value = stringOf(ts, property(ts, header, "value"));
          if (key?.toLowerCase() === "cache-control" && value !== undefined && isLong(value))
            add(
              header,
              "pages-cached",
              isLong(value.replace(/s-maxage\s*=\s*\d+/gi, "")) ? "error" : "warning",
              isLong(value.replace(/s-maxage\s*=\s*\d+/gi, ""))
                ? `browsers may show the pages that match ${source} for that long without asking, whatever is deployed`
                : `if a proxy or a CDN lies in between, it may answer with the pages that match ${source} that it has kept`,
              'Send pages with "no-cache", and a long lifetime only for /_next/static/, whose names change with their content.',
            );
        }
    }
    ts.forEachChild(node, visit);
  };
  visit(file);
  return findings;
}

type Module = typeof typescript;

function isNamed(
  ts: Module,
  node: typescript.Node,
  name: string,
): node is typescript.MethodDeclaration | typescript.PropertyAssignment | typescript.FunctionDeclaration {
  return (
    (ts.isMethodDeclaration(node) || ts.isPropertyAssignment(node) || ts.isFunctionDeclaration(node)) &&
    node.name?.getText() === name
  );
}

/** Whether every return value is the same for each commit. */
function isConstantId(
  ts: Module,
  node: typescript.MethodDeclaration | typescript.PropertyAssignment | typescript.FunctionDeclaration,
): boolean {
  const body = ts.isPropertyAssignment(node) ? node.initializer : node.body;
  if (!body) return false;
  const inner = ts.isArrowFunction(body) || ts.isFunctionExpression(body) ? body.body : body;
  const returned: typescript.Expression[] = [];
  if (ts.isBlock(inner)) {
    const visit = (each: typescript.Node): void => {
      if (ts.isReturnStatement(each) && each.expression) returned.push(each.expression);
      if (!ts.isFunctionLike(each)) ts.forEachChild(each, visit);
    };
    visit(inner);
  } else if (!ts.isIdentifier(inner)) returned.push(inner as typescript.Expression);
  return returned.length > 0 && returned.every((value) => isConstant(ts, value));
}

function isConstant(ts: Module, value: typescript.Expression): boolean {
  if (ts.isParenthesizedExpression(value) || ts.isAwaitExpression(value))
    return isConstant(ts, value.expression);
  if (ts.isStringLiteral(value) || ts.isNoSubstitutionTemplateLiteral(value) || ts.isNumericLiteral(value))
    return true;
  if (ts.isTemplateExpression(value))
    return value.templateSpans.every(({ expression }) => isConstant(ts, expression));
  if (ts.isBinaryExpression(value)) return isConstant(ts, value.left) && isConstant(ts, value.right);
  const text = value.getText();
  if (/^process\.env\.npm_package_version$/.test(text)) return true;
  // The version in package.json changes with releases, not with commits.
  return (
    ts.isPropertyAccessExpression(value) &&
    value.name.text === "version" &&
    /pkg|package|require|manifest/i.test(text)
  );
}

function property(
  ts: Module,
  object: typescript.ObjectLiteralExpression,
  name: string,
): typescript.Expression | undefined {
  const found = object.properties.find(
    (each): each is typescript.PropertyAssignment =>
      ts.isPropertyAssignment(each) && each.name.getText().replace(/['"]/g, "") === name,
  );
  return found?.initializer;
}

function stringOf(ts: Module, node: typescript.Node | undefined): string | undefined {
  return node && ts.isStringLiteralLike(node) ? node.text : undefined;
}
