import { InvalidArgumentError } from 'commander';
import { ClickledgerError } from '../../core/errors.ts';

// Values of options that say which events are delivered or exported.

/** Parses a list of known words, separated by commas. Throws `bad-input` for another word. */
export function listOf<T extends string>(text: string, known: readonly T[], option: string): T[] {
  const words = text.split(',').map((word) => word.trim());
  const wrong = words.find((word) => !(known as readonly string[]).includes(word));
  if (wrong !== undefined) throw new ClickledgerError('bad-input', `${option}: '${wrong}' is none of ${known.join(', ')}`);
  return [...new Set(words)] as T[];
}

/** Returns a parser of whole numbers from `min` to `max`, for commander. */
export function wholeNumber(min: number, max: number): (text: string) => number {
  return (text) => {
    const number = /^\d{1,9}$/.test(text) ? Number(text) : Number.NaN;
    if (!(number >= min && number <= max)) throw new InvalidArgumentError(`It must be a whole number from ${min} to ${max}.`);
    return number;
  };
}
