declare module 'tail-file' {
  import { EventEmitter } from 'node:events';

  /** The part of the API of tail-file 1.4 that is used here. */
  export default class Tail extends EventEmitter {
    constructor(filename: string, options?: { force?: boolean; startPos?: 'end' | 'start' });
    startP(): Promise<void>;
    stop(): Promise<void>;
  }
}
