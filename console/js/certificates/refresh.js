/** Calls a function at most once in a time, however many changes the stream has. */

/** The shortest time between two looks at the server because of changes, in milliseconds. */
const REFRESH_MS = 1_000;

/**
 * @param {import('../page.js').View} view
 * @param {() => void} refresh
 */
export function onChanges({ live, signal }, refresh) {
  let next = 0;
  let isPlanned = false;
  const run = () => {
    isPlanned = false;
    next = performance.now() + REFRESH_MS;
    if (!signal.aborted) {
      refresh();
    }
  };
  live.subscribe(
    'refresh',
    () => {
      if (!isPlanned) {
        isPlanned = true;
        setTimeout(run, Math.max(0, next - performance.now()));
      }
    },
    signal,
  );
}
