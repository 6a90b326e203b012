/** How the page looks: on a phone and a wide screen, in light and dark, and on paper. */
export const css = `
:root{color-scheme:light dark;--bg:#fff;--ink:#1a1a1a;--dim:#515151;--line:#d3d3d3;--soft:#f5f5f5;--link:#00518a;
--good:#00604a;--mid:#7a5200;--bad:#9c2c00;--none:#515151;--focus:#00518a}
@media (prefers-color-scheme:dark){:root{--bg:#15171a;--ink:#e8e8e8;--dim:#b4b4b4;--line:#42464c;--soft:#1f2226;
--link:#86c5f4;--good:#5fd3ae;--mid:#f0bf5a;--bad:#ff9d76;--none:#b4b4b4;--focus:#86c5f4}}
*{box-sizing:border-box}
html{-webkit-text-size-adjust:100%;scroll-padding-top:1rem}
body{margin:0 auto;max-width:62rem;padding:0 1rem 3rem;background:var(--bg);color:var(--ink);
font:1rem/1.5 Inter,system-ui,"Helvetica Neue",Arial,sans-serif;overflow-wrap:anywhere}
h1{font-size:1.75rem;line-height:1.2;margin:1.5rem 0 .25rem}
h2{font-size:1.4rem;margin:2.5rem 0 .5rem;padding-top:.5rem;border-top:2px solid var(--line)}
h3{font-size:1.15rem;margin:1.75rem 0 .5rem}
h4{font-size:1rem;margin:1.25rem 0 .25rem}
main:focus{outline:none}
a{color:var(--link)}
:focus-visible{outline:3px solid var(--focus);outline-offset:2px}
.skip{position:absolute;left:-999rem}
.skip:focus{left:1rem;top:.5rem;background:var(--bg);padding:.5rem;z-index:1}
nav ul{list-style:none;display:flex;flex-wrap:wrap;gap:.25rem 1.25rem;padding:0;margin:1rem 0}
nav a{display:inline-block;padding:.25rem 0}
code{font-family:ui-monospace,SFMono-Regular,Menlo,Consolas,"DejaVu Sans Mono",monospace;font-size:.875em}
.scroll{overflow-x:auto;max-width:100%;margin:.5rem 0 1rem}
table{border-collapse:collapse;font-size:.9rem;overflow-wrap:normal}
caption{max-width:calc(100vw - 2rem);text-align:left;color:var(--dim);font-size:.9rem;padding:.25rem 0}
th,td{text-align:left;vertical-align:top;padding:.375rem .625rem;border-bottom:1px solid var(--line)}
thead th{background:var(--soft)}
tbody th{font-weight:400}
table{width:100%}
.beside{list-style:none;margin:0;padding:0}
.name{color:var(--dim)}
table.numbers{min-width:38rem}table.stages{min-width:52rem}
.effect{font-weight:600}
.judged{display:block;color:var(--dim);white-space:nowrap}
.answer{font-size:1.15rem;font-weight:600}
.digest{overflow-wrap:anywhere;display:inline-block;min-width:17rem}
.digests{font-size:.85rem;padding-left:1rem;list-style:none}
.verdict{white-space:nowrap;font-weight:600;color:var(--none)}
.verdict.reproduced,.verdict.supported{color:var(--good)}.verdict.partly,.verdict.not-supported{color:var(--mid)}
.verdict.not-reproduced,.verdict.refuted{color:var(--bad)}
.warning{color:var(--bad)}
.evidence{font-weight:600}
dl{margin:.5rem 0 1rem}
dl>div{display:grid;grid-template-columns:minmax(8rem,13rem) 1fr;gap:0 1rem;padding:.25rem 0}
dt{color:var(--dim)}
dd{margin:0;grid-column:2}
details{border-bottom:1px solid var(--line)}
summary{cursor:pointer;padding:.5rem .25rem}
.disclosed{padding:.25rem .25rem 1rem}
figure{margin:1rem 0 2rem}
.card{background:#fff;border:1px solid var(--line);border-radius:.375rem}
.card svg{display:block;width:100%;min-width:44rem;max-width:56.25rem;height:auto;margin:0 auto}
.card.narrow,.label{display:none}.note{border-left:4px solid var(--mid);padding-left:.75rem}
#live{margin-top:1rem}.curve{margin:.5rem 0 1rem}.curve .card{max-width:22rem}.curve .card svg{min-width:0}
button{font:inherit;padding:.375rem .75rem;border:1px solid var(--line);border-radius:.375rem;background:var(--soft);color:var(--ink)}
.data{font-size:.9rem}.download{display:inline-block;padding:.125rem 0;margin-right:.75rem}
footer{margin-top:3rem;color:var(--dim);font-size:.9rem}
@media (max-width:40rem){table.claims thead{position:absolute;left:-999rem}
table.claims tr{display:grid;grid-template-columns:1fr auto;border-bottom:1px solid var(--line)}
table.claims th,table.claims td{border:0;padding:.25rem .375rem}
table.claims td:nth-child(3)::before{content:"published ";color:var(--dim)}
table.claims td:nth-child(4)::before{content:"measured ";color:var(--dim)}
table.claims td:nth-child(3),table.claims td:nth-child(4){grid-column:1/-1}
.card.wide{display:none}.card.narrow{display:block}.card.narrow svg{min-width:0}
table.cells thead{position:absolute;left:-999rem}.label{display:inline;color:var(--dim)}
table.cells tr,table.cells th,table.cells td{display:block;border:0;padding:.125rem .375rem}
table.cells tr{border-bottom:1px solid var(--line);padding:.375rem 0}
h1{font-size:1.4rem}dl>div{grid-template-columns:1fr}dd{grid-column:1}}
@media print{:root{color-scheme:light;--bg:#fff;--ink:#000;--dim:#333;--line:#999;--soft:#eee;--link:#000;--good:#000;
--mid:#000;--bad:#000;--none:#000}
body{max-width:none;padding:0;font-size:9pt}nav,.skip,.download{display:none}
details::details-content{content-visibility:visible;display:block;block-size:auto}
summary{list-style:none}.scroll{overflow:visible}
table,table.numbers,table.stages{min-width:0;width:100%;font-size:7pt;overflow-wrap:anywhere}
.judged,.verdict{white-space:normal}.digest{min-width:0}
.card{border:0}.card svg{min-width:0}
tr,figure{break-inside:avoid}thead{display:table-header-group}h2,h3,h4{break-after:avoid}}
`
