import { styleText } from 'node:util';

// Makes text bold or dim, but only if stdout is a terminal.

export function bold(text: string): string {
  return styleText('bold', text, { stream: process.stdout });
}

export function dim(text: string): string {
  return styleText('dim', text, { stream: process.stdout });
}
