/** Files that the browser saves. */

/** The time until the address of a saved file is released, in milliseconds. */
const RELEASE_MS = 60_000;

/**
 * @param {string} name
 * @param {string} type Such as `application/x-pem-file`.
 * @param {BlobPart[]} parts
 */
export function download(name, type, parts) {
  const url = URL.createObjectURL(new Blob(parts, { type }));
  const link = document.createElement('a');
  link.href = url;
  link.download = fileName(name);
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), RELEASE_MS);
}

/**
 * Returns a name that every system accepts, made of a name that may come from a certificate.
 * @param {string} name
 */
export function fileName(name) {
  const safe = name.replace(/[^\p{L}\p{N}._-]+/gu, '-').replace(/^[.-]+/, '').slice(0, 100);
  return safe || 'download';
}
