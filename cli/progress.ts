// How far a long work is, on stderr and only on a terminal.

const WIDTH = 30;
const EVERY_MS = 200;

export interface Progress {
  /** `done` of `total`, in any unit, and what to say beside it. */
  show(done: number, total: number, text: string): void;
  /** Removes the line. */
  end(): void;
}

export function createProgress(stream: NodeJS.WriteStream = process.stderr): Progress {
  let shownMs = Number.NEGATIVE_INFINITY;
  return {
    show(done, total, text) {
      const nowMs = performance.now();
      if (!stream.isTTY || nowMs - shownMs < EVERY_MS) return;
      shownMs = nowMs;
      const part = total === 0 ? 1 : Math.min(1, done / total);
      const full = Math.round(part * WIDTH);
      stream.write(`\r\x1b[K${'█'.repeat(full)}${'░'.repeat(WIDTH - full)} ${String(Math.floor(part * 100)).padStart(3)} %  ${text}`);
    },
    end() {
      if (stream.isTTY && shownMs > 0) stream.write('\r\x1b[K');
    },
  };
}
