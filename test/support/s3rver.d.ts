declare module '@20minutes/s3rver' {
  import type { RequestListener } from 'node:http';

  interface Options {
    directory: string;
    silent?: boolean;
    configureBuckets?: readonly { name: string }[];
  }

  /** A server with the interface of S3. It has no types of its own. */
  export default class S3rver {
    constructor(options: Options);
    readonly store: {
      getObject(bucket: string, key: string): Promise<{ metadata: { etag: string } } | null>;
      listObjects(
        bucket: string,
        options: { prefix: string; maxKeys: number; startAfter: string | undefined },
      ): Promise<{ objects: { key: string; size: number }[]; isTruncated: boolean }>;
    };
    configureBuckets(): Promise<unknown>;
    callback(): RequestListener;
  }
}
