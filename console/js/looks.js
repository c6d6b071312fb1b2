/** Looks at data that no stream announces. */

/** The time between two looks, in milliseconds. */
const LOOK_MS = 5000;

/**
 * Calls `look` again and again until the signal, but not while the tab is hidden.
 * @param {() => Promise<void>} look
 * @param {AbortSignal} signal
 */
export function lookAgain(look, signal) {
  const timer = setInterval(() => {
    if (!document.hidden) void look();
  }, LOOK_MS);
  signal.addEventListener('abort', () => clearInterval(timer));
}
