#!/bin/sh
# Makes lit-html.js, qr.js and their licences from the packages that package-lock.json pins. Run it
# again after a change of package.json, and commit the result: cargo needs neither Node nor a network.
set -eu
cd "$(dirname "$0")"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cp package.json package-lock.json "$work"
npm ci --prefix "$work" --ignore-scripts --no-audit --no-fund >&2

# bundle NAME BANNER: makes NAME.js and NAME.LICENSE from the module on standard input.
bundle() {
    cat > "$work/entry.mjs"
    (cd "$work" && node_modules/.bin/esbuild entry.mjs --bundle --format=esm --minify \
        --target=es2022 --legal-comments=none --log-level=warning \
        --banner:js="// $2: $1.LICENSE" --outfile="$1.js")
    cp "$work/$1.js" "$1.js"
}

bundle lit-html 'lit-html 3.3.3, Copyright 2017 Google LLC, BSD-3-Clause' <<'ENTRY'
export { html, nothing, render, svg } from 'lit-html';
export { keyed } from 'lit-html/directives/keyed.js';
export { live } from 'lit-html/directives/live.js';
export { ref } from 'lit-html/directives/ref.js';
export { repeat } from 'lit-html/directives/repeat.js';
ENTRY
cp "$work/node_modules/lit-html/LICENSE" lit-html.LICENSE

bundle qr 'qr 0.7.0, Copyright 2023 Paul Miller, MIT' <<'ENTRY'
export { encodeQR } from 'qr';
ENTRY
cp "$work/node_modules/qr/LICENSE-MIT" qr.LICENSE
