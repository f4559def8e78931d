import { mkdir, readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { makeCertificates } from '../test/support/certificates.ts';
import { oddNames } from '../test/support/odd-names.ts';
import { rawRequest } from '../test/support/raw-http.ts';
import { eventually, temporaryDirectory } from '../test/support/servers.ts';
