#!/usr/bin/env node
// Choose the classes and write their drawings out of Iconify's JSON packages.
//
//   npm install @iconify-json/{noto,noto-v1,twemoji,fluent-emoji-flat}
//   npm install @iconify-json/{fluent-emoji,openmoji,emojione,emojione-v1}
//   node pick.js --modules node_modules --out DIR
//
// A class is an emoji of a category in CATEGORIES that at least MIN_STYLES of
// the styles draw under the same name; classes are numbered by name. Writes
// DIR/svg/NNNN_STYLE.svg and DIR/classes.json.
'use strict';

const fs = require('fs');
const path = require('path');

const STYLES = ['noto', 'noto-v1', 'twemoji', 'fluent-emoji-flat', 'fluent-emoji',
  'openmoji', 'emojione', 'emojione-v1'];
const CATEGORIES = ['Animals & Nature', 'Food & Drink', 'Travel & Places', 'Activities', 'Objects'];
const MIN_STYLES = 6;
const NAMED_BY = 'fluent-emoji-flat'; // whose names, categories and code points are used

function options() {
  const found = { modules: 'node_modules', out: '.' };
  const words = process.argv.slice(2);
  while (words.length) {
    const name = words.shift().replace(/^--/, '');
    if (!(name in found) || !words.length) {
      const asked = name === 'help';
      (asked ? console.log : console.error)('usage: pick.js [--modules node_modules] [--out .]');
      process.exit(asked ? 0 : 2);
    }
    found[name] = words.shift();
  }
  return found;
}

const { modules, out } = options();
const read = (style, file) =>
  JSON.parse(fs.readFileSync(path.join(modules, '@iconify-json', style, file), 'utf8'));
const sets = Object.fromEntries(STYLES.map((style) => [style, read(style, 'icons.json')]));

/** The icon of a style under a name, following aliases. */
function icon(style, name) {
  const { icons, aliases = {} } = sets[style];
  return icons[name] || (aliases[name] && icon(style, aliases[name].parent));
}

/** An icon as a whole SVG file. */
function svg(style, name) {
  const drawing = icon(style, name);
  const { width = sets[style].width || 16, height = sets[style].height || 16,
    left = 0, top = 0, body } = drawing;
  return '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink"'
    + ` width="${width}" height="${height}" viewBox="${left} ${top} ${width} ${height}">${body}</svg>`;
}

const codepoint = {};
for (const [code, name] of Object.entries(read(NAMED_BY, 'chars.json'))) codepoint[name] ||= code;

const { categories } = read(NAMED_BY, 'metadata.json');
const classes = CATEGORIES
  .flatMap((cat) => (categories[cat] || []).map((n) => ({ n, cat })))
  .map(({ n, cat }) => ({ n, cat, have: STYLES.filter((s) => icon(s, n)), cp: codepoint[n] }))
  .filter(({ have }) => have.length >= MIN_STYLES)
  .sort((a, b) => (a.n < b.n ? -1 : 1));

const folder = path.join(out, 'svg');
fs.rmSync(folder, { recursive: true, force: true });
fs.mkdirSync(folder, { recursive: true });
let written = 0;
classes.forEach(({ n, have }, number) => {
  for (const style of have) {
    fs.writeFileSync(path.join(folder, `${String(number).padStart(4, '0')}_${style}.svg`), svg(style, n));
    written += 1;
  }
});
fs.writeFileSync(path.join(out, 'classes.json'), JSON.stringify(classes));
console.log(`${classes.length} classes, ${written} drawings`);
