// A progress bar on stderr for commands that take long. It is shown only on a terminal.

const WIDTH = 30;
const INTERVAL_MS = 200;

export interface Progress {
  /**
   * Shows how much of `total` is done, in any unit, and `text` beside the bar. The bar changes at most every 200 ms, so most calls write
   * nothing.
   */
  show(done: number, total: number, text: string): void;
  /** Removes the bar. */
  end(): void;
}

export function createProgress(stream: NodeJS.WriteStream = process.stderr): Progress {
  let shownMs = Number.NEGATIVE_INFINITY;
  return {
    show(done, total, text) {
      const nowMs = performance.now();
      if (!stream.isTTY || nowMs - shownMs < INTERVAL_MS) return;
      shownMs = nowMs;
      const fraction = total === 0 ? 1 : Math.min(1, done / total);
      const full = Math.round(fraction * WIDTH);
      stream.write(`\r\x1b[K${'█'.repeat(full)}${'░'.repeat(WIDTH - full)} ${String(Math.floor(fraction * 100)).padStart(3)} %  ${text}`);
    },
    end() {
      if (stream.isTTY && shownMs > 0) stream.write('\r\x1b[K');
    },
  };
}
