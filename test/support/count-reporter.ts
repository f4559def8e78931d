import type { Reporter, SerializedError, TestModule } from 'vitest/node';

/** Ends the output of a run with one line for each failure and its reason, and one line with the counts. */
export default class CountReporter implements Reporter {
  onTestRunEnd(modules: readonly TestModule[], unhandled: readonly SerializedError[]): void {
    const counts = { passed: 0, failed: unhandled.length, skipped: 0 };
    const failures = unhandled.map((error) => lineFor('outside of any test', error));
    for (const module of modules) {
      let failedTests = 0;
      for (const test of module.children.allTests()) {
        const { state, errors = [] } = test.result();
        if (state === 'passed') counts.passed++;
        else if (state === 'failed') failedTests++;
        else counts.skipped++;
        failures.push(...errors.map((error) => lineFor(`${module.relativeModuleId} > ${test.fullName}`, error)));
      }
      const suiteErrors = [module, ...module.children.allSuites()].flatMap((suite) => suite.errors());
      failures.push(...suiteErrors.map((error) => lineFor(`${module.relativeModuleId}, before or after its tests`, error)));
      // A file that failed to load or to set up has no failed test, but it counts as one failure.
      counts.failed += module.state() === 'failed' ? Math.max(failedTests, 1) : failedTests;
    }
    const { passed, failed, skipped } = counts;
    process.stdout.write(['', ...failures, `${passed} passed, ${failed} failed, ${skipped} skipped`, ''].join('\n'));
  }
}

/** Puts the failure on one line, so that the end of the output always includes the reason. */
const lineFor = (where: string, { message }: SerializedError): string =>
  `failed: ${where}: ${message.replaceAll(/\s+/g, ' ').slice(0, 3000)}`;
