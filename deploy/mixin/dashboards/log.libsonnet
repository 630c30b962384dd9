// The write-ahead log: how full it is, and whether the disk keeps up.
function(config)
  local p = import '../panels.libsonnet';
  local c = config { m: '%(clusterLabel)s=~"$cluster"' % config };
  local f(text) = text % c;
  local by = '{{%s}}' % config.clusterLabel;
  {
    title: 'Log',
    description: 'The write-ahead log: how full it is, and whether the disk keeps up.',
    variables: ['cluster'],
    rows: [
      {
        title: 'Space',
        panels: [
          p.graph('Full', 'Bytes of segments, as a part of wal.max_bytes. When it is full, the oldest samples are deleted.', 'percentunit', [p.query(f('max by (%(clusterLabel)s) (promrelay_wal_bytes{%(m)s} / promrelay_wal_max_bytes{%(m)s})'), by)]),
          p.graph('Full in', 'Time until the log is full if nothing is delivered, at the present rate.', 's', [p.query(f('min by (%(clusterLabel)s) ((promrelay_wal_max_bytes{%(m)s} - promrelay_wal_bytes{%(m)s}) / rate(promrelay_wal_appended_bytes_total{%(m)s}[10m]))'), by)]),
          p.graph('Bytes', 'Bytes of segments on disk.', 'bytes', [p.query(f('sum by (%(clusterLabel)s) (promrelay_wal_bytes{%(m)s})'), by)]),
          p.graph('Segments', 'Segments on disk.', 'short', [p.query(f('sum by (%(clusterLabel)s) (promrelay_wal_segments{%(m)s})'), by)]),
        ],
      },
      {
        title: 'Writes',
        panels: [
          p.graph('Bytes written', 'Bytes of frames a second.', 'Bps', [p.query(f('sum by (%(clusterLabel)s) (rate(promrelay_wal_appended_bytes_total{%(m)s}[$__rate_interval]))'), by)]),
          p.graph('Bytes a sample', 'Bytes of frames for each scraped sample.', 'bytes', [p.query(f('sum by (%(clusterLabel)s) (rate(promrelay_wal_appended_bytes_total{%(m)s}[$__rate_interval])) / sum by (%(clusterLabel)s) (rate(promrelay_scrape_samples_total{%(m)s}[$__rate_interval]))'), by)]),
          p.graph('Duration of fsync', 'How long the disk takes to make segments durable.', 's', [
            p.query(f('histogram_quantile(0.99, sum by (le) (rate(promrelay_wal_fsync_duration_seconds_bucket{%(m)s}[$__rate_interval])))'), '99%'),
            p.query(f('histogram_quantile(0.5, sum by (le) (rate(promrelay_wal_fsync_duration_seconds_bucket{%(m)s}[$__rate_interval])))'), '50%'),
          ]),
          p.graph('Failures', 'Failed writes, fsyncs and saves of positions, in an hour.', 'short', [
            p.query(f('sum(increase(promrelay_wal_write_failures_total{%(m)s}[1h]))'), 'writes'),
            p.query(f('sum(increase(promrelay_wal_fsync_failures_total{%(m)s}[1h]))'), 'fsyncs'),
            p.query(f('sum(increase(promrelay_wal_position_write_failures_total{%(m)s}[1h]))'), 'positions'),
          ]),
        ],
      },
      {
        title: 'Deleted and damaged',
        panels: [
          p.graph('Segments deleted', 'In an hour, by reason. All but acknowledged cost samples.', 'short', [p.query(f('sum by (reason) (increase(promrelay_wal_deleted_segments_total{%(m)s}[1h]))'), '{{reason}}')]),
          p.graph('Samples lost', 'Samples in an hour that a destination never got because their segment was gone.', 'short', [p.query(f('sum by (destination, reason) (increase(promrelay_wal_lost_total{%(m)s}[1h]))'), '{{destination}} {{reason}}')]),
          p.graph('Damage', 'Damaged places that readers skipped, in an hour; positions that were damaged; segments that are kept aside.', 'short', [
            p.query(f('sum(increase(promrelay_wal_corruptions_total{%(m)s}[1h]))'), 'places'),
            p.query(f('sum(increase(promrelay_wal_position_damages_total{%(m)s}[1h]))'), 'positions'),
            p.query(f('sum(promrelay_wal_unknown_segments{%(m)s})'), 'segments aside'),
          ]),
        ],
      },
    ],
  }
