/** Light and dark as the reader's system prefers; colours have a contrast of at least 4.5 to 1. */
export const STYLE = `
:root {
  --ground: #fbfbfa; --ink: #1d1f23; --soft: #5a606b; --line: #dcdee2; --bar: #4a6fa5;
  --good: #14652f; --good-ground: #e3f4e8; --bad: #a11b1b; --bad-ground: #fde8e7;
}
@media (prefers-color-scheme: dark) {
  :root {
    --ground: #17191d; --ink: #e8e9ec; --soft: #a6acb8; --line: #363a42; --bar: #86aee6;
    --good: #7fd89b; --good-ground: #173022; --bad: #ff9d96; --bad-ground: #3b1c1c;
  }
}
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 64rem; padding: 2rem 1rem 4rem; background: var(--ground); color: var(--ink);
  font: 1rem/1.5 system-ui, sans-serif; overflow-wrap: anywhere; }
h1 { margin: 0; font-size: 2rem; }
h2 { margin: 2.5rem 0 .5rem; font-size: 1.25rem; }
a { color: inherit; }
code { font: .9em ui-monospace, monospace; }
.banner { padding: .75rem 1rem; border-left: .3rem solid; border-radius: .25rem; }
.banner.proven { color: var(--good); background: var(--good-ground); }
.banner.broken { color: var(--bad); background: var(--bad-ground); }
table { width: 100%; border-collapse: collapse; }
th, td { padding: .35rem .75rem .35rem 0; border-bottom: 1px solid var(--line); text-align: left; vertical-align: top;
  font-weight: normal; }
thead th { color: var(--soft); font-size: .85rem; }
tbody th { white-space: nowrap; }
td.proven { color: var(--good); white-space: nowrap; }
td.broken { color: var(--bad); font-weight: bold; white-space: nowrap; }
td.not-checked { color: var(--soft); white-space: nowrap; }
tbody th, td.proven, td.broken, td.not-checked { width: 9rem; }
.number { width: 7rem; font-variant-numeric: tabular-nums; white-space: nowrap; text-align: right; }
summary { cursor: pointer; }
:focus-visible { outline: .15rem solid var(--bar); outline-offset: .15rem; }
dl { margin: .5rem 0; display: grid; grid-template-columns: max-content 1fr; gap: .15rem .75rem; color: var(--soft); }
dd { margin: 0; }
.bar { display: block; width: 100%; min-width: 5rem; height: .75rem; margin-top: .4rem; fill: var(--bar); }
.unseen { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }
@media (max-width: 40rem) { th, td { padding-right: .5rem; } .bar { min-width: 2rem; } }
`;
