import { BaseSequencer, type TestSpecification } from 'vitest/node';

// Starts the longest test files first. If a long file started last, the other workers would be idle while it runs.

/** The beginnings of the paths of long test files, the longest first. */
const LONG = ['test/chaos/', 'test/e2e/', 'cli/', 'test/', 'stack/', 'sql/', 'log-agent/', 'event-worker/'];

export class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const rank = ({ moduleId, project }: TestSpecification): number => {
      const path = moduleId.slice(project.config.root.length + 1);
      const found = LONG.findIndex((beginning) => path.startsWith(beginning));
      return found < 0 ? LONG.length : found;
    };
    return (await super.sort(files)).toSorted((a, b) => rank(a) - rank(b));
  }
}
