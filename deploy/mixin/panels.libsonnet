// Panels of dashboards, before they have a place. A query is {expr, legend}.
{
  local base = { description: '', unit: 'short', min: 0, defaults: {}, overrides: [], options: {}, transformations: [], target: {} },

  query(expr, legend=''):: { expr: expr, legend: legend },

  // graph is a plot over time.
  graph(title, description, unit, queries):: base {
    type: 'timeseries',
    title: title,
    description: description,
    unit: unit,
    queries: queries,
    defaults: { custom: { fillOpacity: 10, showPoints: 'never', lineWidth: 1 } },
    options: { legend: { displayMode: 'list', placement: 'bottom' }, tooltip: { mode: 'multi', sort: 'desc' } },
  },

  // number is one value. It is red from bad on, if that is given.
  number(title, description, unit, expr, bad=null):: base {
    type: 'stat',
    title: title,
    description: description,
    unit: unit,
    queries: [$.query(expr)],
    target: { instant: true },
    defaults: {
      color: { mode: if bad == null then 'fixed' else 'thresholds', [if bad == null then 'fixedColor']: 'text' },
      [if bad != null then 'thresholds']: { mode: 'absolute', steps: [{ color: 'green', value: null }, { color: 'red', value: bad }] },
    },
    options: { reduceOptions: { calcs: ['lastNotNull'] }, colorMode: 'value', graphMode: 'none' },
  },

  // table has a row for each value of the label by, and a column for each query, whose legend is its title. Units go by column.
  table(title, description, by, queries, units={}):: base {
    type: 'table',
    title: title,
    description: description,
    queries: queries,
    target: { instant: true, format: 'table', range: false },
    overrides: [
      { matcher: { id: 'byName', options: column }, properties: [{ id: 'unit', value: units[column] }] }
      for column in std.objectFields(units)
    ],
    transformations: [
      { id: 'merge', options: {} },
      {
        id: 'organize',
        options: {
          excludeByName: { Time: true },
          renameByName: if std.length(queries) == 1 then { Value: queries[0].legend } else {
            ['Value #' + std.char(65 + i)]: queries[i].legend
            for i in std.range(0, std.length(queries) - 1)
          },
        },
      },
    ],
  },
}
