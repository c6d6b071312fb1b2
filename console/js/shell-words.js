// Command lines for a POSIX shell.

/**
 * Quotes a word, so that a shell passes it unchanged. Control characters are not typed into a
 * terminal: they become escapes of `$'…'`.
 * @param {string} word
 * @returns {string}
 */
export function quoted(word) {
  if (/^[A-Za-z0-9_@%+=:,./-]+$/.test(word)) {
    return word;
  }
  // Bidirectional controls and other format characters make a line look like another one.
  if (/[\p{Cc}\p{Cf}\u2028\u2029]/u.test(word)) {
    const escaped = word
      .replace(/[\\']/g, '\\$&')
      .replace(/[\p{Cc}\p{Cf}\u2028\u2029]/gu, (letter) =>
        Array.from(
          new TextEncoder().encode(letter),
          (octet) => `\\x${octet.toString(16).padStart(2, '0')}`,
        ).join(''),
      );
    return `$'${escaped}'`;
  }
  return `'${word.replaceAll("'", "'\\''")}'`;
}

/**
 * Writes a command line. A word that begins with `-` and is an operand needs `--` before it: pass
 * that as a word.
 * @param {(string | undefined | false)[]} words absent words are left out
 * @returns {string}
 */
export function commandLine(...words) {
  return words
    .filter((word) => typeof word === 'string')
    .map((word) => quoted(/** @type {string} */ (word)))
    .join(' ');
}
