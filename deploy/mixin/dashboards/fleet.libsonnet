// All clusters on one page: which relay is down, behind, or loses samples.
function(config)
  local p = import '../panels.libsonnet';
  local by = config.clusterLabel;
  local c = config { s: '%(selector)s, %(clusterLabel)s=~"$cluster"' % config, m: '%(clusterLabel)s=~"$cluster"' % config };
  local f(text) = text % c;
  {
    title: 'Fleet',
    description: 'All clusters: which relay is down, behind, or loses samples.',
    variables: ['cluster'],
    rows: [
      {
        title: 'Now',
        panels: [
          p.number('Relays', 'Relays that answer scrapes.', 'short', f('sum(up{%(s)s})')),
          p.number('Down', 'Relays that do not answer. A relay whose cluster is cut off is missing here: see Silent.', 'short', f('count(up{%(s)s}) - sum(up{%(s)s})'), 1),
          p.number('Silent', 'Clusters of which something was heard in the last day and nothing now.', 'short', f('count(max by (%(clusterLabel)s) (max_over_time(up{%(s)s}[1d])) unless on (%(clusterLabel)s) up{%(s)s}) or vector(0)'), 1),
          p.number('Samples a second', 'Samples that destinations took.', 'short', f('sum(rate(promrelay_relay_sent_samples_total{%(m)s}[$__rate_interval]))')),
          p.number('Samples lost in 24 h', 'Samples that some destination never got because the log was full, or segments were removed.', 'short', f('sum(increase(promrelay_wal_lost_total{%(m)s}[1d])) or vector(0)'), 1),
          p.number('Rejected monitors', 'Monitors that cannot be translated.', 'short', f('sum(promrelay_monitors{%(m)s, state="rejected"})'), 1),
        ],
      },
      {
        title: 'Clusters',
        panels: [
          p.table('Clusters', 'One line for each cluster.', by, [
            p.query(f('min by (%(clusterLabel)s) (up{%(s)s})'), 'Up'),
            p.query(f('sum by (%(clusterLabel)s) (promrelay_scrape_targets{%(m)s})'), 'Targets'),
            p.query(f('sum by (%(clusterLabel)s) (promrelay_scrape_series{%(m)s})'), 'Series'),
            p.query(f('sum by (%(clusterLabel)s) (rate(promrelay_scrape_samples_total{%(m)s}[$__rate_interval]))'), 'Samples a second'),
            p.query(f('max by (%(clusterLabel)s) (time() - promrelay_relay_newest_sample_timestamp_seconds{%(m)s})'), 'Lag'),
            p.query(f('max by (%(clusterLabel)s) (promrelay_wal_bytes{%(m)s} / promrelay_wal_max_bytes{%(m)s})'), 'Log'),
            p.query(f('sum by (%(clusterLabel)s) (promrelay_monitors{%(m)s, state="rejected"})'), 'Rejected'),
            p.query(f('sum by (%(clusterLabel)s) (rate(process_cpu_seconds_total{%(s)s}[$__rate_interval]))'), 'CPU'),
            p.query(f('sum by (%(clusterLabel)s) (process_resident_memory_bytes{%(s)s})'), 'Memory'),
          ], { Lag: 's', Log: 'percentunit', Memory: 'bytes', 'Samples a second': 'short', CPU: 'none' }),
        ],
      },
      {
        title: 'Over time',
        panels: [
          p.graph('Lag', 'Age of the newest sample that a destination took, the oldest of each cluster.', 's', [p.query(f('max by (%(clusterLabel)s) (time() - promrelay_relay_newest_sample_timestamp_seconds{%(m)s})'), '{{%s}}' % by)]),
          p.graph('Samples scraped', 'Samples a second that were given to the log.', 'short', [p.query(f('sum by (%(clusterLabel)s) (rate(promrelay_scrape_samples_total{%(m)s}[$__rate_interval]))'), '{{%s}}' % by)]),
          p.graph('Samples dropped', 'Samples a second that a destination does not get though they were scraped, without those that write_relabel_configs drop.', 'short', [p.query(f('sum by (%(clusterLabel)s) (rate(promrelay_relay_dropped_samples_total{%(m)s, reason!="relabel"}[$__rate_interval]))'), '{{%s}}' % by)]),
          p.graph('Targets down', 'Scrapes a second that failed.', 'short', [p.query(f('sum by (%(clusterLabel)s) (rate(promrelay_scrape_scrapes_total{%(m)s, health="down"}[$__rate_interval]))'), '{{%s}}' % by)]),
        ],
      },
    ],
  }
