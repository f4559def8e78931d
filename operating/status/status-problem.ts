import { type Problem, problem, type ProblemCode } from '../../core/health.ts';

/** A problem of a part, of a server or of a shard. */
export interface StatusProblem extends Omit<Problem, 'code'> {
  /** The name of the part or server, or `shard` and the name of the shard. */
  where: string;
  /** A ProblemCode, or another code if the part is newer than this command. */
  code: string;
}

export function statusProblem(where: string, code: ProblemCode, detail?: string): StatusProblem {
  return { where, ...problem(code, null, detail) };
}
