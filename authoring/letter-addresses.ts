import { extname } from 'node:path';
import { Worker } from 'node:worker_threads';
import { createSlugCodec, type SlugKey } from '../core/slug.ts';
import { createUrls } from './urls.ts';

// Makes the URLs of a letter for each recipient. For a long list, a thread makes them in advance, because that is most of the work of
// `prepare`.

/** What the URLs of a letter depend on. It can be sent to a thread. */
export interface AddressPlan {
  baseUrl: string;
  keys: readonly SlugKey[];
  /** The ids of the links, in the order of the letter. */
  links: readonly number[];
  /** The id of the pixel, or undefined if the letter has none. */
  pixel: number | undefined;
}

/** The URLs of one recipient, in the order of the links, and the URL of the pixel. */
export interface Addresses {
  links: string[];
  pixel: string | undefined;
}

/** Returns a function that returns the URLs of a recipient. For recipient 0, it returns the shared URLs. */
export function createAddresses({ baseUrl, keys, links, pixel }: AddressPlan): (recipient: number) => Addresses {
  const urls = createUrls(baseUrl, createSlugCodec(keys));
  return (recipient) => ({
    links: links.map((link) => urls.click(link, recipient)),
    pixel: pixel === undefined ? undefined : urls.pixel(pixel, recipient),
  });
}

/** The thread returns one text for all recipients of a request, because many short texts take longer to transfer. URLs have no spaces. */
export const RECIPIENT_END = '\n';
export const ADDRESS_END = ' ';

export interface AddressThread {
  /**
   * Makes the URLs of many recipients. Requests are processed one after the other. The result returns the URLs, in the order of the
   * recipients. Until then they are one text, which takes a third of the memory.
   */
  addressesOf(recipients: readonly number[]): Promise<() => Addresses[]>;
  /** Ends the thread. Requests that it has not answered stay unanswered. */
  end(): Promise<void>;
}

/** Starts a thread that makes URLs as `createAddresses` does. */
export function startAddressThread(plan: AddressPlan): AddressThread {
  const thread = new Worker(new URL(`address-thread${extname(import.meta.filename)}`, import.meta.url), {
    workerData: plan,
    // Without a limit, V8 delays garbage collection as long as the machine has memory.
    resourceLimits: { maxYoungGenerationSizeMb: 8 },
  });
  let failure: Error | undefined;
  const waiting: { resolve: (text: string) => void; reject: (error: unknown) => void }[] = [];
  thread.on('message', (text: string) => waiting.shift()?.resolve(text));
  thread.on('error', (error: Error) => {
    failure = error;
    for (const { reject } of waiting.splice(0)) reject(error);
  });
  return {
    async addressesOf(recipients) {
      if (failure !== undefined) throw failure;
      const text = await new Promise<string>((resolve, reject) => {
        waiting.push({ resolve, reject });
        thread.postMessage(Float64Array.from(recipients));
      });
      return () =>
        text.split(RECIPIENT_END).map((line) => {
          const addresses = line === '' ? [] : line.split(ADDRESS_END);
          return plan.pixel === undefined ? { links: addresses, pixel: undefined } : { links: addresses, pixel: addresses.pop() };
        });
    },
    async end() {
      await thread.terminate();
    },
  };
}
