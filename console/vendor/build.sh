#!/bin/sh
# Makes lit-html.js and lit-html.LICENSE from the packages that package-lock.json pins. Run it again
# after a change of package.json, and commit the result: cargo needs neither Node nor a network.
set -eu
cd "$(dirname "$0")"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cp package.json package-lock.json "$work"
npm ci --prefix "$work" --ignore-scripts --no-audit --no-fund >&2
cat > "$work/entry.mjs" <<'ENTRY'
export { html, nothing, render, svg } from 'lit-html';
export { live } from 'lit-html/directives/live.js';
export { ref } from 'lit-html/directives/ref.js';
export { repeat } from 'lit-html/directives/repeat.js';
ENTRY
(cd "$work" && node_modules/.bin/esbuild entry.mjs --bundle --format=esm --minify \
    --target=es2022 --legal-comments=none --log-level=warning \
    --banner:js='// lit-html 3.3.3, Copyright 2017 Google LLC, BSD-3-Clause: lit-html.LICENSE' \
    --outfile=lit-html.js)
cp "$work/lit-html.js" lit-html.js
cp "$work/node_modules/lit-html/LICENSE" lit-html.LICENSE
