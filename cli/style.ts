import { styleText } from 'node:util';

// Bold and dim text. Only a terminal gets it.

export function bold(text: string): string {
  return styleText('bold', text, { stream: process.stdout });
}

export function dim(text: string): string {
  return styleText('dim', text, { stream: process.stdout });
}
