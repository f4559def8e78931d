import { type Problem, problem, type ProblemCode } from '../../core/health.ts';

export interface Trouble extends Omit<Problem, 'code'> {
  /** The part, server or shard that has it. */
  where: string;
  code: string;
}

export function trouble(where: string, code: ProblemCode, detail?: string): Trouble {
  return { where, ...problem(code, null, detail) };
}
