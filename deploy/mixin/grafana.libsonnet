// Grafana's JSON of dashboards. A dashboard is {title, description, variables, rows}; a row is {title, panels}.
function(config) {
  local datasource = { type: 'prometheus', uid: '${datasource}' },

  // Variables.
  local variable(name, label, query, multi=true) = {
    name: name,
    label: label,
    type: 'query',
    datasource: datasource,
    query: { query: query, refId: name },
    definition: query,
    includeAll: multi,
    multi: multi,
    current: if multi then { text: ['All'], value: ['$__all'] } else {},
    allValue: if multi then '.*' else null,
    refresh: 2,
    sort: 1,
  },
  local variables = {
    cluster: variable('cluster', 'Cluster', 'label_values(promrelay_build_info{%(selector)s}, %(clusterLabel)s)' % config),
    destination: variable('destination', 'Destination', 'label_values(promrelay_relay_sent_samples_total{%s=~"$cluster"}, destination)' % config.clusterLabel),
  },

  // Panels.
  local sizes = { stat: { w: 4, h: 4 }, timeseries: { w: 12, h: 8 }, table: { w: 24, h: 9 } },
  local target(q, i) = {
    datasource: datasource,
    expr: q.expr,
    legendFormat: q.legend,
    refId: std.char(65 + i),
  },
  local panel(p, id, at) = {
    id: id,
    title: p.title,
    description: p.description,
    type: p.type,
    datasource: datasource,
    gridPos: at,
    targets: [target(p.queries[i], i) + p.target for i in std.range(0, std.length(p.queries) - 1)],
    fieldConfig: { defaults: { unit: p.unit, min: p.min } + p.defaults, overrides: p.overrides },
    options: p.options,
    transformations: p.transformations,
  },

  // place gives panels their places: from left to right, a new line when one does not fit.
  local place(panels, top) = std.foldl(
    function(acc, p)
      local size = sizes[p.type] + std.get(p, 'size', {});
      local breaks = acc.x + size.w > 24;
      local x = if breaks then 0 else acc.x;
      local y = if breaks then acc.y + acc.h else acc.y;
      {
        out: acc.out + [{ panel: p, at: { x: x, y: y, w: size.w, h: size.h } }],
        x: x + size.w,
        y: y,
        h: if breaks then size.h else std.max(acc.h, size.h),
      },
    panels,
    { out: [], x: 0, y: top, h: 0 }
  ),
  local rows(all) = std.foldl(
    function(acc, r)
      local title = { id: acc.id, type: 'row', title: r.title, collapsed: false, panels: [], gridPos: { x: 0, y: acc.y, w: 24, h: 1 } };
      local placed = place(r.panels, acc.y + 1);
      {
        out: acc.out + [title] + std.mapWithIndex(function(i, one) panel(one.panel, acc.id + 1 + i, one.at), placed.out),
        id: acc.id + 1 + std.length(r.panels),
        y: placed.y + placed.h,
      },
    all,
    { out: [], id: 1, y: 0 }
  ).out,

  dashboard(name, d):: {
    uid: 'promrelay-' + name,
    title: 'promrelay / ' + d.title,
    description: d.description,
    tags: config.dashboardTags,
    editable: true,
    graphTooltip: 1,
    schemaVersion: 39,
    time: { from: 'now-3h', to: 'now' },
    refresh: '1m',
    timezone: 'browser',
    links: [{ type: 'dashboards', title: 'promrelay', tags: config.dashboardTags, asDropdown: true, includeVars: true, keepTime: true }],
    templating: {
      list: [
        { name: 'datasource', label: 'Data source', type: 'datasource', query: 'prometheus', current: {}, refresh: 1 },
      ] + [variables[v] for v in d.variables],
    },
    panels: rows(d.rows),
  },
}
