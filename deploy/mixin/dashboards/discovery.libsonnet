// Discovery: monitors, watches, and how fast changes become targets.
function(config)
  local p = import '../panels.libsonnet';
  local c = config { m: '%(clusterLabel)s=~"$cluster"' % config };
  local f(text) = text % c;
  local by = '{{%s}}' % config.clusterLabel;
  {
    title: 'Discovery',
    description: 'Monitors, watches, and how fast changes become targets.',
    variables: ['cluster'],
    rows: [
      {
        title: 'Monitors',
        panels: [
          p.graph('Monitors by state', 'Rejected ones have no targets, or those of their last good version.', 'short', [p.query(f('sum by (state) (promrelay_monitors{%(m)s})'), '{{state}}')]),
          p.graph('Monitors by kind', 'Accepted monitors.', 'short', [p.query(f('sum by (kind) (promrelay_monitors{%(m)s, state="accepted"})'), '{{kind}}')]),
          p.table('Clusters with rejected or pending monitors', 'A pending monitor waits for a Secret or ConfigMap.', config.clusterLabel, [
            p.query(f('sum by (%(clusterLabel)s, kind) (promrelay_monitors{%(m)s, state="rejected"})'), 'Rejected'),
            p.query(f('sum by (%(clusterLabel)s, kind) (promrelay_monitors{%(m)s, state="pending"})'), 'Pending'),
          ]),
        ],
      },
      {
        title: 'Objects',
        panels: [
          p.graph('Resources without news', 'Kinds of objects whose changes do not arrive: the API server does not answer, or refuses the watch.', 'short', [p.query(f('sum by (%(clusterLabel)s) (promrelay_discovery_unheard_resources{%(m)s})'), by)]),
          p.graph('Target groups', 'Groups a second that were made of changed objects, by role.', 'short', [p.query(f('sum by (role) (rate(promrelay_discovery_groups_total{%(m)s}[$__rate_interval]))'), '{{role}}')]),
          p.graph('Batches', 'How long it took to make targets of a batch of changes.', 's', [
            p.query(f('histogram_quantile(0.99, sum by (le) (rate(promrelay_discovery_batch_duration_seconds_bucket{%(m)s}[$__range])))'), '99%'),
            p.query(f('histogram_quantile(0.5, sum by (le) (rate(promrelay_discovery_batch_duration_seconds_bucket{%(m)s}[$__range])))'), '50%'),
          ]),
          p.graph('Reads of Secrets and ConfigMaps', 'Reads a second of objects that monitors name, by result.', 'short', [p.query(f('sum by (result) (rate(promrelay_references_reads_total{%(m)s}[$__rate_interval]))'), '{{result}}')]),
        ],
      },
    ],
  }
