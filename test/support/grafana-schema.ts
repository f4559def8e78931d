import type * as schema from '@grafana/schema';
import type * as barchart from '@grafana/schema/dist/esm/raw/composable/barchart/panelcfg/x/BarChartPanelCfg_types.gen';
import type * as stat from '@grafana/schema/dist/esm/raw/composable/stat/panelcfg/x/StatPanelCfg_types.gen';
import type * as table from '@grafana/schema/dist/esm/raw/composable/table/panelcfg/x/TablePanelCfg_types.gen';
import type * as timeseries from '@grafana/schema/dist/esm/raw/composable/timeseries/panelcfg/x/TimeSeriesPanelCfg_types.gen';
import type * as dashboard from '@grafana/schema/dist/esm/raw/dashboard/x/Dashboard_types.gen';

// The type of a dashboard as JSON. It is made of the types that Grafana publishes, and it also has the options of each kind of panel, which
// Grafana's type of a dashboard leaves open. test/grafana/dashboards.test.ts checks the dashboards against it with the TypeScript compiler.

/** A type as it looks in JSON: a string enum is its texts. */
type Json<T> = unknown extends T
  ? T
  : T extends string
    ? `${T}`
    : T extends (infer Item)[]
      ? Json<Item>[]
      : T extends object
        ? { [Key in keyof T]: Json<T[Key]> }
        : T;

type FieldOf<Custom> = Omit<Json<dashboard.FieldConfig>, 'custom' | 'color'> & { custom?: Custom; color?: Json<schema.FieldColor> };

/** A query for Prometheus. The schema has no type for it. */
export interface PrometheusTarget {
  refId: string;
  datasource: { type: 'prometheus'; uid: '${datasource}' };
  expr: string;
  legendFormat: string;
  range: boolean;
  instant: boolean;
  format?: 'time_series' | 'table' | 'heatmap';
}

/** A query for Postgres. The schema has no type for it. */
export interface PostgresTarget {
  refId: string;
  datasource: { type: 'grafana-postgresql-datasource'; uid: '${datasource}' };
  format: 'time_series' | 'table';
  rawQuery: true;
  editorMode: 'code';
  rawSql: string;
}

type PanelOf<Kind extends string, Options, Custom> = Omit<
  Json<schema.Panel>,
  'type' | 'options' | 'fieldConfig' | 'targets' | 'datasource'
> & {
  type: Kind;
  datasource: PrometheusTarget['datasource'] | PostgresTarget['datasource'];
  options: Json<Options>;
  fieldConfig: { defaults: FieldOf<Partial<Json<Custom>>>; overrides: Json<dashboard.FieldConfigSource>['overrides'] };
  targets: (PrometheusTarget | PostgresTarget)[];
};

/** A panel of one of the kinds that the dashboards use. */
export type BoardPanel =
  | PanelOf<'timeseries', timeseries.Options, timeseries.FieldConfig>
  | PanelOf<'stat', stat.Options, Record<string, never>>
  | PanelOf<'table', table.Options, table.FieldConfig>
  | PanelOf<'barchart', barchart.Options, barchart.FieldConfig>;

export type BoardRow = Omit<Json<dashboard.RowPanel>, 'panels'> & { panels: BoardPanel[] };

export type Board = Omit<Json<dashboard.Dashboard>, 'panels' | 'templating'> & {
  panels: (BoardRow | BoardPanel)[];
  templating: { list: Json<dashboard.VariableModel>[] };
};
