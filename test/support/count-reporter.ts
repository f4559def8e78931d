import type { Reporter, SerializedError, TestModule } from 'vitest/node';

/** Closes the run with a line for everything that failed, saying why, and one plain line that counts all. */
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
      const around = [module, ...module.children.allSuites()].flatMap((suite) => suite.errors());
      failures.push(...around.map((error) => lineFor(`${module.relativeModuleId}, before or after its tests`, error)));
      // A file that could not even be loaded, or prepared, has no test that failed.
      counts.failed += module.state() === 'failed' ? Math.max(failedTests, 1) : failedTests;
    }
    const { passed, failed, skipped } = counts;
    process.stdout.write(['', ...failures, `${passed} passed, ${failed} failed, ${skipped} skipped`, ''].join('\n'));
  }
}

/** One line, so that whoever keeps no more than the end of an output keeps the reason. */
const lineFor = (where: string, { message }: SerializedError): string =>
  `failed: ${where}: ${message.replaceAll(/\s+/g, ' ').slice(0, 3000)}`;
