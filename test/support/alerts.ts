import { readFile } from 'node:fs/promises';
import { parser } from '@prometheus-io/lezer-promql';
import { parse } from 'yaml';

// Parses docs/alerts.yml. Parses the expressions in it with the PromQL grammar of Prometheus.

export interface Alert {
  alert: string;
  expr: string;
  for?: string;
  labels: Record<string, string>;
  annotations: Record<string, string>;
}

export async function readAlerts(): Promise<Alert[]> {
  const file = parse(await readFile(new URL('../../docs/alerts.yml', import.meta.url), 'utf8')) as { groups: { rules: Alert[] }[] };
  return file.groups.flatMap(({ rules }) => rules);
}

/**
 * One metric in an expression, the labels that it must have, and the values that some of these labels must have: one value (`=`), or one that
 * a regular expression matches (`=~`).
 */
export interface Selector {
  metric: string;
  labels: string[];
  values: Record<string, string>;
  patterns: Record<string, string>;
}

/**
 * Returns the metrics of an expression. Throws if the expression is not valid PromQL. Every metric inside an aggregation must also have the
 * labels of its `by (…)`.
 */
export function selectorsOf(expr: string): Selector[] {
  const selectors: Selector[] = [];
  /** The labels of all aggregations around the current node. */
  const grouping: string[][] = [];
  const tree = parser.parse(expr);
  const text = (node: { from: number; to: number }): string => expr.slice(node.from, node.to);
  tree.iterate({
    enter(node) {
      if (node.type.isError) throw new Error(`no PromQL at ${node.from}: ${expr}`);
      if (node.name === 'AggregateExpr') {
        grouping.push(node.node.getChild('AggregateModifier')?.getChild('GroupingLabels')?.getChildren('LabelName').map(text) ?? []);
      }
      if (node.name === 'VectorSelector') {
        const metric = node.node.getChild('Identifier');
        const matchers = node.node.getChild('LabelMatchers')?.getChildren('UnquotedLabelMatcher') ?? [];
        const values: Selector['values'] = {};
        const patterns: Selector['patterns'] = {};
        for (const matcher of matchers) {
          const [label, value] = [matcher.getChild('LabelName'), matcher.getChild('StringLiteral')];
          const operator = text(matcher.getChild('MatchOp') ?? node);
          if (!label || !value || (operator !== '=' && operator !== '=~'))
            throw new Error(`only matchers of the forms label="value" and label=~"value" are supported: ${expr}`);
          (operator === '=' ? values : patterns)[text(label)] = text(value).slice(1, -1);
        }
        if (!metric) throw new Error(`a selector has no metric: ${expr}`);
        const labels = [...grouping.flat(), ...Object.keys(values), ...Object.keys(patterns)];
        selectors.push({ metric: text(metric), labels, values, patterns });
      }
    },
    leave(node) {
      if (node.name === 'AggregateExpr') grouping.pop();
    },
  });
  return selectors;
}
